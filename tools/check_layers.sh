#!/bin/sh
# Holds the #include lines to the layer order, bottom first, that CMakeLists.txt states in NM_LAYERS:
#   src/<layer>      includes its own and lower layers, and public headers (not all of them at once)
#   include/netmend  includes public headers only
#   cli              includes public headers, its own headers, jansson and the C library
#   check_layers.sh [ROOT]
set -eu

cd "${1:-$(dirname "$0")/..}"
layers=$(sed -n 's/^set(NM_LAYERS \(.*\))$/\1/p' CMakeLists.txt)
[ -n "$layers" ] || { echo "CMakeLists.txt: no set(NM_LAYERS ...) line" >&2; exit 1; }

# shellcheck disable=SC2016 # awk's own dollars
find src include cli -name '*.[ch]' 2>/dev/null | sort | xargs awk -v layers="$layers" '
    BEGIN {
        n_layers = split(layers, name, " ")
        for (i = 1; i <= n_layers; i++)
            rank[name[i]] = i
    }

    function report(text) {
        printf "%s:%d: %s: %s\n", FILENAME, FNR, target, text
        bad++
    }

    function exists(path,    line, found) {
        found = (getline line < path) >= 0
        close(path)
        return found
    }

    function folder(path) {
        sub(/\/[^\/]*$/, "", path)
        return path
    }

    function check_from_layer(from) {
        if (target == "netmend/netmend.h")
            report("the library includes the public headers it needs, not all")
        else if (quoted && part[1] in rank && n_parts > 1) {
            if (rank[part[1]] > rank[from])
                report("layer " from " is below layer " part[1])
        } else if (quoted && part[1] != "netmend" && !exists(folder(FILENAME) "/" target))
            report("is in no layer")
    }

    function check_from_public() {
        if (quoted && part[1] != "netmend")
            report("public headers include public headers only")
    }

    function check_from_cli() {
        if (quoted && part[1] != "netmend" && !exists("cli/" target))
            report("the program uses the public interface only")
        if (!quoted && target ~ /^(zlib|zip|cblas|omp|Clp.*|Coin.*)\.h$|^coin\/|openblas/)
            report("the program leaves this to the library")
    }

    FNR == 1 {
        files++
        split(FILENAME, place, "/")
        if (place[1] == "src" && !(place[2] in rank)) {
            target = place[2]
            report("no such layer")
        }
    }

    /^[ \t]*#[ \t]*include[ \t]*["<]/ {
        quoted = /include[ \t]*"/
        target = $0
        gsub(/^[^"<]*["<]|[">].*$/, "", target)
        n_parts = split(target, part, "/")
        if (place[1] == "src" && place[2] in rank)
            check_from_layer(place[2])
        else if (place[1] == "include")
            check_from_public()
        else if (place[1] == "cli")
            check_from_cli()
    }

    END {
        printf "%d files, %d includes out of order\n", files, bad
        exit bad > 0 || files == 0
    }'
