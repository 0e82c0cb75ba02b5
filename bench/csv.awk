#!/usr/bin/awk -f
# Reading a sweep's table; goes before the script that uses it: awk -f bench/csv.awk -f SCRIPT OUT.csv
# column[NAME] is the number of a column; commas within quotes have become blanks.
BEGIN { FS = "," }
/"/ { $0 = unquoted($0) }
NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
function unquoted(line,    i, c, inside, out) {
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (c == "\"") inside = !inside
        else out = out (inside && c == "," ? " " : c)
    }
    return out
}
