#!/bin/sh
# onnxruntime.js with its arguments; exit status 77 where node or the network's file is absent (a
# missing node is an error where CI=true).
set -eu

if ! command -v node >/dev/null 2>&1; then
    [ "${CI:-}" != true ] || { echo "node is not installed" >&2; exit 1; }
    echo "skipped: node is not installed"
    exit 77
fi
[ -e "$2" ] || { echo "skipped: no $2"; exit 77; }
exec node "$(dirname "$0")/onnxruntime.js" "$@"
