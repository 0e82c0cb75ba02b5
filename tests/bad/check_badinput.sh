#!/bin/sh
# Feeds the malformed files of the shared data to the program. Each must behave as the manifest
# says: `error` = exit status 3, nothing on standard output, one line on standard error that names
# the file; `accept` = exit status 0; `either` = one of these. Never a crash, a hang (2 s) or a huge
# allocation (512 MB of address space).
#   check_badinput.sh NETMEND BADINPUT_DIR KIND [sanitized]
# KIND is one of the manifest: onnx nnet npy csv idx cifar-bin vnnlib vnnlib.gz. Sanitizers reserve terabytes of
# address space and are slow, so for them only the time is limited, to 10 s.
# Exit status: 0; 1 some file behaves otherwise; 77 no such data.
set -eu

netmend=$1
data=$2
kind=$3
limits='ulimit -v 524288; exec timeout 2'
[ "${4:-}" != sanitized ] || limits='exec timeout 10'
[ -d "$data" ] || { echo "skipped: no $data"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A net of one dense layer, all weights 0.5: N_IN N_OUT; .nnet text on standard output.
dense_net() {
    awk -v n_in="$1" -v n_out="$2" '
        function row(n, value,    i) {
            for (i = 0; i < n; i++)
                printf "%s,", value
            print ""
        }
        BEGIN {
            printf "1,%d,%d,%d,\n%d,%d,\n0,\n", n_in, n_out, (n_in > n_out ? n_in : n_out), n_in, n_out
            row(n_in, -1e6)
            row(n_in, 1e6)
            row(n_in + 1, 0)
            row(n_in + 1, 1)
            for (o = 0; o < n_out; o++)
                row(n_in, 0.5)
            for (o = 0; o < n_out; o++)
                row(1, 0)
        }'
}

zeros() {
    dd if=/dev/zero bs="$1" count=1 2>/dev/null
}

# Good partners, so that a file is refused for its own fault and not for a missing one.
make_partners() {
    case $kind in
    npy) dense_net 3 2 >"$work/net.nnet" ;;
    csv | vnnlib*) cp "$data/good_tiny.onnx" "$work/net.onnx" ;;
    idx)
        dense_net 784 10 >"$work/net.nnet"
        { printf '\0\0\010\003\0\0\0\001\0\0\0\034\0\0\0\034'; zeros 784; } >"$work/good.idx"
        ;;
    cifar-bin)
        dense_net 3072 10 >"$work/net.nnet"
        zeros 3073 >"$work/good.bin"
        ;;
    esac
}

run_netmend() {
    case $kind in
    onnx | nnet) set -- info "$1" ;;
    csv) set -- eval "$work"/net.* --test "$1" --label-column 2 ;;
    vnnlib*) set -- verify "$work"/net.* "$1" ;; # all that are accepted hold
    *) set -- eval "$work"/net.* --test "$1" ;;
    esac
    sh -c "$limits"' "$@"' sh "$netmend" "$@" >"$work/out" 2>"$work/err" </dev/null
}

is_clear_error() {
    [ "$1" -eq 3 ] && [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] &&
        grep -qF "$(basename "$2")" "$work/err"
}

n_cases=0
n_wrong=0
# check FILE error|accept|either
check() {
    status=0
    run_netmend "$1" || status=$?
    n_cases=$((n_cases + 1))
    case $2 in
    error) ! is_clear_error "$status" "$1" || return 0 ;;
    accept) [ "$status" -ne 0 ] || return 0 ;;
    either)
        if [ "$status" -eq 0 ] || is_clear_error "$status" "$1"; then
            return 0
        fi
        ;;
    esac
    n_wrong=$((n_wrong + 1))
    echo "$(basename "$1"): expected $2, got exit status $status and"
    head -n 3 "$work/out" | cut -c 1-200 | sed 's/^/  out: /'
    head -n 5 "$work/err" | cut -c 1-200 | sed 's/^/  err: /'
}

make_partners
for good in "$work"/good.*; do
    [ ! -e "$good" ] || check "$good" accept
done

# A row's first two fields are bare; what is wrong may be quoted and hold commas; the field after
# it says what to expect.
awk -v kind="$kind" '
    NR > 1 {
        split($0, field, ",")
        if (field[2] != kind)
            next
        rest = $0
        gsub(/"[^"]*"/, "quoted", rest)
        split(rest, plain, ",")
        print field[1], plain[4]
    }' "$data/manifest.csv" >"$work/cases"
[ -s "$work/cases" ] || { echo "no case of kind $kind in $data/manifest.csv"; exit 1; }
while read -r file expected; do
    check "$data/$file" "$expected"
done <"$work/cases"

echo "$n_cases files of kind $kind, $n_wrong not as expected"
[ "$n_wrong" -eq 0 ]
