/* Gather with constant indices: axis `axis` is replaced by the axes of the index tensor. */
#include "net/op/facet.h"
#include "net/op/move.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_node_int(node, "axis", 0, attr, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_tensor *indices = nm_op_constant(net, op, 1);
    const nm_shape *in = nm_op_shape(net, op, 0);
    const int64_t *attr = op->attr;
    int axis = 0;
    nm_status rc = nm_axis_resolve(*attr, in->rank, &axis, err);

    if (rc == NM_OK && !indices)
        rc = nm_fail(err, NM_E_UNSUPPORTED, "the indices are computed, expected a constant");
    if (rc == NM_OK)
        rc = nm_refuse_batch(net, op, 0, axis, err);
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < indices->size; i++) {
        double v = indices->f64[i];

        if (!(v >= (double)-in->dim[axis] && v < (double)in->dim[axis]) || v != floor(v))
            return nm_fail(err, NM_E_FORMAT, "index %g does not exist, axis %d has %lld elements",
                           v, axis, (long long)in->dim[axis]);
    }
    if (in->rank - 1 + indices->shape.rank > NM_MAX_DIMS)
        return nm_fail(err, NM_E_SHAPE, "the output has %d axes, expected at most %d",
                       in->rank - 1 + indices->shape.rank, NM_MAX_DIMS);
    out->rank = 0;
    for (int a = 0; a < axis; a++)
        out->dim[out->rank++] = in->dim[a];
    for (int a = 0; a < indices->shape.rank; a++)
        out->dim[out->rank++] = indices->shape.dim[a];
    for (int a = axis + 1; a < in->rank; a++)
        out->dim[out->rank++] = in->dim[a];
    return NM_OK;
}

static void sources(const nm_net *net, const nm_op *op, int64_t *source)
{
    const nm_tensor *indices = nm_op_constant(net, op, 1);
    const nm_shape *in = nm_op_shape(net, op, 0);
    int64_t stride[NM_MAX_DIMS];
    int axis = 0;

    (void)nm_axis_resolve(*(const int64_t *)op->attr, in->rank, &axis, NULL);
    nm_move_strides(in, stride);
    int64_t length = in->dim[axis], inner = stride[axis];
    int64_t outer = nm_shape_size(in) / (length * inner);

    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < indices->size; i++) {
            int64_t index = (int64_t)indices->f64[i];

            if (index < 0)
                index += length;
            for (int64_t k = 0; k < inner; k++)
                *source++ = (o * length + index) * inner + k;
        }
}

const nm_op_kind nm_op_gather = {.name = "Gather",
                                 .onnx_names = NM_ONNX("Gather"),
                                 .min_in = 2,
                                 .max_in = 2,
                                 .attr_bytes = sizeof(int64_t),
                                 .parse = parse,
                                 .infer = infer,
                                 .family = &(const nm_move_family){.sources = sources},
                                 NM_MOVE_FACETS};
