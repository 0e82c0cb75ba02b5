#!/bin/sh
# The shared library exports exactly the functions that the public headers declare with NM_API.
#   check_exports.sh LIBRARY HEADER...
set -eu

library=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Names before the first parenthesis of each NM_API declaration, comments and directives removed.
declared_in() {
    cat "$@" | awk '
        /^[ \t]*#/ { next }
        { text = text $0 "\n" }
        END {
            while (match(text, /\/\*([^*]|\*+[^*\/])*\*+\//))
                text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
            gsub(/[ \t\n]+/, " ", text)
            while (match(text, /NM_API [^;(]*\(/)) {
                name = substr(text, RSTART, RLENGTH - 1)
                sub(/.*[ *]/, "", name)
                print name
                text = substr(text, RSTART + RLENGTH)
            }
        }' | sort -u
}

declared_in "$@" >"$work/declared"
# A leading underscore or dot is the toolchain's own (.gomp_critical_user_NAME: a named critical region).
nm -D --defined-only "$library" | awk '{ print $NF }' | grep -v '^[_.]' | sort -u >"$work/exported"

[ -s "$work/declared" ] || { echo "no NM_API declaration found in: $*" >&2; exit 1; }
status=0
for name in $(comm -23 "$work/declared" "$work/exported"); do
    echo "$name is declared NM_API but not exported by $(basename "$library")" >&2
    status=1
done
for name in $(comm -13 "$work/declared" "$work/exported"); do
    echo "$name is exported but no public header declares it" >&2
    status=1
done
echo "$(wc -l <"$work/declared") declared, $(wc -l <"$work/exported") exported"
exit "$status"
