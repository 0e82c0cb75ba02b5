/* Reshape to a constant target: 0 keeps an axis, one -1 takes what is left.
 *
 * Shapes here are those of one point, with 1 for the batch. The target's leading entry is that of
 * the batch whether it says -1, 0 or 1; a -1 behind another leading entry would gather elements of
 * several points and is refused. */
#include "net/op/facet.h"
#include "net/op/view.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    int64_t allow_zero;
    nm_status rc = nm_node_int(node, "allowzero", 0, &allow_zero, err);

    (void)attr;
    if (rc == NM_OK && allow_zero != 0)
        rc = nm_fail(err, NM_E_UNSUPPORTED, "allowzero is set, expected 0");
    return rc;
}

/* Writes the target's entries with 0 replaced; *free_axis = where -1 stands, -1 if nowhere. */
static nm_status read_target(const nm_net *net, const nm_op *op, nm_shape *out, int *free_axis,
                             nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    size_t n;
    nm_status rc = nm_const_ints(net, op, 1, "the target shape", out->dim, NM_MAX_DIMS, &n, err);

    *free_axis = -1;
    out->rank = (int)n;
    for (int i = 0; rc == NM_OK && i < out->rank; i++) {
        if (out->dim[i] == 0 && i < in->rank)
            out->dim[i] = in->dim[i];
        if (out->dim[i] == -1 && *free_axis < 0)
            *free_axis = i;
        else if (out->dim[i] < 1 || out->dim[i] > NM_MAX_ELEMENTS)
            rc = nm_fail(err, NM_E_SHAPE,
                         "entry %d of the target shape is %lld, expected a length, 0 or one -1", i,
                         (long long)out->dim[i]);
    }
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_value *in = &net->values[op->in[0]];
    char in_text[96], out_text[96];
    int64_t known = 1;
    int free_axis;
    nm_status rc = read_target(net, op, out, &free_axis, err);

    for (int i = 0; rc == NM_OK && i < out->rank; i++)
        if (i != free_axis && (known *= out->dim[i]) > in->size)
            break;
    if (rc != NM_OK)
        return rc;
    if (net->batch_symbolic && !in->constant && free_axis > 0 && out->dim[0] != 1)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "-1 behind a leading %lld would mix the points of a batch",
                       (long long)out->dim[0]);
    if (free_axis >= 0 && in->size % known == 0)
        out->dim[free_axis] = in->size / known;
    else if (free_axis >= 0 || known != in->size)
        return nm_fail(err, NM_E_SHAPE, "the input %s does not fit the target shape %s",
                       nm_shape_text(&in->shape, in_text), nm_shape_text(out, out_text));
    return NM_OK;
}

const nm_op_kind nm_op_reshape = {.name = "Reshape",
                                  .onnx_names = NM_ONNX("Reshape"),
                                  .min_in = 2,
                                  .max_in = 2,
                                  .parse = parse,
                                  .infer = infer,
                                  NM_VIEW_FACETS};
