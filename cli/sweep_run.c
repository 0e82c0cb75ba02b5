#include "sweep_run.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "repair_layer.h"
#include "sweep_recipe.h"
#include "sweep_report.h"

/* -- what all rows share ----------------------------------------------------------------------- */

static nm_status load_sets(nm_cli *cli, const nm_repair_args *args, nm_sweep_task *t, nm_err *err)
{
    const struct {
        const nm_data_set *set;
        nm_points *points;
        nm_data_use use;
    } sets[] = {
        {&args->inputs, &t->pool, {"--inputs", t->net, true, "--labels"}},
        {&args->keep, &t->keep, {"--keep", t->net, true, "--keep-labels"}},
        {&args->reference, &t->reference, {"--reference", t->net, false, NULL}},
        {&args->validation, &t->validation, {"--validation", t->net, true, "--validation-labels"}},
        {&args->test, &t->test, {"--test", t->net, true, "--test-labels"}},
        {&args->similar, &t->similar, {"--similar", t->net, true, "--similar-labels"}},
    };
    nm_status rc = NM_OK;

    for (size_t i = 0; rc == NM_OK && i < sizeof sets / sizeof *sets; i++)
        rc = nm_data_load(cli, sets[i].set, &args->prep, &sets[i].use, sets[i].points, err);
    return rc;
}

/* Without a test set the pool is what is measured on. */
static nm_status choose_test(nm_sweep_task *t, nm_err *err)
{
    const nm_repair_args *args = t->args;
    nm_status rc = NM_OK;

    t->test_is_pool = !args->test.path || strcmp(args->test.path, args->inputs.path) == 0;
    if (!args->test.path) {
        rc = nm_points_from_arrays(t->pool.x, t->pool.n, t->pool.n_in, t->pool.labels, &t->test,
                                   err);
        if (rc == NM_OK)
            memcpy(t->test.rows, t->pool.rows, (size_t)t->pool.n * sizeof *t->pool.rows);
    }
    return rc;
}

/* What the network gives at the sets that every row looks at: the context keeps it, and workers
   find it there. */
static nm_status look_ahead(nm_cli *cli, const nm_sweep_task *t, nm_err *err)
{
    const nm_points *sets[] = {&t->keep, &t->reference, &t->validation, &t->similar};
    nm_status rc = NM_OK;

    for (size_t i = 0; rc == NM_OK && i < sizeof sets / sizeof *sets; i++) {
        float *scores;

        if (sets[i]->n == 0)
            continue;
        rc = nm_cli_alloc(&scores, sets[i]->n, (size_t)nm_net_n_out(t->net) * sizeof *scores, err);
        if (rc == NM_OK)
            rc = nm_scores(cli->ctx, t->net, sets[i]->x, sets[i]->n, scores, err);
        free(scores);
    }
    return rc;
}

nm_status nm_sweep_task_open(nm_cli *cli, const nm_repair_args *args, nm_sweep_task *out,
                             nm_err *err)
{
    nm_status rc = NM_OK;
    size_t each;

    *out = (nm_sweep_task){.args = args};
    NM_CLI_TRY(nm_net_load(cli->ctx, args->model, &out->net, err));
    NM_CLI_TRY(load_sets(cli, args, out, err));
    NM_CLI_TRY(choose_test(out, err));
    NM_CLI_TRY(nm_evaluate(cli->ctx, out->net, &out->test, false, NULL, &out->before, err));
    each = (size_t)nm_net_n_out(out->net) * sizeof *out->pool_scores;
    NM_CLI_TRY(nm_cli_alloc(&out->pool_scores, out->pool.n, each, err));
    NM_CLI_TRY(nm_scores(cli->ctx, out->net, out->pool.x, out->pool.n, out->pool_scores, err));
    NM_CLI_TRY(look_ahead(cli, out, err));
done:
    return rc;
}

void nm_sweep_task_close(nm_sweep_task *task)
{
    nm_points_free(&task->pool);
    nm_points_free(&task->keep);
    nm_points_free(&task->reference);
    nm_points_free(&task->validation);
    nm_points_free(&task->test);
    nm_points_free(&task->similar);
    nm_eval_report_free(&task->before);
    nm_net_free(task->net);
    free(task->pool_scores);
    *task = (nm_sweep_task){0};
}

