#include "repair/judge_some.h"

#include <string.h>

#include "base/mem.h"

int64_t nm_judge_points(const nm_deploy *deploy, nm_safe safe, const bool *out, double asked,
                        bool *passes, bool *right)
{
    int64_t n = 0;

    for (int64_t p = 0; p < deploy->n; p++) {
        right[p] = deploy->margin[p] > 0;
        passes[p] = nm_deploy_passes(deploy, safe, p) &&
                    (!(out && out[p]) || deploy->margin[p] >= asked);
        n += passes[p];
    }
    return n;
}

nm_status nm_write_judged_some(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                               const int64_t *target, int64_t n, const bool *must, nm_safe safe,
                               nm_deploy *deploy, nm_net **read_back, nm_err *err)
{
    int64_t n_in = nm_net_n_in(net), count = 0, *wanted = NULL;
    float *some = NULL;
    nm_status rc = NM_OK;

    *read_back = NULL;
    NM_TRY(nm_alloc(&some, (size_t)n, (size_t)n_in * sizeof *some, err));
    NM_TRY(nm_alloc(&wanted, (size_t)n, sizeof *wanted, err));
    for (int64_t p = 0; p < n; p++)
        if (must[p]) {
            memcpy(some + count * n_in, x + p * n_in, (size_t)n_in * sizeof *x);
            wanted[count++] = target[p];
        }
    NM_TRY(nm_write_judged(ctx, net, path, some, wanted, count, safe, deploy, read_back, err));
    if (count == n)
        goto done;
    nm_deploy_clear(deploy);
    NM_TRY(nm_deploy_check(ctx, *read_back, x, target, n, true, deploy, err));
done:
    nm_free(some);
    nm_free(wanted);
    return rc;
}
