/* Points that take their pieces from others: vertices of a region, from the region's reference
   point. Over pieces that are fixed the tail is affine, so that its value at a vertex is the
   reference's value and the tangent of the way from there to the vertex. */
#include <string.h>

#include "base/mem.h"
#include "problem/tail.h"

/* Frontier of the points minus that of their references. */
static nm_status frontier_steps(const nm_tail *tail, const nm_tail *references, const int64_t *of,
                                nm_tape **out, nm_err *err)
{
    const nm_net *net = tail->net;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&keep, (size_t)net->n_values, sizeof *keep, err));
    for (int v = 0; v < net->n_values; v++)
        keep[v] = tail->frontier[v] || tail->behind[v];
    NM_TRY(nm_tape_new(net, tail->at->n, keep, out, err));
    for (int v = 0; v < net->n_values; v++) {
        int64_t size = net->values[v].size;

        if (!tail->frontier[v])
            continue;
        for (int64_t p = 0; p < tail->at->n; p++)
            for (int64_t i = 0; i < size; i++)
                (*out)->val[v][p * size + i] =
                    tail->at->val[v][p * size + i] - references->at->val[v][of[p] * size + i];
    }
done:
    nm_free(keep);
    return rc;
}

nm_status nm_tail_refer(const nm_ctx *ctx, nm_tail *tail, const nm_tail *references,
                        const int64_t *of, nm_tape *shift, nm_err *err)
{
    const nm_net *net = tail->net;
    nm_tape *steps = NULL, *at = NULL;
    nm_status rc = NM_OK;

    NM_TRY(frontier_steps(tail, references, of, &steps, err));
    NM_TRY(nm_tape_new(net, tail->at->n, NULL, &at, err));
    nm_tape_gather(at, references->at, of, tail->at->n);
    NM_TRY(nm_tape_jvp(ctx, at, steps, tail->op_mask, err));
    for (int v = 0; v < net->n_values; v++) {
        size_t bytes = (size_t)(tail->at->n * net->values[v].size) * sizeof(double);

        if (!tail->behind[v] || !tail->at->val[v])
            continue;
        memcpy(tail->at->val[v], at->val[v], bytes);
        memcpy(shift->val[v], steps->val[v], bytes);
    }
done:
    nm_tape_free(steps);
    nm_tape_free(at);
    return rc;
}
