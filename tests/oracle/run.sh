#!/bin/sh
# Runs a script of this folder on files below another folder.
#   run.sh SCRIPT FOLDER ARGUMENT...
# Exit status 77 where the folder or node is absent (a missing node is an error where CI=true).
set -eu

if ! command -v node >/dev/null 2>&1; then
    [ "${CI:-}" != true ] || { echo "node is not installed" >&2; exit 1; }
    echo "skipped: node is not installed"
    exit 77
fi
[ -d "$2" ] || { echo "skipped: no $2"; exit 77; }
script=$1
shift 2
exec node "$(dirname "$0")/$script" "$@"