/* -- labels ------------------------------------------------------------------------------------ */

void nm_sweep_label(const nm_sweep_cell *cell, const char *task, nm_row *row)
{
    char text[32];

    nm_row_text(row, NM_COL_EDIT, cell->edit.name);
    nm_row_text(row, NM_COL_SET, cell->set.name);
    nm_row_text(row, NM_COL_STRATEGY, cell->strategy);
    nm_row_text(row, NM_COL_NORM, cell->norm ? cell->norm : "");
    if (cell->size == INT64_MAX)
        nm_row_text(row, NM_COL_SIZE, "all");
    else
        nm_row_number(row, NM_COL_SIZE, (double)cell->size);
    (void)snprintf(text, sizeof text, "%" PRId64, cell->seed);
    nm_row_text(row, NM_COL_SEED, text);
    nm_row_text(row, NM_COL_TASK, task);
}

/* -- one row ----------------------------------------------------------------------------------- */

struct run {
    nm_cli *cli;
    const nm_sweep_task *task;
    const nm_sweep_cell *cell;
    nm_repair_args args;
    nm_repair_opts opts;
    nm_row *row;
    const char *details;
    nm_selection chosen;
    nm_points repair;
    nm_edit_choice edit;
    nm_net *fixed;
    nm_repair_report report;
    nm_strategy_report passes;
};

static nm_repair_task task_of(const struct run *r)
{
    const nm_sweep_task *t = r->task;

    return (nm_repair_task){.repair = &r->repair,
                            .keep = r->args.keep.path ? &t->keep : NULL,
                            .reference = r->args.reference.path ? &t->reference : NULL,
                            .validation = t->validation.n > 0 ? &t->validation : NULL,
                            .similar = t->similar.n > 0 ? &t->similar : NULL};
}

static nm_status choose(struct run *r, nm_err *err)
{
    nm_repair_task task;
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_select_scored(r->cli->ctx, r->task->net, &r->task->pool, r->task->pool_scores,
                                r->cell->set.use, r->cell->size, (uint64_t)r->cell->seed,
                                &r->chosen, err));
    if (r->chosen.n == 0)
        goto done;
    NM_CLI_TRY(nm_points_subset(&r->task->pool, r->chosen.indices, r->chosen.n, &r->repair, err));
    task = task_of(r);
    NM_CLI_TRY(nm_edit_choose(r->cli->ctx, r->task->net, &task, &r->opts, &r->task->pool,
                              (nm_free_kind)r->args.free_kind, r->cell->edit.use, &r->edit, err));
    NM_CLI_TRY(nm_repair_plan_finish(&r->args, r->edit.plan, r->cell->edit.name, err));
done:
    return rc;
}

/* Whether there is a change at all does not depend on the norm where one program decides, and the
   active-set method of l2 proves that there is none in a fraction of the time the others take. */
static nm_status probe(struct run *r, bool *infeasible, nm_err *err)
{
    enum { LARGE = 100 };
    nm_repair_task task = task_of(r);
    nm_repair_opts opts = r->opts;
    nm_repair_report report;
    nm_status rc;

    *infeasible = false;
    if (opts.method != NM_METHOD_APRNN || opts.norm == NM_NORM_L2 || opts.elastic ||
        r->repair.n < LARGE || isnan(opts.margin) || opts.safe != NM_SAFE_NONE)
        return NM_OK;
    task.similar = NULL;
    opts.norm = NM_NORM_L2;
    opts.norm_includes_outputs = false;
    opts.max_rounds = 1;
    rc = nm_repair(r->cli->ctx, r->task->net, r->edit.plan, &task, &opts, NULL, NULL, &report, err);
    if (rc != NM_OK)
        return rc;
    *infeasible = report.outcome == NM_INFEASIBLE;
    if (*infeasible)
        r->report = report;
    else
        nm_repair_report_free(&report);
    return NM_OK;
}

