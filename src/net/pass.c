#include "net/pass.h"

#include <omp.h>

enum { MAX_BLOCK = 256 };

int64_t nm_pass_block(const nm_net *net)
{
    /* About 8 MB of doubles in the widest value: enough rows for the matrix products, little
       enough for the caches. */
    const int64_t wanted = 1 << 20;
    int64_t widest = 1;

    for (int i = 0; i < net->n_values; i++)
        if (!net->values[i].constant && net->values[i].size > widest)
            widest = net->values[i].size;
    int64_t block = wanted / widest;

    return block < 1 ? 1 : block > MAX_BLOCK ? MAX_BLOCK : block;
}

nm_status nm_blocks_run(const nm_ctx *ctx, int64_t n, int64_t block, nm_block_body body, void *user,
                        nm_err *err)
{
    int64_t n_blocks = (n + block - 1) / block;
    int n_threads = n_blocks < nm_ctx_threads(ctx) ? (int)n_blocks : nm_ctx_threads(ctx);
    nm_status result = NM_OK;
    nm_err first_err = {0};

#pragma omp parallel num_threads(n_threads > 0 ? n_threads : 1)
    {
        nm_arena arena = {0};

#pragma omp for schedule(dynamic, 1)
        for (int64_t b = 0; b < n_blocks; b++) {
            nm_err here = {0};
            nm_status rc = nm_ctx_check(ctx, &here);
            int64_t first = b * block;
            bool skip;

#pragma omp atomic read
            skip = result;
            if (rc == NM_OK && !skip)
                rc = body(user, first, n - first < block ? n - first : block, &arena);
            if (rc == NM_OK)
                rc = nm_arena_reset(&arena, &here);
            if (rc != NM_OK) {
#pragma omp critical(nm_blocks_error)
                if (result == NM_OK) {
                    first_err = here;
#pragma omp atomic write
                    result = rc;
                }
            }
        }
        nm_arena_clear(&arena);
    }
    if (result != NM_OK)
        (void)nm_fail(err, result, "%s", first_err.code ? first_err.text : nm_status_name(result));
    return result;
}

static nm_status visit_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const nm_pass *pass = user;
    const nm_net *net = pass->net;

    for (int k = 0; k < net->n_ops; k++) {
        int i = pass->reverse ? net->n_ops - 1 - k : k;
        nm_exec ex = {.net = net, .op = &net->ops[i], .n = n, .plain = pass->plain, .arena = arena};

        if (pass->op_mask && !pass->op_mask[i])
            continue;
        pass->visit(&ex, first, pass->user);
        if (nm_arena_reset(arena, NULL) != NM_OK)
            return NM_E_NOMEM;
    }
    return NM_OK;
}

nm_status nm_pass_run(const nm_ctx *ctx, const nm_pass *pass, nm_err *err)
{
    nm_pass copy = *pass;

    return nm_blocks_run(ctx, pass->n, nm_pass_block(pass->net), visit_block, &copy, err);
}

void nm_op_inputs(const nm_net *net, const nm_op *op, double *const *arrays, int64_t first,
                  const double **in)
{
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &net->values[op->in[i]] : NULL;

        in[i] = !value            ? NULL
                : value->constant ? value->constant->f64
                                  : arrays[op->in[i]] + first * value->size;
    }
}

void nm_op_partners(const nm_net *net, const nm_op *op, double *const *arrays, int64_t first,
                    double **out)
{
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &net->values[op->in[i]] : NULL;

        out[i] = value && !value->constant && arrays[op->in[i]]
                     ? arrays[op->in[i]] + first * value->size
                     : NULL;
    }
}
