#!/bin/sh
# Runs netmend for a case, and after a repair that succeeded has its file checked: the repair once
# more with a claim must give the same bytes, and `netmend check` must confirm the claim.
#   checked_netmend.sh NETMEND FOLDER ARGUMENTS...    FOLDER: for what is written besides
# Repairs that make no claim (in passes, of regions: the program says so) are only compared. Left
# alone are those that
#   set UNCHECKED, because a signal ends them at another point each time,
#   have a time limit, for the same reason,
#   write a claim, which the case itself checks.
# Exit status 99: not confirmed.
set -u

netmend=$1
folder=$2
shift 2
if [ "${1-}" != repair ] || [ -n "${UNCHECKED-}" ]; then
    exec "$netmend" "$@"
fi
"$netmend" "$@"
status=$?
[ "$status" -eq 0 ] || exit "$status"

# The output, and the arguments with another one in its place.
output=
is_property=no
previous=
count=$#
while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    case $argument in
    --output=*)
        output=${argument#--output=}
        argument=--output=$folder/again.onnx
        ;;
    --claim | --claim=* | --help | --time-limit | --time-limit=*) exit 0 ;;
    --property | --property=*) is_property=yes ;;
    *)
        case $previous in
        -o | --output)
            output=$argument
            argument=$folder/again.${output##*.}
            ;;
        esac
        ;;
    esac
    previous=$argument
    set -- "$@" "$argument"
done
[ -f "$output" ] || exit 0
model=$2 fixed=$folder/again.${output##*.}
[ "$is_property" = no ] || { model=$fixed fixed=-; } # the claim is about the repaired network alone

give_up() {
    echo "not confirmed: $*" >&2
    sed 's/^/  /' "$folder/check.txt" >&2
    exit 99
}

again=$folder/again.${output##*.}
rm -f "$again" "$folder/claim.json"
if ! "$netmend" "$@" --claim "$folder/claim.json" >"$folder/check.txt" 2>&1; then
    grep -q -e '--claim goes with' -e '--claim does not go with' "$folder/check.txt" ||
        give_up "the same repair with a claim fails"
    echo 'no claim' >"$folder/check.txt"
    "$netmend" "$@" >/dev/null 2>&1 || give_up "the same repair fails"
fi
cmp -s "$output" "$again" || give_up "the same repair gives another file"
if [ ! -f "$folder/claim.json" ]; then
    grep -q 'claim' "$folder/check.txt" || give_up "no claim, and no reason"
    exit 0
fi
"$netmend" check "$model" "$fixed" "$folder/claim.json" >"$folder/check.txt" 2>&1 ||
    give_up "netmend check refuses the file"
