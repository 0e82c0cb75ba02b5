#include "problem/factors.h"

#include "base/mem.h"
#include "net/op/dense.h"

/* The block of edited weights, if it is the only one. */
static const nm_param_block *weight_block(const nm_params *params)
{
    const nm_param_block *found = NULL;

    for (int i = 0; i < params->n_blocks; i++) {
        if (params->blocks[i].bias)
            continue;
        if (found)
            return NULL;
        found = &params->blocks[i];
    }
    return found;
}

static void map_weights(const nm_param_block *block, bool trans_b, nm_row_space *space)
{
    int64_t n_in = space->space.n_in, n_out = space->space.n_out;

    for (int64_t w = 0; w < n_out * n_in; w++)
        space->column[w] = -1;
    for (int64_t i = 0; i < block->n; i++) {
        int64_t entry = block->entry ? block->entry[i] : i;
        int64_t w = trans_b ? entry : entry % n_out * n_in + entry / n_out;

        space->column[w] = block->first + i;
    }
}

static void map_extras(const nm_params *params, nm_row_space *space)
{
    int64_t e = 0;

    for (int i = 0; i < params->n_blocks; i++)
        for (int64_t k = 0; params->blocks[i].bias && k < params->blocks[i].n; k++)
            space->extra_column[e++] = params->blocks[i].first + k;
}

static nm_status make_space(const nm_tail *tail, const nm_param_block *block, nm_row_space **out,
                            nm_err *err)
{
    const nm_net *net = tail->net;
    const nm_op *op = &net->ops[net->layers[block->layer].op];
    const nm_dense_attr *attr = op->attr;
    nm_row_space *space = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&space, 1, sizeof *space, err));
    space->op = net->layers[block->layer].op;
    space->alpha = attr->alpha;
    space->space.n_out = net->values[op->out].size;
    space->space.n_in = net->values[op->in[0]].size;
    space->space.n_extra = tail->params->n - block->n;
    NM_TRY(nm_alloc(&space->column, (size_t)net->layers[block->layer].n_weights,
                    sizeof *space->column, err));
    NM_TRY(nm_alloc(&space->extra_column, (size_t)space->space.n_extra, sizeof *space->extra_column,
                    err));
    map_weights(block, attr->trans_b, space);
    map_extras(tail->params, space);
    space->space.column = space->column;
    space->space.extra_column = space->extra_column;
    nm_row_space_update(space, tail);
    *out = space;
    space = NULL;
done:
    nm_row_space_free(space);
    return rc;
}

nm_status nm_row_space_new(const nm_tail *tail, nm_row_space **out, nm_err *err)
{
    const nm_net *net = tail->net;
    const nm_param_block *block = weight_block(tail->params);

    *out = NULL;
    if (!block)
        return NM_OK;
    const nm_op *op = &net->ops[net->layers[block->layer].op];
    int64_t n_in = net->values[op->in[0]].size, n_out = net->values[op->out].size;
    bool one_row_a_point = n_in * n_out == net->layers[block->layer].n_weights;
    bool known_input = tail->frontier[op->in[0]];
    if (op->kind != &nm_op_dense || !one_row_a_point || !known_input)
        return NM_OK;
    return make_space(tail, block, out, err);
}

void nm_row_space_free(nm_row_space *space)
{
    if (!space)
        return;
    nm_free(space->column);
    nm_free(space->extra_column);
    nm_free(space);
}

void nm_row_space_update(nm_row_space *space, const nm_tail *tail)
{
    space->space.x = tail->at->val[tail->net->ops[space->op].in[0]];
}
