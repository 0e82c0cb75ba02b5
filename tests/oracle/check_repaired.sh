#!/bin/sh
# Repairs networks and lets ONNX Runtime confirm the repaired files on every repair point.
#   check_repaired.sh NETMEND SHARED_DATA
# Exit status 77: the shared data or onnxruntime-node is absent.
set -eu

netmend=$1
data=$2
oracle=$(dirname "$0")/run.sh
[ -d "$data" ] || { echo "skipped: no $data"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# confirm MODEL POINTS LABELS N [repair option...]: repair of the first N points of the file
confirm() {
    model=$1 points=$2 labels=$3 n=$4
    shift 4
    echo "$(basename "$model"), $n points, $*"
    rm -f "$work/fixed.onnx"
    "$netmend" repair "$model" -x "$points" -y "$labels" --x-range "0:$n" -o "$work/fixed.onnx" \
        -q "$@"
    "$oracle" onnxruntime.js "$data" "$netmend" "$work/fixed.onnx" "$points" --labels "$labels" --limit "$n"
}

moons=$data/moons
for norm in linf l1 l2 linf+l1n; do
    confirm "$moons/moons_mlp.onnx" "$moons/x_mis.npy" "$moons/y_mis.npy" 19 --layer last --norm "$norm"
done
confirm "$moons/moons_mlp.onnx" "$moons/x_mis.npy" "$moons/y_mis.npy" 19 --layer 1..

# a network of our own making
"$netmend" train --data moons --epochs 5 -o "$work/own.onnx" --save-data "$work/own" >"$work/train.txt"
confirm "$work/own.onnx" "$work/own_train_x.npy" "$work/own_train_y.npy" 20 --layer 2

mnist=$data/mnist
for model in relu hardswish gelu; do
    confirm "$data/aprnn/mnist_${model}_3_100.onnx" "$mnist/t10k-fog-images-idx3-ubyte.gz" \
        "$mnist/t10k-labels-idx1-ubyte.gz" 12 --layer last
done