static nm_status repair_once(struct run *r, nm_err *err)
{
    nm_strategy_opts how = nm_repair_args_strategy(&r->args);
    nm_repair_task task = task_of(r);
    bool infeasible = false;
    nm_status rc = how.strategy == NM_STRATEGY_FULL ? probe(r, &infeasible, err) : NM_OK;

    if (rc != NM_OK || infeasible)
        return rc;
    if (how.strategy != NM_STRATEGY_FULL)
        task.test = &r->task->test;
    rc = nm_strategy_run(r->cli->ctx, r->task->net, r->edit.plan, &task, &r->opts, &how, NULL,
                         &r->fixed, &r->report, &r->passes, err);
    return rc;
}

/* As `netmend repair` does where the layer was chosen and the repair does not succeed there: it is
   tried in the next two. */
static nm_status repair(struct run *r, nm_err *err)
{
    enum { MAX_NEXT = 2 };
    bool chosen = strcmp(r->cell->edit.use, "auto") == 0;
    int n_next = 0;
    nm_status rc = repair_once(r, err);

    for (int k = 0; rc == NM_OK && chosen && k < r->edit.n_order && n_next < MAX_NEXT; k++) {
        if (r->fixed || nm_ctx_cancelled(r->cli->ctx))
            break;
        if (r->edit.order[k] == r->edit.best)
            continue;
        n_next++;
        nm_repair_report_free(&r->report);
        nm_strategy_report_free(&r->passes);
        nm_plan_free(r->edit.plan);
        r->edit.plan = NULL;
        NM_CLI_TRY(nm_plan_new(r->task->net, &r->edit.plan, err));
        NM_CLI_TRY(
            nm_plan_mark(r->edit.plan, r->edit.order[k], (nm_free_kind)r->args.free_kind, err));
        NM_CLI_TRY(nm_repair_plan_finish(&r->args, r->edit.plan, r->cell->edit.name, err));
        rc = repair_once(r, err);
    }
done:
    return rc;
}

/* -- measuring --------------------------------------------------------------------------------- */

static bool is_repaired(const struct run *r, int64_t row)
{
    for (int64_t i = 0; i < r->repair.n; i++)
        if (r->repair.rows[i] == row)
            return true;
    return false;
}

/* Accuracy lost on test points that are not repaired themselves. */
static void measure_drawdown(struct run *r, const nm_eval_report *report)
{
    const nm_points *test = &r->task->test;
    int64_t n = 0, before = 0, after = 0;

    for (int64_t p = 0; p < test->n; p++) {
        if (r->task->test_is_pool && is_repaired(r, test->rows[p]))
            continue;
        n++;
        before += r->task->before.predicted[p] == test->labels[p];
        after += report->predicted[p] == test->labels[p];
    }
    if (n > 0)
        nm_row_number(r->row, NM_COL_DRAWDOWN, 100 * (double)(before - after) / (double)n);
}

static nm_status measure(struct run *r, nm_err *err)
{
    const nm_repair_report *report = &r->report;
    nm_eval_report after;
    nm_status rc;

    if (!r->fixed)
        return NM_OK;
    rc = nm_evaluate(r->cli->ctx, r->fixed, &r->task->test, false, NULL, &after, err);
    if (rc != NM_OK)
        return rc;
    nm_row_number(r->row, NM_COL_ACCURACY_AFTER, after.accuracy);
    nm_row_number(r->row, NM_COL_LOSS_AFTER, after.loss);
    measure_drawdown(r, &after);
    nm_eval_report_free(&after);
    nm_row_number(r->row, NM_COL_EFFICACY,
                  (double)report->repair.right_after / (double)report->repair.n);
    nm_row_number(r->row, NM_COL_GENERALIZATION,
                  100 * (report->similar.after - report->similar.before));
    nm_row_number(r->row, NM_COL_OBJECTIVE, report->objective);
    nm_row_number(r->row, NM_COL_LINF, report->change_linf);
    nm_row_number(r->row, NM_COL_L2, report->change_l2);
    return NM_OK;
}

/* Numbers with '+' between, as many as fit. */
static void put_list(nm_row *row, nm_column column, const nm_points *points, const int64_t *list,
                     int64_t n)
{
    char text[NM_CELL_TEXT];
    size_t used = 0;

    text[0] = '\0';
    for (int64_t i = 0; i < n && used + 24 < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%" PRId64, i ? "+" : "",
                                 points->rows[list[i]]);
    nm_row_text(row, column, text);
}

