#!/bin/sh
# Every C file is as clang-format leaves it. To mend: tools/check_format.sh --fix
set -eu

cd "$(dirname "$0")/.."
case ${1:-} in
--fix) mode=-i ;;
'') mode='--dry-run -Werror' ;;
*)
    echo "usage: check_format.sh [--fix]" >&2
    exit 2
    ;;
esac
folders=
for folder in src include cli tests bench examples; do
    [ ! -d "$folder" ] || folders="$folders $folder"
done
# shellcheck disable=SC2086 # lists of words
find $folders -name '*.[ch]' -print0 | xargs -0 clang-format $mode
