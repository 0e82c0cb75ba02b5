#include "repair/judge.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/compare.h"
#include "repair/confirm.h"
#include "repair/misses.h"

static bool is_within(float value, double old, double lo, double hi)
{
    return (double)value - old <= hi && (double)value - old >= lo;
}

/* The float32 nearest to old + change whose distance from old stays within lo..hi; old itself where
   there is none (bounds closer than float32 can tell). */
static double round_within(double old, double change, double lo, double hi)
{
    float value = (float)(old + fmin(fmax(change, lo), hi));

    if (!is_within(value, old, lo, hi))
        value = nextafterf(value, (float)old);
    return is_within(value, old, lo, hi) ? (double)value : old;
}

static nm_status round_block(const nm_net *net, const nm_plan *plan, const nm_params *params,
                             const nm_param_block *block, const double *delta, double *rounded,
                             nm_net *out, nm_err *err)
{
    nm_status rc = NM_OK;
    double *values = NULL;

    NM_TRY(nm_alloc(&values, (size_t)nm_block_tensor_size(net, block), sizeof *values, err));
    NM_TRY(nm_net_get_layer(net, block->layer, block->bias, values, err));
    for (int64_t i = 0; i < block->n; i++) {
        double *value = &values[block->entry ? block->entry[i] : i];
        double old = *value, change = delta[block->first + i];

        if (change != 0)
            *value = round_within(old, change, nm_param_lo(plan, params, block->first + i),
                                  nm_param_hi(plan, params, block->first + i));
        if (!(fabs(change) < INFINITY) || !(fabs(*value) <= (double)FLT_MAX))
            NM_THROW(err, NM_E_INTERNAL,
                     "layer %d: %s %lld is to change by %g, expected a finite float32 result",
                     block->layer, block->bias ? "bias" : "weight", (long long)i, change);
        rounded[block->first + i] = *value - old;
    }
    NM_TRY(nm_net_set_layer(out, block->layer, block->bias, values, err));
done:
    nm_free(values);
    return rc;
}

/* Whether the file will hold other values than the net does. */
static bool loses_digits(const nm_net *net, int layer)
{
    const nm_op *op = &net->ops[net->layers[layer].op];

    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *t = nm_op_constant(net, op, i);

        for (int64_t k = 0; t && t->dtype == NM_F32 && k < t->size; k++)
            if ((double)t->f32[k] != t->f64[k])
                return true;
    }
    return false;
}

/* Weights that were set as doubles become what the file will hold. */
static nm_status round_layer(nm_net *net, int layer, bool bias, nm_err *err)
{
    nm_layer_info info;
    double *values = NULL;
    int64_t n;
    nm_status rc = NM_OK;

    NM_TRY(nm_net_layer_info(net, layer, &info, err));
    n = bias ? info.n_biases : info.n_weights;
    NM_TRY(nm_alloc(&values, (size_t)n, sizeof *values, err));
    if (n == 0)
        goto done;
    NM_TRY(nm_net_get_layer(net, layer, bias, values, err));
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)(float)values[i];
    NM_TRY(nm_net_set_layer(net, layer, bias, values, err));
done:
    nm_free(values);
    return rc;
}

nm_status nm_as_written(const nm_net *net, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = NULL;
    for (int layer = 0; rc == NM_OK && layer < net->n_layers; layer++) {
        if (!loses_digits(net, layer))
            continue;
        if (!*out)
            NM_TRY(nm_net_clone(net, out, err));
        NM_TRY(round_layer(*out, layer, false, err));
        NM_TRY(round_layer(*out, layer, true, err));
    }
done:
    if (rc != NM_OK) {
        nm_net_free(*out);
        *out = NULL;
    }
    return rc;
}

nm_status nm_round_repair(const nm_net *net, const nm_plan *plan, const nm_params *params,
                          const double *delta, double *rounded, nm_net **out, nm_err *err)
{
    nm_status rc = nm_net_clone(net, out, err);

    for (int i = 0; rc == NM_OK && i < params->n_blocks; i++)
        rc = round_block(net, plan, params, &params->blocks[i], delta, rounded, *out, err);
    if (rc != NM_OK) {
        nm_net_free(*out);
        *out = NULL;
    }
    return rc;
}

/* Second-order terms beyond this share are not worth forcing the margins up for. */
static const double reach_factor = 16;

bool nm_deploy_in_reach(const nm_deploy *deploy, int64_t p)
{
    return deploy->rigorous[p] <= reach_factor * deploy->first_order[p];
}

