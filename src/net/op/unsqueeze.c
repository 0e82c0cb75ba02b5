/* Unsqueeze: inserts axes of length 1 at the given places of the output. */
#include "net/op/axes.h"
#include "net/op/facet.h"
#include "net/op/view.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_axes_parse(node, attr, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_axes_attr *attr = op->attr;
    const nm_shape *in = nm_op_shape(net, op, 0);
    const nm_tensor *list = nm_op_constant(net, op, 1);
    int64_t n_new = list ? list->size : (int64_t)attr->n;
    bool insert[NM_MAX_DIMS];
    int n, from = 0;
    nm_status rc;

    if (in->rank + n_new > NM_MAX_DIMS)
        return nm_fail(err, NM_E_SHAPE, "the output has %lld axes, expected at most %d",
                       (long long)(in->rank + n_new), NM_MAX_DIMS);
    out->rank = in->rank + (int)n_new;
    rc = nm_axes_read(net, op, attr, 1, out->rank, insert, &n, err);
    if (rc == NM_OK && n == 0)
        rc = nm_fail(err, NM_E_FORMAT, "no axes are given, expected at least one");
    for (int i = 0; rc == NM_OK && i < out->rank; i++)
        out->dim[i] = insert[i] ? 1 : in->dim[from++];
    return rc;
}

const nm_op_kind nm_op_unsqueeze = {.name = "Unsqueeze",
                                    .onnx_names = NM_ONNX("Unsqueeze"),
                                    .min_in = 1,
                                    .max_in = 2,
                                    .attr_bytes = sizeof(nm_axes_attr),
                                    .parse = parse,
                                    .infer = infer,
                                    NM_VIEW_FACETS};
