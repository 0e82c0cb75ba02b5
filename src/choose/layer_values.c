#include "choose/layer_values.h"

#include <string.h>

#include "base/mem.h"
#include "net/op.h"
#include "net/partial.h"

/* The only operator that reads the value, -1 if there are more or none. */
static int only_reader(const nm_net *net, int value)
{
    int found = -1;

    if (net->values[value].n_readers != 1)
        return -1;
    for (int k = 0; k < net->n_ops && found < 0; k++)
        for (int i = 0; i < net->ops[k].n_in; i++)
            if (net->ops[k].in[i] == value)
                found = k;
    return found;
}

/* Elementwise in one computed value, and no layer itself. */
static bool is_activation(const nm_net *net, const nm_op *op, int value)
{
    if (!op->kind->elementwise || op->kind->weight_in > 0 ||
        net->values[op->out].size != net->values[value].size)
        return false;
    for (int i = 0; i < op->n_in; i++)
        if (op->in[i] >= 0 && op->in[i] != value && !net->values[op->in[i]].constant)
            return false;
    return true;
}

int nm_layer_activation(const nm_net *net, int layer)
{
    int value = net->ops[net->layers[layer].op].out;

    while (value != net->scores && value != net->output) {
        int reader = only_reader(net, value);

        if (reader < 0 || !is_activation(net, &net->ops[reader], value))
            break;
        value = net->ops[reader].out;
    }
    return value;
}

int nm_last_layer(const nm_net *net)
{
    return net->n_layers - 1;
}

nm_status nm_values_at(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                       float *const *wanted, nm_err *err)
{
    const float **given = NULL;
    bool *all = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&given, (size_t)net->n_values, sizeof *given, err));
    NM_TRY(nm_alloc(&all, (size_t)net->n_ops, sizeof *all, err));
    for (int i = 0; i < net->n_ops; i++)
        all[i] = true;
    given[net->input] = x;
    nm_partial partial = {.net = net, .op_mask = all, .n = n, .given = given, .wanted = wanted};
    NM_TRY(nm_partial_run(ctx, &partial, err));
done:
    nm_free(given);
    nm_free(all);
    return rc;
}

nm_status nm_value_at(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, int value,
                      float **out, nm_err *err)
{
    size_t size = (size_t)net->values[value].size;
    float **wanted = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(out, (size_t)n, size * sizeof **out, err));
    if (value == net->input) {
        memcpy(*out, x, (size_t)n * size * sizeof *x);
        goto done;
    }
    NM_TRY(nm_alloc(&wanted, (size_t)net->n_values, sizeof *wanted, err));
    wanted[value] = *out;
    NM_TRY(nm_values_at(ctx, net, x, n, wanted, err));
done:
    nm_free(wanted);
    if (rc != NM_OK) {
        nm_free(*out);
        *out = NULL;
    }
    return rc;
}
