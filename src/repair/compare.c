#ifdef NM_REAL

typedef struct NM_TYPED(job) {
    const nm_net *net[2];
    int first; /* operator that the second net goes on from */
    const float *x;
    NM_REAL *scores[2];
} NM_TYPED(job);

static bool NM_TYPED(run)(const nm_net *net, int from, int64_t n, NM_REAL *const *val,
                          nm_arena *scratch)
{
    for (int k = from; k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];
        nm_exec ex = {.net = net, .op = op, .n = n, .arena = scratch};
        const NM_REAL *in[NM_OP_MAX_IN];

        for (int i = 0; i < op->n_in; i++) {
            const nm_tensor *constant = nm_op_constant(net, op, i);

            in[i] = op->in[i] < 0 ? NULL : constant ? constant->NM_SUFFIX : val[op->in[i]];
        }
        op->kind->NM_TYPED(forward)(&ex, in, val[op->out]);
        if (nm_arena_reset(scratch, NULL) != NM_OK)
            return false;
    }
    return true;
}

/* Room for all values of a net, and its input. */
static NM_REAL **NM_TYPED(open)(const nm_net *net, const float *x, int64_t n, nm_arena *arena)
{
    NM_REAL **val = nm_arena_take(arena, (size_t)net->n_values, sizeof *val);
    int64_t n_in = net->values[net->input].size;

    for (int v = 0; val && v < net->n_values; v++)
        val[v] = net->values[v].constant
                     ? NULL
                     : nm_arena_take(arena, (size_t)(n * net->values[v].size), sizeof **val);
    for (int64_t i = 0; !arena->failed && i < n * n_in; i++)
        val[net->input][i] = (NM_REAL)x[i];
    return arena->failed ? NULL : val;
}

static nm_status NM_TYPED(run_block)(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const NM_TYPED(job) *job = user;
    nm_arena scratch = {0};
    NM_REAL **val = NULL;
    bool ok = true;

    for (int i = 0; ok && i < 2 && job->net[i]; i++) {
        const nm_net *net = job->net[i];
        int from = i == 0 ? 0 : job->first;
        int64_t n_in = net->values[net->input].size, size = net->values[net->scores].size;

        if (from == 0)
            val = NM_TYPED(open)(net, job->x + first * n_in, n, arena);
        ok = val && NM_TYPED(run)(net, from, n, val, &scratch);
        if (ok)
            memcpy(job->scores[i] + first * size, val[net->scores],
                   (size_t)(n * size) * sizeof **val);
    }
    nm_arena_clear(&scratch);
    return ok ? NM_OK : NM_E_NOMEM;
}

static nm_status NM_TYPED(compare)(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                                   const float *x, int64_t n, NM_REAL *before, NM_REAL *after,
                                   nm_err *err)
{
    NM_TYPED(job)
    job = {.net = {net, fixed},
           .first = fixed ? nm_first_difference(net, fixed) : 0,
           .x = x,
           .scores = {before, after}};

    return nm_blocks_run(ctx, n, nm_pass_block(net), NM_TYPED(run_block), &job, err);
}

#else

#include "repair/compare.h"

#include <string.h>

#include "net/partial.h"
#include "net/pass.h"

#define NM_SELF "repair/compare.c"
#include "tensor/typed.h"

nm_status nm_compare_scores_f64(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                                const float *x, int64_t n, double *before, double *after,
                                nm_err *err)
{
    return compare_f64(ctx, net, fixed, x, n, before, after, err);
}

/* What recalling is for; without it, both nets go through each block of points together. */
nm_status nm_compare_scores_f32(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                                const float *x, int64_t n, float *before, float *after, nm_err *err)
{
    nm_status rc;

    if (nm_ctx_recall(ctx) == 0)
        return compare_f32(ctx, net, fixed, x, n, before, after, err);
    rc = nm_partial_scores(ctx, net, x, n, before, err);
    return rc == NM_OK && fixed ? nm_partial_scores(ctx, fixed, x, n, after, err) : rc;
}
#endif
