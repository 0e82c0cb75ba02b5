#include "repair/strategy_end.h"

#include <math.h>
#include <stdio.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "net/graph.h"
#include "netmend/eval.h"
#include "problem/plan.h"
#include "repair/confirm.h"
#include "repair/judge.h"
#include "repair/measure.h"

/* -- standing ---------------------------------------------------------------------------------- */

static nm_status count_right(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                             const int64_t *labels, bool *right, int64_t *n_right, nm_err *err)
{
    int64_t *classes = NULL;
    nm_status rc = nm_alloc(&classes, (size_t)points->n, sizeof *classes, err);

    *n_right = 0;
    if (rc == NM_OK)
        rc = nm_predict(ctx, net, points->x, points->n, classes, err);
    for (int64_t p = 0; rc == NM_OK && p < points->n; p++) {
        bool is = classes[p] == labels[p];

        *n_right += is;
        if (right)
            right[p] = is;
    }
    nm_free(classes);
    return rc;
}

const nm_points *nm_strategy_judge(const nm_repair_task *task, const char **name)
{
    const struct {
        const nm_points *points;
        const char *name;
    } sets[] = {{task->validation, "validation"},
                {task->reference, "reference"},
                {task->keep, "keep"},
                {task->test, "test"}};

    *name = "";
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].points && sets[i].points->labels) {
            *name = sets[i].name;
            return sets[i].points;
        }
    return NULL;
}

static nm_status share_right(nm_ctx *ctx, const nm_net *net, const nm_points *points, double *share,
                             nm_err *err)
{
    int64_t n_right = 0;
    nm_status rc = count_right(ctx, net, points, points->labels, NULL, &n_right, err);

    if (rc == NM_OK)
        *share = (double)n_right / (double)points->n;
    return rc;
}

nm_status nm_standing_of(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                         const int64_t *target, nm_standing *out, nm_err *err)
{
    const char *name;
    const nm_points *judge = nm_strategy_judge(task, &name);
    nm_status rc = NM_OK;

    *out = (nm_standing){.accuracy = NAN, .judged = NAN};
    NM_TRY(nm_alloc(&out->right, (size_t)task->repair->n, sizeof *out->right, err));
    NM_TRY(count_right(ctx, net, task->repair, target, out->right, &out->n_right, err));
    if (task->keep)
        NM_TRY(count_right(ctx, net, task->keep, task->keep->labels, NULL, &out->keep_right, err));
    if (task->test)
        NM_TRY(share_right(ctx, net, task->test, &out->accuracy, err));
    if (judge == task->test)
        out->judged = out->accuracy;
    else if (judge == task->keep)
        out->judged = (double)out->keep_right / (double)judge->n;
    else
        NM_TRY(share_right(ctx, net, judge, &out->judged, err));
done:
    if (rc != NM_OK)
        nm_standing_clear(out);
    return rc;
}

void nm_standing_clear(nm_standing *standing)
{
    nm_free(standing->right);
    *standing = (nm_standing){0};
}

double nm_standing_drawdown(const nm_standing *before, const nm_standing *after)
{
    return 100 * (before->judged - after->judged);
}

bool nm_standing_is_better(const nm_standing *a, const nm_standing *b)
{
    if (a->n_right != b->n_right)
        return a->n_right > b->n_right;
    return a->judged > b->judged;
}

/* -- the end ----------------------------------------------------------------------------------- */

static nm_status measure_change(const nm_end *e, const nm_net *fixed, nm_repair_report *r,
                                nm_err *err)
{
    nm_params *params = NULL;
    double *before = NULL, *after = NULL, *change = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(e->plan, &params, err));
    r->n_free = params->n;
    r->n_marked = nm_plan_n_marked(e->plan);
    NM_TRY(nm_alloc(&change, (size_t)params->n, sizeof *change, err));
    for (int i = 0; fixed && i < params->n_blocks; i++) {
        const nm_param_block *b = &params->blocks[i];
        int64_t n = nm_block_tensor_size(e->net, b);

        nm_free(before);
        nm_free(after);
        before = after = NULL;
        NM_TRY(nm_alloc(&before, (size_t)n, sizeof *before, err));
        NM_TRY(nm_alloc(&after, (size_t)n, sizeof *after, err));
        NM_TRY(nm_net_get_layer(e->net, b->layer, b->bias, before, err));
        NM_TRY(nm_net_get_layer(fixed, b->layer, b->bias, after, err));
        for (int64_t k = 0; k < n; k++)
            after[k] -= before[k];
        nm_block_gather(e->net, b, after, change);
    }
    nm_measure_change(change, params->n, r);
done:
    nm_params_free(params);
    nm_free(before);
    nm_free(after);
    nm_free(change);
    return rc;
}

