#!/bin/sh
# Holds the calls to the layer order: an object of src/<layer> uses nm_ symbols of its own and lower
# layers only. This finds what the includes do not show: a public header that declares functions of
# a higher layer.
#   check_calls.sh "LAYER..." OBJECT...   (layers bottom first)
set -eu

layers=$1
shift
nm -A "$@" | awk -v layers="$layers" '
    BEGIN {
        n_layers = split(layers, name, " ")
        for (i = 1; i <= n_layers; i++)
            rank[name[i]] = i
    }
    # path/to/src/<layer>/file.c.o:[address] type symbol
    $NF ~ /^nm_/ {
        file = $1
        sub(/:.*/, "", file)
        sub(/.*\/src\//, "", file)
        layer = file
        sub(/\/.*/, "", layer)
        if (!(layer in rank)) {
            print file ": is in no layer"
            bad++
        }
        if ($(NF - 1) == "U")
            used[++n_used] = file " " layer " " $NF
        else
            home[$NF] = layer
    }
    END {
        for (i = 1; i <= n_used; i++) {
            split(used[i], use, " ")
            if (use[3] in home && rank[home[use[3]]] > rank[use[2]]) {
                printf "%s: uses %s of the higher layer %s\n", use[1], use[3], home[use[3]]
                bad++
            }
        }
        printf "%d uses between files, %d out of order\n", n_used, bad
        exit bad > 0 || n_used == 0
    }'
