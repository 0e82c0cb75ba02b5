#!/bin/sh
# Every C file is as clang-format leaves it. To mend: tools/check_format.sh --fix
set -eu

cd "$(dirname "$0")/.."
clang-format --version >/dev/null # it must be there, or nothing would seem wrong
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
    wrong=$(files | xargs clang-format --dry-run 2>&1 |
        sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: warning:.*/\1/p' | sort -u)
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
