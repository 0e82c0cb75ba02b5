# What a sweep's table says of its edit heuristics: a line each, best mean drawdown first, and how the
# automatic choice compares. Means are over the sets (and sizes, strategies, seeds) that every
# heuristic of the table repaired, so that they are about the same tasks.
#   awk -f bench/csv.awk -f bench/irdnn_table.awk OUT.csv
# "against auto": points of drawdown that auto loses more than this heuristic (negative: less).
{
    edit = $column["edit"]
    task = $column["set"] SUBSEP $column["size"] SUBSEP $column["strategy"] SUBSEP $column["seed"]
    if (!(edit in rows)) order[++n_edits] = edit
    rows[edit]++
    tasks[task]
    solved = $column["status"] == "repaired" || $column["status"] == "partly"
    decided[edit] += solved || $column["status"] == "infeasible"
    if (!solved) next
    drawdown[edit, task] = $column["drawdown_points"]
    accuracy[edit, task] = $column["accuracy_after"]
    gain[edit, task] = $column["generalization_points"]
}
END {
    for (task in tasks) {
        common[task] = 1
        for (i = 1; i <= n_edits; i++) if (!((order[i], task) in drawdown)) delete common[task]
    }
    for (i = 1; i <= n_edits; i++) summarise(order[i])
    for (i = 1; i <= n_edits; i++)
        for (j = i + 1; j <= n_edits; j++)
            if (mean[order[j]] < mean[order[i]]) { t = order[i]; order[i] = order[j]; order[j] = t }
    printf "%-24s %9s %9s %9s %9s %9s %13s\n", "edit", "decided", "drawdown", "worst", "accuracy", "fresh", "against auto"
    for (i = 1; i <= n_edits; i++) {
        e = order[i]
        printf "%-24s %4d/%4d %9.2f %9.2f %9.4f %9.2f %13.2f\n", e, decided[e], rows[e], mean[e], worst[e], mean_accuracy[e], mean_gain[e], mean["auto"] - mean[e]
    }
    printf "means over %d tasks that all repaired\n", n_common
}
function summarise(e,    task) {
    n_common = 0
    worst[e] = -1e9
    for (task in common) {
        n_common++
        mean[e] += drawdown[e, task]
        mean_accuracy[e] += accuracy[e, task]
        mean_gain[e] += gain[e, task]
        if (drawdown[e, task] + 0 > worst[e]) worst[e] = drawdown[e, task]
    }
    if (n_common == 0) return
    mean[e] /= n_common
    mean_accuracy[e] /= n_common
    mean_gain[e] /= n_common
}
