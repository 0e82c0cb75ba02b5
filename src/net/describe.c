/* What users of the library may ask about a net. */
#include <stdlib.h>
#include <string.h>

#include "net/graph.h"
#include "net/op.h"

int64_t nm_net_n_in(const nm_net *net)
{
    return net->values[net->input].size;
}

int64_t nm_net_n_out(const nm_net *net)
{
    return net->values[net->output].size;
}

static int copy_shape(const nm_shape *shape, int64_t *dims)
{
    memcpy(dims, shape->dim, (size_t)shape->rank * sizeof *dims);
    return shape->rank;
}

int nm_net_in_shape(const nm_net *net, int64_t *dims)
{
    return copy_shape(&net->values[net->input].shape, dims);
}

int nm_net_n_layers(const nm_net *net)
{
    return net->n_layers;
}

static nm_status check_layer(const nm_net *net, int layer, nm_err *err)
{
    if (layer >= 0 && layer < net->n_layers)
        return NM_OK;
    return nm_fail(err, NM_E_ARG, "no layer %d, the network has affine layers 0 to %d", layer,
                   net->n_layers - 1);
}

nm_status nm_net_layer_info(const nm_net *net, int layer, nm_layer_info *out, nm_err *err)
{
    nm_status rc = check_layer(net, layer, err);

    if (rc != NM_OK)
        return rc;
    const nm_layer *at = &net->layers[layer];
    const nm_op *op = &net->ops[at->op];

    *out = (nm_layer_info){.name = op->name,
                           .kind = op->kind->name,
                           .n_weights = at->n_weights,
                           .n_biases = at->n_biases,
                           .n_in = net->values[op->in[0]].size,
                           .n_out = net->values[op->out].size,
                           .locked = at->locked};
    return NM_OK;
}

int64_t nm_net_n_params(const nm_net *net)
{
    int64_t n = 0;

    for (int i = 0; i < net->n_layers; i++)
        n += net->layers[i].n_weights + net->layers[i].n_biases;
    return n;
}

nm_status nm_net_get_layer(const nm_net *net, int layer, bool bias, double *values, nm_err *err)
{
    nm_status rc = check_layer(net, layer, err);

    if (rc != NM_OK)
        return rc;
    int value = bias ? net->layers[layer].bias : net->layers[layer].weight;

    if (value < 0)
        return nm_fail(err, NM_E_ARG, "layer %d has no biases", layer);
    memcpy(values, net->values[value].constant->f64,
           (size_t)net->values[value].size * sizeof *values);
    return NM_OK;
}

int nm_net_n_ops(const nm_net *net)
{
    return net->n_ops;
}

int nm_net_op_info(const nm_net *net, int i, const char **kind, const char **name, int64_t *dims)
{
    if (i < 0 || i >= net->n_ops)
        return -1;
    *kind = net->ops[i].kind->name;
    *name = net->ops[i].name;
    return copy_shape(&net->values[net->ops[i].out].shape, dims);
}

static int layer_of_op_named(const nm_net *net, const char *name)
{
    for (int i = 0; i < net->n_layers; i++)
        if (strcmp(net->ops[net->layers[i].op].name, name) == 0)
            return i;
    return -1;
}

static bool names_any_op(const nm_net *net, const char *name)
{
    for (int i = 0; i < net->n_ops; i++)
        if (strcmp(net->ops[i].name, name) == 0)
            return true;
    return false;
}

nm_status nm_net_find_layer(const nm_net *net, const char *text, int *layer, nm_err *err)
{
    char *end;
    long index = strtol(text, &end, 10);

    if (net->n_layers == 0)
        return nm_fail(err, NM_E_ARG, "the network has no affine layer, expected at least one");
    *layer = layer_of_op_named(net, text);
    if (*layer >= 0)
        return NM_OK;
    if (strcmp(text, "last") == 0) {
        *layer = net->n_layers - 1;
        return NM_OK;
    }
    if (*text && !*end && index >= -net->n_layers && index < net->n_layers) {
        *layer = (int)(index < 0 ? index + net->n_layers : index);
        return NM_OK;
    }
    if (names_any_op(net, text))
        return nm_fail(err, NM_E_ARG, "layer '%s' has no parameters, expected an affine layer",
                       text);
    return nm_fail(err, NM_E_ARG,
                   "no layer '%s', expected -%d to %d, 'last' or the name of an affine layer", text,
                   net->n_layers, net->n_layers - 1);
}

double nm_net_work(const nm_net *net)
{
    double sum = 0;

    for (int i = 0; i < net->n_layers; i++) {
        const nm_op *op = &net->ops[net->layers[i].op];
        const nm_value *out = &net->values[op->out];
        const nm_shape *w = nm_op_shape(net, op, op->kind->weight_in);
        bool dense = op->kind == &nm_op_dense || w->rank < 2;
        int64_t n_out = dense ? out->shape.dim[out->shape.rank - 1] : out->shape.dim[1];
        int64_t places = out->size / n_out;

        sum += (double)net->layers[i].n_weights * (double)places;
    }
    return sum;
}