/* Outcome, and the points that are not repaired. */
static nm_status list_unrepaired(const nm_end *e, const nm_deploy *after, nm_repair_report *r,
                                 nm_err *err)
{
    int64_t n = e->task->repair->n;
    nm_status rc = nm_alloc(&r->unrepaired, (size_t)n, sizeof *r->unrepaired, err);

    r->repairable_at_most = n;
    for (int64_t p = 0; rc == NM_OK && p < n; p++) {
        bool right = after->margin[p] > 0;

        if (nm_deploy_passes(after, e->opts->safe, p))
            continue;
        r->unrepaired[r->n_unrepaired++] = (nm_unrepaired){
            .point = p, .why = right ? NM_LEFT_NOT_SAFE : NM_LEFT_NOT_REACHED, .conflict = -1};
    }
    r->outcome = r->n_unrepaired == 0 ? NM_REPAIRED : NM_PARTLY;
    if (r->outcome == NM_PARTLY)
        (void)snprintf(r->reason, sizeof r->reason, "the passes did not reach the others");
    return rc;
}

static nm_status judge(const nm_end *e, const nm_net *fixed, nm_repair_report *r, nm_err *err)
{
    const nm_repair_task *t = e->task;
    nm_deploy before = {0}, after = {0};
    double start = nm_now();
    nm_status rc = NM_OK;

    NM_TRY(
        nm_deploy_check(e->ctx, e->net, t->repair->x, e->target, t->repair->n, true, &before, err));
    if (fixed) {
        NM_TRY(nm_deploy_check(e->ctx, fixed, t->repair->x, e->target, t->repair->n, true, &after,
                               err));
        NM_TRY(list_unrepaired(e, &after, r, err));
    }
    r->repair = nm_measure_judged(&before, &after);
    r->s_judge = nm_now() - start;
done:
    nm_deploy_clear(&before);
    nm_deploy_clear(&after);
    return rc;
}

/* A file read back, and the report that it is judged for. */
struct judged_end {
    const nm_end *end;
    nm_repair_report *report;
};

static nm_status judge_file(void *user, const nm_net *read_back, nm_err *err)
{
    const struct judged_end *j = user;

    return judge(j->end, read_back, j->report, err);
}

/* Of the best network; where there is a path, of its file. */
static nm_status judge_best(const nm_end *e, const nm_net *best, const char *path, nm_net **out,
                            nm_repair_report *r, nm_err *err)
{
    struct judged_end j = {e, r};
    double start = nm_now();
    nm_status rc = NM_OK;

    if (best && path) {
        rc = nm_write_confirmed(e->ctx, best, path, judge_file, &j, out, err);
        r->s_write = nm_now() - start - r->s_judge;
        return rc;
    }
    if (best)
        rc = nm_net_clone(best, out, err);
    return rc == NM_OK ? judge(e, *out, r, err) : rc;
}

/* Where all points pass as they are, no pass has anything to do: the answer is the network itself.
 */
static nm_status take_original(const nm_end *e, const nm_net **best, nm_err *err)
{
    int64_t n = e->task->repair->n, passing = 0;
    nm_deploy judged = {0};
    nm_status rc =
        nm_deploy_check(e->ctx, e->net, e->task->repair->x, e->target, n, true, &judged, err);

    for (int64_t p = 0; rc == NM_OK && p < n; p++)
        passing += nm_deploy_passes(&judged, e->opts->safe, p);
    if (passing == n)
        *best = e->net;
    nm_deploy_clear(&judged);
    return rc;
}

nm_status nm_strategy_finish(const nm_end *e, const nm_net *best, const nm_strategy_report *passes,
                             const char *path, nm_net **fixed, nm_repair_report *r, nm_err *err)
{
    const nm_repair_task *t = e->task;
    double start;
    nm_net *result = NULL;
    nm_status rc = NM_OK;

    *r = (nm_repair_report){.outcome = NM_LIMIT,
                            .objective = NAN,
                            .lower_bound = NAN,
                            .gap = NAN,
                            .solver = "passes",
                            .stopped = passes->stopped && passes->stopped[0] == 'l',
                            .margin = isnan(e->opts->margin) ? 0 : e->opts->margin,
                            .judge_rounds = passes->n_passes};
    (void)snprintf(r->reason, sizeof r->reason, "no pass made more points right");
    if (!best && !r->stopped)
        NM_TRY(take_original(e, &best, err));
    if (best)
        r->reason[0] = '\0';
    else if (r->stopped)
        (void)snprintf(r->reason, sizeof r->reason, "time limit reached");
    NM_TRY(judge_best(e, best, path, &result, r, err));
    NM_TRY(nm_measure_layers(e->net, e->plan, r, err));
    NM_TRY(measure_change(e, result, r, err));
    start = nm_now();
    if (t->keep)
        NM_TRY(nm_measure_points(e->ctx, e->net, result, t->keep, &r->keep, err));
    NM_TRY(nm_measure_accuracy(e->ctx, e->net, result, t->test, &r->test, err));
    NM_TRY(nm_measure_accuracy(e->ctx, e->net, result, t->similar, &r->similar, err));
    r->s_measure = nm_now() - start;
    if (fixed) {
        *fixed = result;
        result = NULL;
    }
done:
    nm_net_free(result);
    return rc;
}