double nm_deploy_bound(const nm_deploy *deploy, nm_safe safe, int64_t p)
{
    if (safe == NM_SAFE_NONE)
        return 0;
    if (safe == NM_SAFE_PROBABLE)
        return deploy->probable[p];
    if (safe == NM_SAFE_FIRST_ORDER)
        return 2 * deploy->first_order[p];
    return nm_deploy_in_reach(deploy, p) ? deploy->rigorous[p] : 2 * deploy->first_order[p];
}

bool nm_deploy_passes(const nm_deploy *deploy, nm_safe safe, int64_t p)
{
    if (!(deploy->margin[p] > 0))
        return false;
    if (safe == NM_SAFE_ANY_ORDER && nm_deploy_in_reach(deploy, p))
        return deploy->safe[p];
    return deploy->margin[p] > nm_deploy_bound(deploy, safe, p);
}

/* Smallest score[target] - score[other] of each point, in float64. */
static nm_status find_margins(nm_ctx *ctx, const nm_net *net, const float *x, const int64_t *target,
                              int64_t n, double *margin, nm_err *err)
{
    int64_t size = net->values[net->scores].size;
    double *scores = NULL;
    nm_status rc = nm_alloc(&scores, (size_t)n, (size_t)size * sizeof *scores, err);

    if (rc == NM_OK)
        rc = nm_compare_scores_f64(ctx, net, NULL, x, n, scores, NULL, err);
    for (int64_t p = 0; rc == NM_OK && p < n; p++)
        margin[p] = nm_smallest_gap_f64(scores + p * size, size, target[p]);
    nm_free(scores);
    return rc;
}

/* What a written repair is judged by. */
struct judging {
    nm_ctx *ctx;
    const nm_net *net;
    const char *path;
    const float *x;
    const int64_t *target;
    int64_t n;
    const bool *must;
    nm_safe safe;
    nm_deploy *deploy;
};

/* Formats that write another structure: margins differ by no more than rounding the parameters to
   float32 explains. */
static nm_status check_close(const struct judging *j, nm_err *err)
{
    double *meant = NULL;
    nm_status rc = nm_alloc(&meant, (size_t)j->n, sizeof *meant, err);

    if (rc == NM_OK)
        rc = find_margins(j->ctx, j->net, j->x, j->target, j->n, meant, err);
    for (int64_t p = 0; rc == NM_OK && p < j->n; p++)
        if (!(fabs(meant[p] - j->deploy->margin[p]) <= j->deploy->first_order[p]))
            rc = nm_fail(err, NM_E_INTERNAL,
                         "%s: point %lld has the margin %.9g in memory but %.9g in the file as "
                         "written: the file was not kept",
                         j->path, (long long)p, meant[p], j->deploy->margin[p]);
    nm_free(meant);
    return rc;
}

/* Where the file holds the network that was judged, to the last bit, that judgement is the file's.
 */
static nm_status judge_file(void *user, const nm_net *read_back, nm_err *err)
{
    const struct judging *j = user;
    nm_status rc = NM_OK;

    if (j->deploy->n != j->n || nm_first_difference(j->net, read_back) < j->net->n_ops) {
        nm_deploy_clear(j->deploy);
        rc = nm_deploy_check(j->ctx, read_back, j->x, j->target, j->n, true, j->deploy, err);
        if (rc == NM_OK)
            rc = check_close(j, err);
    }
    for (int64_t p = 0; rc == NM_OK && p < j->n; p++)
        if ((!j->must || j->must[p]) && !nm_deploy_passes(j->deploy, j->safe, p))
            rc = nm_fail(err, NM_E_INTERNAL,
                         "%s: point %lld passed in memory but not in the file as written "
                         "(margin %.9g): the file was not kept",
                         j->path, (long long)p, j->deploy->margin[p]);
    return rc;
}

nm_status nm_write_judged(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                          const int64_t *target, int64_t n, const bool *must, nm_safe safe,
                          nm_deploy *deploy, nm_net **read_back, nm_err *err)
{
    struct judging j = {.ctx = ctx,
                        .net = net,
                        .path = path,
                        .x = x,
                        .target = target,
                        .n = n,
                        .must = must,
                        .safe = safe,
                        .deploy = deploy};
    nm_status rc = nm_write_confirmed(ctx, net, path, judge_file, &j, read_back, err);

    if (rc != NM_OK)
        nm_deploy_clear(deploy);
    return rc;
}
