# The automatic choice against the best single heuristic, task by task (set, size, strategy, seed) of a
# sweep's table: drawdown and, where there are fresh points, what they lose, both in points of accuracy.
# The best is picked afterwards, by the figure itself: no choice made before a repair can know it.
#   awk -f bench/csv.awk -f bench/irdnn_auto.awk OUT.csv
# "worse" is what auto loses more, in points, and as a share of the best where that loses anything.
# A plain "-" stands for gains, of which no share can be taken.
{
    edit = $column["edit"]
    task = $column["set"] " " $column["size"]
    if ($column["strategy"] != "full") task = task " " $column["strategy"]
    if ($column["seed"] != 0) task = task " seed " $column["seed"]
    if (!(task in known)) { known[task]; tasks[++n_tasks] = task }
    if ($column["status"] != "repaired" && $column["status"] != "partly") next
    see(edit, task, "drawdown", $column["drawdown_points"])
    if ($column["generalization_points"] != "")
        see(edit, task, "fresh", -$column["generalization_points"])
}
END {
    printf "%-32s | %8s %8s %7s %6s %-24s | %8s %8s %7s\n", "", "drawdown", "", "", "", "", "lost on", "fresh", ""
    printf "%-32s | %8s %8s %7s %6s %-24s | %8s %8s %7s\n", "set, size", "auto", "best", "worse", "", "by", "auto", "best", "worse"
    for (i = 1; i <= n_tasks; i++) {
        t = tasks[i]
        if (!((t, "drawdown") in auto)) { printf "%-32s | auto did not repair it\n", t; continue }
        printf "%-32s | %8.2f %8.2f %7.2f %6s %-24s |", t, auto[t, "drawdown"], best[t, "drawdown"], worse(t, "drawdown"), share(t, "drawdown"), by[t, "drawdown"]
        if ((t, "fresh") in auto) printf " %8.2f %8.2f %7.2f", auto[t, "fresh"], best[t, "fresh"], worse(t, "fresh")
        printf "\n"
        n++
        sum += worse(t, "drawdown")
        if (worse(t, "drawdown") > most || n == 1) most = worse(t, "drawdown")
        if (best[t, "drawdown"] > 0 && auto[t, "drawdown"] > 1.25 * best[t, "drawdown"]) over++
        else if (best[t, "drawdown"] <= 0 && auto[t, "drawdown"] > 0) lost++
    }
    if (n == 0) { print "no task that auto repaired"; exit }
    printf "%d tasks: %.2f points worse on average, %.2f at most; more than 25 %% worse in %d, a loss where the best gains in %d\n", n, sum / n, most, over, lost
}
function see(edit, task, what, value) {
    if (edit == "auto") auto[task, what] = value
    else if (!((task, what) in best) || value + 0 < best[task, what] + 0) {
        best[task, what] = value
        by[task, what] = edit
    } else if (value + 0 == best[task, what] + 0 && split(by[task, what], names, " ") < 2)
        by[task, what] = by[task, what] " +"
}
function worse(task, what) { return auto[task, what] - best[task, what] }
function share(task, what) {
    return best[task, what] > 0 ? sprintf("%+.0f %%", 100 * worse(task, what) / best[task, what]) : "-"
}
