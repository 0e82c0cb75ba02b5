#!/bin/sh
# Runs onnxruntime.js on files below a folder.
#   run.sh FOLDER ARGUMENT...
# Exit status 77 where the folder or node is absent (a missing node is an error where CI=true).
set -eu

if ! command -v node >/dev/null 2>&1; then
    [ "${CI:-}" != true ] || { echo "node is not installed" >&2; exit 1; }
    echo "skipped: node is not installed"
    exit 77
fi
[ -d "$1" ] || { echo "skipped: no $1"; exit 77; }
shift
exec node "$(dirname "$0")/onnxruntime.js" "$@"
