/* Squeeze: drops axes of length 1; without a list, all of them (but the batch). */
#include "net/op/axes.h"
#include "net/op/facet.h"
#include "net/op/view.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_axes_parse(node, attr, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    bool drop[NM_MAX_DIMS];
    int n;
    nm_status rc = nm_axes_read(net, op, op->attr, 1, in->rank, drop, &n, err);

    out->rank = 0;
    for (int i = 0; rc == NM_OK && i < in->rank; i++) {
        if (n == 0)
            drop[i] = in->dim[i] == 1 && !nm_is_batch_axis(net, op, 0, i);
        if (drop[i] && in->dim[i] != 1)
            rc = nm_fail(err, NM_E_SHAPE, "axis %d has length %lld, expected 1", i,
                         (long long)in->dim[i]);
        if (!drop[i])
            out->dim[out->rank++] = in->dim[i];
    }
    return rc;
}

const nm_op_kind nm_op_squeeze = {.name = "Squeeze",
                                  .onnx_names = NM_ONNX("Squeeze"),
                                  .min_in = 1,
                                  .max_in = 2,
                                  .attr_bytes = sizeof(nm_axes_attr),
                                  .parse = parse,
                                  .infer = infer,
                                  NM_VIEW_FACETS};
