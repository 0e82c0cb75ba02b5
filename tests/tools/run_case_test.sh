#!/bin/sh
# tests/cli/run_case.sh passes what is as stated and fails on every kind of wrong expectation.
#   run_case_test.sh SOURCE_DIR
set -eu

run_case=$1/tests/cli/run_case.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/shared"

run() {
    printf '%s\n' "$@" >"$work/a.case"
    "$run_case" "$work" "$work/shared" "$work/a.case" >"$work/log" 2>&1
}

passes() {
    run "$@" || { echo "should pass: $*"; cat "$work/log"; exit 1; }
}

fails() {
    if run "$@"; then
        echo "should fail: $*"
        exit 1
    fi
}

printf 'one\ntwo\n' >"$work/golden"
passes '# comment' 'needs shared' '$ echo one; echo two; echo bad >&2; exit 3' 'exit 3' 'out t*' \
    'out lines 2' 'err bad' 'err lines 1' 'out file golden'
passes '$ echo x >file' 'out none' 'err none' '$ cat file' 'out x'
# shellcheck disable=SC2016 # for the case's shell
passes '$ test -d "$SHARED"'
fails '$ exit 1'
fails '$ exit 1' '$ true'
fails '$ true' 'exit 1'
fails '$ echo one' 'out tw*'
fails '$ echo one' 'out on'
fails '$ echo one' 'out none'
fails '$ echo one >&2' 'err none'
fails '$ echo one' 'out lines 2'
fails '$ echo one' 'out file golden'
fails '$ true' 'unknown'
fails '# no command'
fails 'out x'
