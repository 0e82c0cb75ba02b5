#include "choose/trial.h"

#include "base/mem.h"

static nm_status open_params(const nm_prediction *task, int layer, nm_params **params, nm_err *err)
{
    nm_plan *plan = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_plan_new(task->net, &plan, err));
    NM_TRY(nm_plan_mark(plan, layer, task->what, err));
    NM_TRY(nm_params_new(plan, params, err));
done:
    nm_plan_free(plan);
    return rc;
}

/* Margins that nobody asked for must not be why there is no repair. */
static nm_status walk(const nm_ctx *ctx, const nm_prediction *task, const nm_params *params,
                      const nm_metric *metric, int most, double *delta, nm_steps *steps,
                      nm_err *err)
{
    nm_prediction least = *task;
    nm_status rc = nm_steps_walk(ctx, task, params, metric, most, delta, steps, err);

    if (rc != NM_OK || !steps->stalled || !(task->least_margin < task->margin))
        return rc;
    least.margin = task->least_margin;
    return nm_steps_walk(ctx, &least, params, metric, most, delta, steps, err);
}

nm_status nm_trial_run(const nm_ctx *ctx, const nm_prediction *task, const nm_metric *metric,
                       int layer, int most, const nm_trial_points *points, nm_trial *out,
                       nm_err *err)
{
    int64_t n_scores = task->net->values[task->net->scores].size;
    nm_params *params = NULL;
    nm_net *net = NULL;
    double *delta = NULL;
    float *after = NULL;
    nm_status rc = NM_OK;

    *out = (nm_trial){0};
    NM_TRY(open_params(task, layer, &params, err));
    NM_TRY(nm_alloc(&delta, (size_t)params->n, sizeof *delta, err));
    NM_TRY(walk(ctx, task, params, metric, most, delta, &out->steps, err));
    NM_TRY(nm_alloc(&after, (size_t)points->n, (size_t)n_scores * sizeof *after, err));
    NM_TRY(nm_alloc(&out->fate, (size_t)points->n, sizeof *out->fate, err));
    NM_TRY(nm_net_clone(task->net, &net, err));
    NM_TRY(nm_params_apply(params, task->net, delta, net, err));
    NM_TRY(nm_scores_of(ctx, net, points->x, points->n, after, err));
    out->change =
        nm_scores_compare(points->before, after, points->labels, points->n, n_scores, out->fate);
done:
    if (rc != NM_OK) {
        nm_free(out->fate);
        out->fate = NULL;
    }
    nm_params_free(params);
    nm_net_free(net);
    nm_free(delta);
    nm_free(after);
    return rc;
}
