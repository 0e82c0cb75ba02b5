#!/bin/sh
# Installs a build into a fresh prefix and uses it as a stranger would: every header on its own,
# a program through pkg-config, one through find_package, and the installed command.
#   check_install.sh BUILD_DIR C_COMPILER VERSION
set -eu

build=$1
cc=$2
version=$3
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
work=$prefix/work
mkdir "$work"

# Runs a command silently; shows what it said only when it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}

# The first line that a program prints names the version.
expect_version() {
    got=$("$@" | head -n 1)
    if [ "$got" != "netmend $version" ]; then
        echo "$1 says '$got', expected 'netmend $version'" >&2
        exit 1
    fi
}

quietly cmake --install "$build" --prefix "$prefix"
pkgconfig=$(dirname "$(find "$prefix" -name netmend.pc)")

echo "each public header compiles on its own"
for header in "$prefix"/include/netmend/*.h; do
    "$cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only \
        -I "$prefix/include" -x c "$header"
done

echo "pkg-config"
flags=$(PKG_CONFIG_PATH=$pkgconfig pkg-config --cflags --libs netmend)
# shellcheck disable=SC2086 # a list of flags
"$cc" -o "$work/by_pkg_config" "$here/consumer.c" $flags
LD_LIBRARY_PATH=$(dirname "$pkgconfig") expect_version "$work/by_pkg_config"

echo "find_package"
quietly cmake -G Ninja -S "$here" -B "$work/consumer" -DCMAKE_C_COMPILER="$cc" \
    -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$work/consumer"
expect_version "$work/consumer/consumer"

if [ -e "$prefix/bin/netmend" ]; then
    echo "the installed command"
    expect_version "$prefix/bin/netmend" --version
fi
