#!/bin/sh
# clang-tidy over library and program, as .clang-tidy says; every finding is an error.
#   lint.sh [BUILD_DIR]   a configured build (its compile commands are used; default build/clang)
#   lint.sh BUILD_DIR FILE...   some files only
set -eu

cd "$(dirname "$0")/.."
build=${1:-build/clang}
[ $# -eq 0 ] || shift
if [ ! -e "$build/compile_commands.json" ]; then
    echo "lint: no $build/compile_commands.json; configure first: cmake --preset clang" >&2
    exit 2
fi
if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # our file names hold no blanks
    set -- $(find src cli -name '*.c' 2>/dev/null | sort)
fi
# The analyser's path engine takes nearly all of the time; a third of its usual nodes in a function
# finds what it finds in half of it.
depth='--extra-arg=-Xclang --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes=75000'
# One file each: with several, LLVM 14 takes every later va_list for uninitialised.
# Its stderr only counts the warnings of system headers, unless something failed.
counts=$build/lint.stderr
# shellcheck disable=SC2086 # several arguments
if ! printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$build" $depth 2>"$counts"; then
    grep -v 'warnings\{0,1\} generated' "$counts" >&2 || true
    exit 1
fi
echo "$# files without findings"