static void put_layers(struct run *r)
{
    char text[NM_CELL_TEXT];
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < nm_net_n_layers(r->task->net) && used + 16 < sizeof text; i++)
        if (r->edit.plan && nm_plan_edits(r->edit.plan, i))
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", used ? "+" : "", i);
    nm_row_text(r->row, NM_COL_LAYERS, text);
}

static void put_report(struct run *r)
{
    nm_row_text(r->row, NM_COL_STATUS, nm_outcome_name(r->report.outcome));
    nm_row_number(r->row, NM_COL_N_FREE, (double)nm_plan_n_free(r->edit.plan));
    nm_row_text(r->row, NM_COL_REASON, r->report.reason);
    put_list(r->row, NM_COL_CONFLICT, &r->repair, r->report.conflict, r->report.n_conflict);
}

/* A heuristic that has no answer, a plan without parameters: results of the row. */
static nm_status put_failure(struct run *r, nm_status status, nm_err *err)
{
    if (status == NM_E_NOMEM || status == NM_E_CANCELLED || status == NM_E_INTERNAL)
        return status;
    nm_row_text(r->row, NM_COL_STATUS, status == NM_E_LIMIT ? "limit" : "error");
    nm_row_text(r->row, NM_COL_REASON, err->text);
    *err = (nm_err){0};
    return NM_OK;
}

static nm_status run_steps(struct run *r, nm_err *err)
{
    nm_status rc = choose(r, err);

    nm_row_number(r->row, NM_COL_N_SET, (double)r->chosen.n);
    if (rc == NM_OK && r->chosen.n == 0) {
        nm_row_text(r->row, NM_COL_STATUS, "empty");
        nm_row_text(r->row, NM_COL_REASON, "no point qualifies");
        return NM_OK;
    }
    if (rc == NM_OK)
        rc = repair(r, err);
    if (rc == NM_OK) {
        put_report(r);
        nm_ctx_set_time_limit(r->cli->ctx, INFINITY);
        rc = measure(r, err);
    }
    put_layers(r);
    return rc == NM_OK ? NM_OK : put_failure(r, rc, err);
}

/* For a report. A folder that cannot be written ends the sweep: the row itself is well. */
static nm_status write_details(struct run *r, nm_err *err)
{
    nm_repair_task task = task_of(r);

    if (!r->details || r->repair.n == 0)
        return NM_OK;
    task.test = &r->task->test;
    return nm_sweep_details_write(r->cli, r->details, r->task->net, r->fixed, &task, &r->passes,
                                  err);
}

nm_status nm_sweep_run(nm_cli *cli, const nm_sweep_task *task, const nm_sweep_cell *cell,
                       double time_limit_s, const char *details, nm_row *row, nm_err *err)
{
    struct run r = {.cli = cli,
                    .task = task,
                    .cell = cell,
                    .args = *task->args,
                    .row = row,
                    .details = details};
    double start = nm_term_now();
    nm_status rc = NM_OK;

    r.args.common.seed = cell->seed;
    rc = nm_sweep_set_strategy(&r.args, cell->strategy, err);
    if (rc == NM_OK)
        rc = nm_sweep_set_recipe(&r.args, &cell->edit, err);
    if (rc == NM_OK && cell->norm)
        rc = nm_repair_args_set(&r.args, "norm", cell->norm, err);
    nm_repair_args_fill(&r.args);
    r.opts = nm_repair_args_opts(&r.args);
    nm_row_number(row, NM_COL_ACCURACY_BEFORE, task->before.accuracy);
    nm_ctx_set_time_limit(cli->ctx, time_limit_s);
    rc = rc == NM_OK ? run_steps(&r, err) : put_failure(&r, rc, err);
    nm_row_number(row, NM_COL_TIME, nm_term_now() - start);
    if (rc == NM_OK)
        rc = write_details(&r, err);
    row->done = rc == NM_OK;
    nm_selection_free(&r.chosen);
    nm_points_free(&r.repair);
    nm_edit_choice_free(&r.edit);
    nm_repair_report_free(&r.report);
    nm_strategy_report_free(&r.passes);
    nm_net_free(r.fixed);
    return rc;
}
