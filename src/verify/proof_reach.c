/* Which part of the network the claimed parameters reach, and whether its rows can be exact. */
#include "base/mem.h"
#include "net/op.h"
#include "verify/proof.h"

static bool is_edited(const nm_check_state *s, int op)
{
    for (int i = 0; i < s->claim->n_tensors; i++)
        if (s->model->layers[s->claim->tensors[i].layer].op == op)
            return true;
    return false;
}

static bool reads(const nm_op *op, const bool *values)
{
    for (int k = 0; k < op->n_in; k++)
        if (op->in[k] >= 0 && values[op->in[k]])
            return true;
    return false;
}

/* Backwards from the scores and from what pinned operators read. */
static void mark_used(const nm_net *net, const bool *pinned, bool *needed, bool *used)
{
    needed[net->scores] = true;
    for (int i = net->n_ops - 1; i >= 0; i--) {
        const nm_op *op = &net->ops[i];

        used[i] = needed[op->out];
        if (pinned && pinned[i])
            needed[op->in[0]] = true;
        for (int k = 0; used[i] && k < op->n_in; k++)
            if (op->in[k] >= 0)
                needed[op->in[k]] = true;
    }
}

nm_status nm_reach_make(const nm_check_state *s, const bool *pinned, nm_reach *out, nm_err *err)
{
    const nm_net *net = s->model;
    bool *needed = NULL;
    nm_status rc = NM_OK;

    *out = (nm_reach){0};
    NM_TRY(nm_alloc(&needed, (size_t)net->n_values, sizeof *needed, err));
    NM_TRY(nm_alloc(&out->behind, (size_t)net->n_values, sizeof *out->behind, err));
    NM_TRY(nm_alloc(&out->used, (size_t)net->n_ops, sizeof *out->used, err));
    NM_TRY(nm_alloc(&out->tail, (size_t)net->n_ops, sizeof *out->tail, err));
    mark_used(net, pinned, needed, out->used);
    for (int i = 0; i < net->n_ops; i++) {
        const nm_op *op = &net->ops[i];

        out->behind[op->out] = is_edited(s, i) || reads(op, out->behind);
        out->tail[i] = out->used[i] && out->behind[op->out];
    }
done:
    nm_free(needed);
    return rc;
}

void nm_reach_clear(nm_reach *reach)
{
    nm_free(reach->behind);
    nm_free(reach->used);
    nm_free(reach->tail);
    *reach = (nm_reach){0};
}
