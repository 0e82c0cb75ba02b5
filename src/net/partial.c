#include "net/partial.h"

/* The array of value v for a block of points; values in between live in the arena. */
static float *block_array(const nm_partial *p, int v, int64_t first, int64_t n, nm_arena *arena)
{
    int64_t size = p->net->values[v].size;
    int producer = p->net->values[v].producer;

    if (p->wanted[v])
        return p->wanted[v] + first * size;
    if (p->given[v])
        return (float *)(uintptr_t)(p->given[v] + first * size);
    if (producer >= 0 && p->op_mask[producer])
        return nm_arena_take(arena, (size_t)(n * size), sizeof(float));
    return NULL;
}

static void run_op(const nm_exec *ex, float *const *val)
{
    const nm_op *op = ex->op;
    const float *in[NM_OP_MAX_IN];

    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *constant = nm_op_constant(ex->net, op, i);

        in[i] = op->in[i] < 0 ? NULL : constant ? constant->f32 : val[op->in[i]];
    }
    op->kind->forward_f32(ex, in, val[op->out]);
}

static nm_status run_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const nm_partial *p = user;
    nm_arena scratch = {0};
    nm_status rc = NM_OK;
    float **val = nm_arena_take(arena, (size_t)p->net->n_values, sizeof *val);

    for (int v = 0; val && v < p->net->n_values; v++)
        val[v] = p->net->values[v].constant ? NULL : block_array(p, v, first, n, arena);
    if (!val || arena->failed)
        return NM_E_NOMEM;
    for (int i = 0; rc == NM_OK && i < p->net->n_ops; i++) {
        nm_exec ex = {.net = p->net, .op = &p->net->ops[i], .n = n, .arena = &scratch};

        if (p->op_mask[i])
            run_op(&ex, val);
        rc = nm_arena_reset(&scratch, NULL);
    }
    nm_arena_clear(&scratch);
    return rc;
}

nm_status nm_partial_run(const nm_ctx *ctx, const nm_partial *partial, nm_err *err)
{
    nm_partial copy = *partial;

    return nm_blocks_run(ctx, partial->n, nm_pass_block(partial->net), run_block, &copy, err);
}
