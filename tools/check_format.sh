#!/bin/sh
# Every C file is as clang-format leaves it. To mend: tools/check_format.sh --fix
set -eu

cd "$(dirname "$0")/.."
folders=
for folder in src include cli tests bench examples; do
    [ ! -d "$folder" ] || folders="$folders $folder"
done

# shellcheck disable=SC2086 # a list of folders
files() {
    find $folders -name '*.[ch]' | sort
}

case ${1:-} in
--fix) files | xargs clang-format -i ;;
'')
    wrong=$(files | while read -r file; do
        clang-format "$file" | cmp -s "$file" - || echo "$file"
    done)
    if [ -n "$wrong" ]; then
        printf '%s\nnot as clang-format leaves them; mend with: tools/check_format.sh --fix\n' "$wrong" >&2
        exit 1
    fi
    ;;
*)
    echo "usage: check_format.sh [--fix]" >&2
    exit 2
    ;;
esac
