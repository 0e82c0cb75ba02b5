#!/bin/sh
# The manual page and the program's help know the same verbs and the same options.
#   check_man.sh NETMEND PAGE.scd
# In the page, the section "# VERBS" holds one "## VERB" a verb, with its options as --name; options
# common to all verbs stand under "# COMMON OPTIONS".
set -eu

netmend=$1
page=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

options() {
    grep -o -- '--[a-z0-9][a-z0-9-]*' | sort -u
}

# Lines of the page from a heading to the next of its kind, without the scdoc escapes.
section() {
    awk -v heading="$1" '
        $0 == heading { inside = 1; next }
        /^#/ { inside = 0 }
        inside { gsub(/\\/, ""); print }' "$page"
}

# compare NAME FILE_OF_PAGE FILE_OF_HELP
compare() {
    for option in $(comm -23 "$2" "$3"); do
        echo "$1: $option is in the manual page, not in the help"
    done
    for option in $(comm -13 "$2" "$3"); do
        echo "$1: $option is in the help, not in the manual page"
    done
}

section '# COMMON OPTIONS' | options >"$work/common"
verbs=$(sed -n '/^# VERBS/,/^# /s/^## //p' "$page")
[ -n "$verbs" ] || { echo "$page: no verbs"; exit 1; }
for verb in $verbs; do
    { section "## $verb" | options; cat "$work/common"; } | sort -u >"$work/page"
    "$netmend" "$verb" --help | options >"$work/help"
    compare "$verb" "$work/page" "$work/help"
done >"$work/differences"

# Verbs as the general help lists them: the first word of its indented lines that is a verb.
"$netmend" --help | sed -n 's/^  *\([a-z][a-z]*\)  .*/\1/p' | sort -u >"$work/help_verbs"
for verb in $(printf '%s\n' "$verbs" | sort -u | comm -13 - "$work/help_verbs"); do
    echo "$verb: is in the help, not in the manual page"
done >>"$work/differences"

cat "$work/differences" >&2
[ ! -s "$work/differences" ]
