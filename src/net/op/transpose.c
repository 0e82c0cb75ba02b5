/* Transpose: output axis i is input axis perm[i]; without perm, the axes in reverse order. */
#include "net/op/facet.h"
#include "net/op/move.h"

struct attr {
    int64_t perm[NM_MAX_DIMS];
    size_t n; /* 0 = not given */
};

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;

    return nm_node_ints(node, "perm", a->perm, NM_MAX_DIMS, &a->n, err);
}

static int64_t source_axis(const struct attr *attr, int rank, int i)
{
    return attr->n ? attr->perm[i] : rank - 1 - i;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const struct attr *attr = op->attr;
    const nm_shape *in = nm_op_shape(net, op, 0);
    bool seen[NM_MAX_DIMS] = {false};

    if (attr->n != 0 && attr->n != (size_t)in->rank)
        return nm_fail(err, NM_E_SHAPE, "perm has %zu values, expected %d", attr->n, in->rank);
    out->rank = in->rank;
    for (int i = 0; i < in->rank; i++) {
        int64_t from = source_axis(attr, in->rank, i);

        if (from < 0 || from >= in->rank || seen[from])
            return nm_fail(err, NM_E_FORMAT, "perm is no permutation of 0 to %d", in->rank - 1);
        seen[from] = true;
        out->dim[i] = in->dim[from];
    }
    return in->rank > 0 && source_axis(attr, in->rank, 0) != 0 ? nm_refuse_batch(net, op, 0, 0, err)
                                                               : NM_OK;
}

static void sources(const nm_net *net, const nm_op *op, int64_t *source)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    int64_t stride[NM_MAX_DIMS], step[NM_MAX_DIMS];

    nm_move_strides(in, stride);
    for (int i = 0; i < in->rank; i++)
        step[i] = stride[source_axis(op->attr, in->rank, i)];
    nm_move_strided(&net->values[op->out].shape, 0, step, source);
}

const nm_op_kind nm_op_transpose = {.name = "Transpose",
                                    .onnx_names = NM_ONNX("Transpose"),
                                    .min_in = 1,
                                    .max_in = 1,
                                    .attr_bytes = sizeof(struct attr),
                                    .parse = parse,
                                    .infer = infer,
                                    .family = &(const nm_move_family){.sources = sources},
                                    NM_MOVE_FACETS};
