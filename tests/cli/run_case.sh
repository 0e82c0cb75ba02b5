#!/bin/sh
# Runs one case of the command line: the commands of a .case file, in an empty folder, and what
# is to come of each. Lines of a case:
#   # text                 a comment
#   needs shared           skip the case when the shared data ($SHARED in commands) is absent
#   needs mpi              the same when there is no mpirun, or the build has no MPI
#   $ command              run by sh with netmend in the PATH; earlier commands have left their files
#   exit N                 its exit status (not given: 0)
#   out PATTERN            some line of standard output matches the shell pattern as a whole
#   err PATTERN            the same of standard error
#   out none, err none     nothing was printed there
#   err lines N            so many lines there (also: out lines N)
#   out file NAME          standard output is what tests/cli/NAME holds
#   run_case.sh [--update] BIN_DIR SHARED_DATA CASE
# --update writes what was printed into the files named by `out file`. Exit status 77: skipped.
set -eu

update=no
if [ "$1" = --update ]; then
    update=yes
    shift
fi
bin=$1
PATH=$bin:$PATH
SHARED=$2
export PATH SHARED
case=$3
folder=$(cd "$(dirname "$case")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/in"

# What repairs write is checked by `netmend check`: netmend in the PATH is a script that does so.
mkdir "$work/bin" "$work/checks"
cat >"$work/bin/netmend" <<END
#!/bin/sh
exec sh '$folder/checked_netmend.sh' '$(command -v netmend)' '$work/checks' "\$@"
END
chmod +x "$work/bin/netmend"
PATH=$work/bin:$PATH

line_no=0
command=
wanted_exit=0
got_exit=0

fail() {
    echo "$case:$line_no: $*"
    echo "  command: $command"
    echo "  exit status: $got_exit"
    sed 's/^/  out: /' "$work/out"
    sed 's/^/  err: /' "$work/err"
    exit 1
}

# The exit status may be stated after other lines, so it is compared when the command's block ends.
end_block() {
    [ -z "$command" ] || [ "$got_exit" -eq "$wanted_exit" ] ||
        fail "exit status $got_exit, expected $wanted_exit"
}

run_command() {
    command=$1
    wanted_exit=0
    got_exit=0
    (cd "$work/in" && sh -c "$command") >"$work/out" 2>"$work/err" </dev/null || got_exit=$?
}

some_line_matches() {
    while IFS= read -r line; do
        # shellcheck disable=SC2254 # a pattern is wanted
        case $line in $2) return 0 ;; esac
    done <"$1"
    return 1
}

check_file() {
    if [ "$update" = yes ]; then
        cp "$work/out" "$folder/$1"
    else
        diff -u "$folder/$1" "$work/out" || fail "standard output is not what $1 holds"
    fi
}

# check_stream out|err EXPECTATION
check_stream() {
    stream=$work/$1
    case $2 in
    none) [ ! -s "$stream" ] || fail "$1 is not empty" ;;
    'lines '*) [ "$(wc -l <"$stream")" -eq "${2#lines }" ] || fail "$1 has not ${2#lines } lines" ;;
    'file '*) check_file "${2#file }" ;;
    *) some_line_matches "$stream" "$2" || fail "no line of $1 matches: $2" ;;
    esac
}

while IFS= read -r text || [ -n "$text" ]; do
    line_no=$((line_no + 1))
    case $text in
    '' | '#'*) ;;
    'needs shared')
        [ -d "$SHARED" ] || { echo "skipped: no $SHARED"; exit 77; }
        ;;
    'needs mpi')
        if ! command -v mpirun >/dev/null || ! ldd "$bin/netmend" | grep -q libmpi; then
            echo "skipped: no mpirun, or built without MPI"
            exit 77
        fi
        ;;
    '$ '*)
        end_block
        run_command "${text#??}"
        ;;
    'exit '*) wanted_exit=${text#exit } ;;
    'out '* | 'err '*)
        [ -n "$command" ] || fail "an expectation before any command"
        check_stream "${text%% *}" "${text#* }"
        ;;
    *) fail "what is this: $text" ;;
    esac
done <"$case"
[ -n "$command" ] || { echo "$case: no command"; exit 1; }
end_block
