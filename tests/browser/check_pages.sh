#!/bin/sh
# Reports in a browser: they load without errors and without network, every chart is drawn, and the
# grid of a sweep works by mouse and keyboard. Makes its own data. Exit status 77 (skipped) without
# Chromium, unless CI=true.
#   check_pages.sh BIN_DIR [FOLDER]   with FOLDER, pages and screenshots are left there
set -eu

PATH=$(cd "$1" && pwd):$PATH
here=$(cd "$(dirname "$0")" && pwd)
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
    echo 'no chromium: reports are not looked at'
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kept=${2:-}
[ -z "$kept" ] || kept=$(mkdir -p "$kept" && cd "$kept" && pwd)
cd "$work"

browse() {
    "$browser" --headless=new --no-sandbox --disable-gpu --user-data-dir="$work/profile" \
        --window-size=1280,1600 --hide-scrollbars --virtual-time-budget=20000 "$@"
}

# Copies a page with the scripts that test it.
instrument() {
    awk -v errors="$here/errors.js" -v probe="$here/probe.js" '
        function put(path,    line) {
            print "<script>"
            while ((getline line < path) > 0)
                print line
            print "</script>"
        }
        /^<\/body>$/ { put(probe) }
        { print }
        /^<meta charset/ { put(errors) }
    ' "$1" >"$2"
}

# check NAME: NAME.html
check() {
    if ! grep -q 'Chart.js v' "$1.html" && [ "${CI:-}" = true ]; then
        echo "$1.html: built without libjs-chart.js"
        return 1
    fi
    instrument "$1.html" "$1.probed.html"
    browse --enable-logging=stderr --dump-dom "file://$work/$1.probed.html" >"$1.dom" 2>"$1.log"
    sed -n '/<pre id="probe">/,/<\/pre>/p' "$1.dom" | sed '1d;$d' >"$1.checks"
    grep -c '^ok ' "$1.checks" | sed "s/^/$1: checks that hold: /"
    if [ ! -s "$1.checks" ] || grep '^FAILED ' "$1.checks" || grep CONSOLE "$1.log"; then
        echo "$1.html: see above; the browser said:"
        tail -n 5 "$1.log"
        return 1
    fi
    if grep -n 'src="http\|href="http\|@import\|url(' "$1.html" | grep -v chartjs.org; then
        echo "$1.html: refers to something else"
        return 1
    fi
}

# Screenshots to be looked at: light, dark, and the details of a row.
keep() {
    [ -n "$kept" ] || return 0
    cp "$1.html" "$kept"
    browse --screenshot="$kept/$1.png" "file://$work/$1.html" >/dev/null 2>&1
    browse --force-dark-mode --blink-settings=preferredColorScheme=0 \
        --screenshot="$kept/$1-dark.png" "file://$work/$1.html" >/dev/null 2>&1
    browse --screenshot="$kept/$1-row.png" "file://$work/$1.html#row-0" >/dev/null 2>&1
    browse --no-pdf-header-footer --print-to-pdf="$kept/$1.pdf" "file://$work/$1.html" >/dev/null 2>&1
}

netmend demo --out d >demo.log
netmend repair d/model.onnx -x d/moons_train_x.npy -y d/moons_train_y.npy --select Misclassified \
    --keep d/moons_train_x.npy --keep-labels d/moons_train_y.npy --test d/moons_fresh_x.npy \
    --test-labels d/moons_fresh_y.npy --strategy incremental --batch 5 -o fixed.onnx \
    --report repair.html >repair.log
cat >grid.json <<'JSON'
{"model": "d/model.onnx",
 "data": {"inputs": "d/moons_train_x.npy", "labels": "d/moons_train_y.npy",
          "test": "d/moons_fresh_x.npy", "test-labels": "d/moons_fresh_y.npy"},
 "edit": ["SingleLayer:layer=1", "LayerPosition:position=last", "FeatureSimilarity"],
 "set": ["Misclassified", "FullDataset", "Random"], "size": [5, 15]}
JSON
netmend sweep grid.json --report sweep.html >sweep.log
status=0
for page in repair sweep; do
    check "$page" || status=1
    keep "$page"
done
exit "$status"
