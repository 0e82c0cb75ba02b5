#!/bin/sh
# The documents hold together: relative links of every Markdown file lead somewhere, the change log
# knows the version being built, and the manual pages are valid scdoc.
set -eu

cd "$(dirname "$0")/.."
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

complain() {
    echo "$*" | tee -a "$failed" >&2
}

# Prints "LINE TARGET" for each inline link or picture of a file.
links_of() {
    awk '{
        while (match($0, /\]\([^)]+\)/)) {
            print FNR, substr($0, RSTART + 2, RLENGTH - 3)
            $0 = substr($0, RSTART + RLENGTH)
        }
    }' "$1"
}

check_links() {
    links_of "$1" | while read -r line target; do
        path=${target%%#*}
        case $target in
        http://* | https://* | mailto:* | '#'*) ;;
        *) [ -e "$(dirname "$1")/$path" ] || complain "$1:$line: link to $path leads nowhere" ;;
        esac
    done
}

for file in *.md docs/*.md; do
    check_links "$file"
done

version=$(sed -n 's/^project(netmend VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
grep -q "^## \[$version\]\|^## \[Unreleased\]" CHANGELOG.md ||
    complain "CHANGELOG.md: no section for $version"

if command -v scdoc >/dev/null 2>&1; then
    for page in docs/man/*.scd; do
        scdoc <"$page" >/dev/null || complain "$page: scdoc refuses it"
    done
fi

[ ! -s "$failed" ]
