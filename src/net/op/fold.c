#include "net/op/fold.h"

static bool is_sum(const nm_op_kind *kind)
{
    return kind == &nm_op_add || kind == &nm_op_sub;
}

static bool is_scaling(const nm_op_kind *kind)
{
    return kind == &nm_op_mul || kind == &nm_op_div || kind == &nm_op_batch_norm;
}

int64_t nm_folded_roundings(const nm_exec *ex)
{
    for (int i = 0; i < ex->net->n_ops; i++) {
        const nm_op *op = &ex->net->ops[i];

        for (int k = 0; (is_sum(op->kind) || is_scaling(op->kind)) && k < op->n_in; k++)
            if (op->in[k] == ex->op->out)
                return 3;
    }
    return 0;
}

/* The one operand that is computed; -1 if there are two or none. */
static int varying_operand(const nm_net *net, const nm_op *op)
{
    int found = -1;

    for (int k = 0; k < op->n_in; k++) {
        if (op->in[k] < 0 || net->values[op->in[k]].constant)
            continue;
        if (found >= 0)
            return -1;
        found = op->in[k];
    }
    return found;
}

static int64_t products_of(const nm_net *net, const nm_op *layer)
{
    const nm_value *w = &net->values[layer->in[layer->kind->weight_in]];
    const nm_value *out = &net->values[layer->out];

    if (layer->kind == &nm_op_dense) /* [rows x K] times K x N */
        return w->size / out->shape.dim[out->shape.rank - 1];
    return layer->kind == &nm_op_conv ? w->size / w->shape.dim[0] : w->size / w->shape.dim[1];
}

int64_t nm_folded_products(const nm_exec *ex, int i)
{
    const nm_net *net = ex->net;
    int v = ex->op->in[i];

    while (v >= 0 && net->values[v].producer >= 0) {
        const nm_op *op = &net->ops[net->values[v].producer];

        if (op->kind == &nm_op_dense || op->kind == &nm_op_conv ||
            op->kind == &nm_op_conv_transpose)
            return products_of(net, op);
        v = is_sum(op->kind) || is_scaling(op->kind) ? varying_operand(net, op) : -1;
    }
    return 0;
}
