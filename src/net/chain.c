#include "net/chain.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/op.h"

enum { NAME_ROOM = 32 };

static nm_status add_parameters(nm_net *net, const nm_shape *shape, int layer, const char *what,
                                int *index, nm_err *err)
{
    char name[NAME_ROOM];
    nm_tensor *tensor;

    (void)snprintf(name, sizeof name, "fc%d.%s", layer, what);

    nm_status rc = nm_shape_check(shape, name, err);

    if (rc == NM_OK)
        rc = nm_tensor_new(&tensor, shape, NM_F32, err);
    if (rc == NM_OK)
        rc = nm_net_add_constant(net, name, tensor, index, err);
    return rc;
}

/* y = x W' + b, as ONNX exporters write dense layers.
   @param value  in: the layer's input; out: its output */
static nm_status add_dense(nm_net *net, int layer, int64_t n_in, int64_t n_out, bool last,
                           int *value, nm_err *err)
{
    const nm_attr_value transposed = {.name = "transB", .type = NM_ATTR_INT, .i = 1};
    const nm_node_view node = {.op_type = "Gemm", .opset = 13, .attrs = &transposed, .n_attrs = 1};
    const nm_op_kind *kind = &nm_op_dense;
    const nm_shape weight = {.rank = 2, .dim = {n_out, n_in}}, bias = {.rank = 1, .dim = {n_out}};
    nm_status rc = NM_OK;
    char name[NAME_ROOM], out_name[NAME_ROOM];
    int in[3] = {*value}, op;
    void *attr = NULL;

    (void)snprintf(name, sizeof name, "fc%d", layer);
    (void)snprintf(out_name, sizeof out_name, last ? "logits" : "z%d", layer);
    NM_TRY(add_parameters(net, &weight, layer, "weight", &in[1], err));
    NM_TRY(add_parameters(net, &bias, layer, "bias", &in[2], err));
    NM_TRY(nm_alloc(&attr, 1, kind->attr_bytes, err));
    NM_TRY(kind->parse(&node, attr, err));
    NM_TRY(nm_net_add_op(net, kind, name, in, 3, out_name, attr, kind->attr_bytes, &op, err));
    *value = net->ops[op].out;
done:
    nm_free(attr);
    return rc;
}

static nm_status add_relu(nm_net *net, int layer, int *value, nm_err *err)
{
    char name[NAME_ROOM], out_name[NAME_ROOM];
    int op;

    (void)snprintf(name, sizeof name, "relu%d", layer);
    (void)snprintf(out_name, sizeof out_name, "a%d", layer);

    nm_status rc = nm_net_add_op(net, &nm_op_relu, name, value, 1, out_name, NULL, 0, &op, err);

    if (rc == NM_OK)
        *value = net->ops[op].out;
    return rc;
}

nm_status nm_net_new_chain(const int64_t *widths, int n_layers, nm_net **out, nm_err *err)
{
    const nm_shape in_shape = {.rank = 2, .dim = {1, widths[0]}};
    nm_status rc = NM_OK;
    nm_net *net = NULL;

    *out = NULL;
    NM_TRY(nm_net_new(&net, err));
    NM_TRY(nm_net_add_value(net, "input", &in_shape, &net->input, err));
    net->batch_symbolic = true;

    int value = net->input;

    for (int k = 0; k < n_layers; k++) {
        bool last = k == n_layers - 1;

        NM_TRY(add_dense(net, k, widths[k], widths[k + 1], last, &value, err));
        if (!last)
            NM_TRY(add_relu(net, k, &value, err));
    }
    net->output = value;
    NM_TRY(nm_net_finish(net, err));
    *out = net;
    net = NULL;
done:
    nm_net_free(net);
    return rc;
}
