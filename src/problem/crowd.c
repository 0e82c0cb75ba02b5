#include "problem/crowd.h"

#include "base/mem.h"
#include "net/partial.h"

static nm_status fill_frontier(const nm_ctx *ctx, nm_crowd *crowd, nm_err *err)
{
    const nm_net *net = crowd->base;
    const float **given = NULL;
    bool *prefix = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&given, (size_t)net->n_values, sizeof *given, err));
    NM_TRY(nm_alloc(&prefix, (size_t)net->n_ops, sizeof *prefix, err));
    for (int i = 0; i < net->n_ops; i++)
        prefix[i] = !crowd->marks.op_mask[i];
    given[net->input] = crowd->x;
    nm_partial partial = {
        .net = net, .op_mask = prefix, .n = crowd->n, .given = given, .wanted = crowd->frontier};
    NM_TRY(nm_partial_run(ctx, &partial, err));
done:
    nm_free(given);
    nm_free(prefix);
    return rc;
}

nm_status nm_crowd_new(const nm_ctx *ctx, const nm_net *base, const nm_params *params,
                       const float *x, int64_t n, nm_crowd **out, nm_err *err)
{
    nm_crowd *crowd = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&crowd, 1, sizeof *crowd, err));
    *crowd = (nm_crowd){.base = base, .params = params, .x = x, .n = n};
    NM_TRY(nm_tail_marks_new(base, params, &crowd->marks, err));
    NM_TRY(nm_alloc(&crowd->frontier, (size_t)base->n_values, sizeof *crowd->frontier, err));
    for (int v = 0; v < base->n_values; v++)
        if (crowd->marks.frontier[v] && v != base->input)
            NM_TRY(nm_alloc(&crowd->frontier[v], (size_t)n,
                            (size_t)base->values[v].size * sizeof(float), err));
    NM_TRY(fill_frontier(ctx, crowd, err));
    *out = crowd;
    crowd = NULL;
done:
    nm_crowd_free(crowd);
    return rc;
}

void nm_crowd_free(nm_crowd *crowd)
{
    if (!crowd)
        return;
    for (int v = 0; crowd->frontier && v < crowd->base->n_values; v++)
        nm_free(crowd->frontier[v]);
    nm_free(crowd->frontier);
    nm_tail_marks_clear(&crowd->marks);
    nm_free(crowd);
}

static const float *known(const nm_crowd *crowd, int v)
{
    return v == crowd->base->input ? crowd->x : crowd->frontier[v];
}

nm_status nm_crowd_scores(const nm_ctx *ctx, const nm_crowd *crowd, const double *delta,
                          float *scores, nm_err *err)
{
    nm_net *net = NULL;
    const float **given = NULL;
    float **wanted = NULL;
    size_t n_values = (size_t)crowd->base->n_values;
    nm_status rc = NM_OK;

    NM_TRY(nm_net_clone(crowd->base, &net, err));
    NM_TRY(nm_params_apply(crowd->params, crowd->base, delta, net, err));
    NM_TRY(nm_alloc(&given, n_values, sizeof *given, err));
    NM_TRY(nm_alloc(&wanted, n_values, sizeof *wanted, err));
    for (int v = 0; v < crowd->base->n_values; v++)
        given[v] = known(crowd, v);
    wanted[net->scores] = scores;
    nm_partial partial = {.net = net,
                          .op_mask = crowd->marks.op_mask,
                          .n = crowd->n,
                          .given = given,
                          .wanted = wanted};
    NM_TRY(nm_partial_run(ctx, &partial, err));
done:
    nm_net_free(net);
    nm_free(given);
    nm_free(wanted);
    return rc;
}

void nm_crowd_load(const nm_crowd *crowd, int64_t first, int64_t n, nm_tape *tape)
{
    for (int v = 0; v < crowd->base->n_values; v++) {
        int64_t size = crowd->base->values[v].size;
        const float *from = known(crowd, v);

        if (!crowd->marks.frontier[v] || !tape->val[v])
            continue;
        for (int64_t i = 0; i < n * size; i++)
            tape->val[v][i] = (double)from[first * size + i];
    }
}
