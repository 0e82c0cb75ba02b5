#!/bin/sh
# tools/check_layers.sh and tools/check_calls.sh accept what is in order and find each kind of fault.
#   check_layers_test.sh SOURCE_DIR C_COMPILER
set -eu

tools=$1/tools
cc=$2
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir -p "$tree/src/base" "$tree/src/net/op" "$tree/include/netmend" "$tree/cli"
cd "$tree"
echo 'set(NM_LAYERS base tensor net)' >CMakeLists.txt

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

in_order() {
    printf '#include "netmend/base.h"\n#include <stdio.h>\n' >src/base/a.c
    printf '#include "base/a.h"\n#include "net/graph.h"\n#include "near.h"\n' >src/net/op/relu.c
    : >src/net/op/near.h
    printf '#include "netmend/base.h"\n' >include/netmend/net.h
    printf '#include "netmend/netmend.h"\n#include "own.h"\n#include <jansson.h>\n' >cli/main.c
    : >cli/own.h
}

# A line put into a file must be found, and the message must contain the text.
finds() {
    in_order
    printf '%s\n' "$2" >>"$1"
    if "$tools/check_layers.sh" "$tree" >out 2>&1; then
        fail "$2 in $1 is not found"
    fi
    grep -qF "$3" out || fail "$2 in $1: message '$(cat out)' lacks '$3'"
    rm "$1"
}

in_order
"$tools/check_layers.sh" "$tree" || fail "a tree in order is refused"
finds src/base/a.c '#include "net/graph.h"' 'src/base/a.c:3: net/graph.h: layer base is below layer net'
finds src/base/a.c '  #  include "tensor/x.h"' 'is below layer tensor'
finds src/net/op/relu.c '#include "nowhere.h"' 'is in no layer'
finds src/net/op/relu.c '#include "netmend/netmend.h"' 'not all'
finds include/netmend/net.h '#include "net/graph.h"' 'public headers only'
finds cli/main.c '#include "net/graph.h"' 'public interface only'
finds cli/main.c '#include <zlib.h>' 'leaves this to the library'
mkdir src/extra
finds src/extra/x.c '#include <stdio.h>' 'no such layer'

echo 'int nm_up(void); int nm_low(void); int nm_low(void) { return 1; }' >src/base/low.c
echo 'int nm_up(void); int nm_low(void); int nm_up(void) { return nm_low(); }' >src/net/up.c
"$cc" -c -o src/base/low.o src/base/low.c
"$cc" -c -o src/net/up.o src/net/up.c
"$tools/check_calls.sh" 'base net' "$PWD/src/base/low.o" "$PWD/src/net/up.o" ||
    fail "a call down is refused"
if "$tools/check_calls.sh" 'net base' "$PWD/src/base/low.o" "$PWD/src/net/up.o" >out; then
    fail "a call up is not found"
fi
grep -qF 'uses nm_low of the higher layer base' out || fail "message: $(cat out)"
