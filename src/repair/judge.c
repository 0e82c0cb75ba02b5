#include "repair/judge.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "repair/compare.h"
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

/* Formats that write another structure: margins differ by no more than rounding the parameters to
   float32 explains. */
static nm_status check_close(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                             const int64_t *target, int64_t n, const nm_deploy *deploy, nm_err *err)
{
    double *meant = NULL;
    nm_status rc = nm_alloc(&meant, (size_t)n, sizeof *meant, err);

    if (rc == NM_OK)
        rc = find_margins(ctx, net, x, target, n, meant, err);
    for (int64_t p = 0; rc == NM_OK && p < n; p++)
        if (!(fabs(meant[p] - deploy->margin[p]) <= deploy->first_order[p]))
            rc = nm_fail(err, NM_E_INTERNAL,
                         "%s: point %lld has the margin %.9g in memory but %.9g in the file as "
                         "written: the file was not kept",
                         path, (long long)p, meant[p], deploy->margin[p]);
    nm_free(meant);
    return rc;
}

nm_status nm_check_regular(const char *path, nm_err *err)
{
    struct stat info;

    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return nm_fail(err, NM_E_IO, "%s: not a regular file, expected one that can be read back",
                       path);
    return NM_OK;
}

nm_status nm_check_path(const char *path, char **out, nm_err *err)
{
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    const char *ending = dot && (!slash || dot > slash) ? dot : "";
    size_t room = strlen(path) + strlen(ending) + 32;
    nm_status rc = nm_alloc(out, room, 1, err);

    if (rc == NM_OK)
        (void)snprintf(*out, room, "%s.%ld.check%s", path, (long)getpid(), ending);
    return rc;
}

/* Judges the file `temp`, which messages call by the name it is to get. Where it holds the network
   that was judged, to the last bit, that judgement is the file's. */
static nm_status judge_file(nm_ctx *ctx, const nm_net *net, const char *temp, const char *path,
                            const float *x, const int64_t *target, int64_t n, const bool *must,
                            nm_safe safe, nm_deploy *deploy, nm_net **read_back, nm_err *err)
{
    nm_status rc = nm_net_load(ctx, temp, read_back, err);

    if (rc != NM_OK)
        return rc;
    if (deploy->n != n || nm_first_difference(net, *read_back) < net->n_ops) {
        nm_deploy_clear(deploy);
        rc = nm_deploy_check(ctx, *read_back, x, target, n, true, deploy, err);
        if (rc == NM_OK)
            rc = check_close(ctx, net, path, x, target, n, deploy, err);
    }
    for (int64_t p = 0; rc == NM_OK && p < n; p++)
        if ((!must || must[p]) && !nm_deploy_passes(deploy, safe, p))
            rc = nm_fail(err, NM_E_INTERNAL,
                         "%s: point %lld passed in memory but not in the file as written "
                         "(margin %.9g): the file was not kept",
                         path, (long long)p, deploy->margin[p]);
    return rc;
}

nm_status nm_write_judged(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                          const int64_t *target, int64_t n, const bool *must, nm_safe safe,
                          nm_deploy *deploy, nm_net **read_back, nm_err *err)
{
    nm_status rc = NM_OK;
    char *temp = NULL;

    *read_back = NULL;
    NM_TRY(nm_check_regular(path, err));
    NM_TRY(nm_check_path(path, &temp, err));
    NM_TRY(nm_net_save(ctx, net, temp, err));
    rc = judge_file(ctx, net, temp, path, x, target, n, must, safe, deploy, read_back, err);
    if (rc == NM_OK && rename(temp, path) != 0)
        rc = nm_fail(err, NM_E_IO, "%s: cannot write: %s", path, strerror(errno));
    if (rc != NM_OK)
        (void)unlink(temp);
done:
    if (rc != NM_OK) {
        nm_net_free(*read_back);
        *read_back = NULL;
        nm_deploy_clear(deploy);
    }
    nm_free(temp);
    return rc;
}
