/* Flatten: a matrix of the axes before `axis` and those from it on. */
#include "net/op/facet.h"
#include "net/op/view.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_node_int(node, "axis", 1, attr, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    const int64_t *attr = op->attr;
    int axis = in->rank; /* one past the last axis is allowed */

    if (*attr != in->rank) {
        nm_status rc = nm_axis_resolve(*attr, in->rank, &axis, err);

        if (rc == NM_OK)
            rc = nm_refuse_batch(net, op, 0, axis, err);
        if (rc != NM_OK)
            return rc;
    }
    *out = (nm_shape){.rank = 2, .dim = {1, 1}};
    for (int i = 0; i < in->rank; i++)
        out->dim[i < axis ? 0 : 1] *= in->dim[i];
    return NM_OK;
}

const nm_op_kind nm_op_flatten = {.name = "Flatten",
                                  .onnx_names = NM_ONNX("Flatten"),
                                  .min_in = 1,
                                  .max_in = 1,
                                  .attr_bytes = sizeof(int64_t),
                                  .parse = parse,
                                  .infer = infer,
                                  NM_VIEW_FACETS};
