#!/bin/sh
# Installs the Debian packages of some groups of tools/dependencies.txt, where they are missing.
#   tools/install_deps.sh build test
# Silent and quick when nothing is missing. Exit status: 0 all there; 69 something is missing and
# cannot be installed (the message says what to do); 2 usage.
set -eu

list=$(dirname "$0")/dependencies.txt

say() {
    printf 'install_deps: %s\n' "$*" >&2
}

packages_of() {
    awk -v group="$1" '$1 == group { print $2, $3 }' "$list"
}

is_installed() {
    dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Prints the packages of the given groups that are not there.
missing_of() {
    for group in "$@"; do
        packages_of "$group" | while read -r package command; do
            if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
                continue
            fi
            is_installed "$package" || printf ' %s' "$package"
        done
    done
}

# Asks for a password only on a terminal.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 "$@" >&2
}

has_package_lists() {
    for file in /var/lib/apt/lists/*_Packages*; do
        [ -e "$file" ] && return 0
    done
    return 1
}

install() {
    if has_package_lists; then
        apt install --no-install-recommends "$@" && return 0
        say "that failed; trying once more with fresh package lists"
    fi
    apt update && apt install --no-install-recommends "$@"
}

[ $# -gt 0 ] || { say "usage: install_deps.sh GROUP..., a group of $list"; exit 2; }
for group in "$@"; do
    [ -n "$(packages_of "$group")" ] || { say "no group '$group' in $list"; exit 2; }
done

missing=$(missing_of "$@")
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    say "missing:$missing; without apt-get, install their like and build with cmake --preset release"
    exit 69
fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null 2>&1; then
    say "missing:$missing; as root, run: apt-get install$missing"
    exit 69
fi
say "installing$missing"
# shellcheck disable=SC2086 # a list of package names
if ! install $missing; then
    say "could not install$missing; as root, run: apt-get update && apt-get install$missing"
    exit 69
fi
