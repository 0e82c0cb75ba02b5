/* Pad with a constant value; attributes before opset 11, constant inputs since. */
#include <string.h>

#include "net/op/facet.h"
#include "net/op/move.h"

struct attr {
    int64_t pads[2 * NM_MAX_DIMS]; /* all begins, then all ends */
    size_t n;
    double value;
};

struct amounts {
    int64_t begin[NM_MAX_DIMS], end[NM_MAX_DIMS];
};

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;
    const char *mode;
    nm_status rc = NM_OK;

    NM_TRY(nm_node_string(node, "mode", "constant", &mode, err));
    if (strcmp(mode, "constant") != 0)
        NM_THROW(err, NM_E_UNSUPPORTED, "mode is '%.20s', expected constant", mode);
    NM_TRY(nm_node_float(node, "value", 0, &a->value, err));
    NM_TRY(nm_node_ints(node, "pads", a->pads, 2 * NM_MAX_DIMS, &a->n, err));
done:
    return rc;
}

/* Axes that the pads are for: input 3, or all in order. */
static nm_status read_axes(const nm_net *net, const nm_op *op, int rank, int *axes, size_t *n,
                           nm_err *err)
{
    int64_t list[NM_MAX_DIMS];
    nm_status rc = NM_OK;

    *n = (size_t)rank;
    for (int i = 0; i < rank; i++)
        list[i] = i;
    if (nm_has_input(op, 3))
        rc = nm_const_ints(net, op, 3, "the list of axes", list, NM_MAX_DIMS, n, err);
    for (size_t i = 0; rc == NM_OK && i < *n; i++)
        rc = nm_axis_resolve(list[i], rank, &axes[i], err);
    return rc;
}

static nm_status take_amount(const nm_net *net, const nm_op *op, int axis, int64_t amount,
                             int64_t *to, nm_err *err)
{
    if (amount < 0 || amount > NM_MAX_ELEMENTS)
        return nm_fail(err, NM_E_UNSUPPORTED, "pads holds %lld, expected 0 to %lld",
                       (long long)amount, (long long)NM_MAX_ELEMENTS);
    to[axis] = amount;
    return amount > 0 ? nm_refuse_batch(net, op, 0, axis, err) : NM_OK;
}

static nm_status read_amounts(const nm_net *net, const nm_op *op, struct amounts *out, nm_err *err)
{
    struct attr a = *(const struct attr *)op->attr;
    int axes[NM_MAX_DIMS] = {0};
    size_t n = 0;
    nm_status rc = read_axes(net, op, nm_op_shape(net, op, 0)->rank, axes, &n, err);

    *out = (struct amounts){0};
    if (rc == NM_OK && nm_has_input(op, 1))
        rc = nm_const_ints(net, op, 1, "pads", a.pads, 2 * NM_MAX_DIMS, &a.n, err);
    if (rc == NM_OK && a.n != 2 * n)
        rc = nm_fail(err, NM_E_SHAPE, "pads has %zu values, expected %zu", a.n, 2 * n);
    for (size_t i = 0; rc == NM_OK && i < n; i++) {
        rc = take_amount(net, op, axes[i], a.pads[i], out->begin, err);
        if (rc == NM_OK)
            rc = take_amount(net, op, axes[i], a.pads[n + i], out->end, err);
    }
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const struct attr *attr = op->attr;
    struct amounts amounts;
    double value;
    nm_status rc = nm_const_scalar(net, op, 2, "the padding value", attr->value, &value, err);

    if (rc == NM_OK)
        rc = read_amounts(net, op, &amounts, err);
    if (rc != NM_OK)
        return rc;
    *out = *nm_op_shape(net, op, 0);
    for (int a = 0; a < out->rank; a++)
        out->dim[a] += amounts.begin[a] + amounts.end[a];
    return NM_OK;
}

static void sources(const nm_net *net, const nm_op *op, int64_t *source)
{
    const nm_shape *in = nm_op_shape(net, op, 0), *out = &net->values[op->out].shape;
    int64_t size = nm_shape_size(out), stride[NM_MAX_DIMS];
    struct amounts amounts;

    (void)read_amounts(net, op, &amounts, NULL); /* infer has checked them */
    nm_move_strides(in, stride);
    for (int64_t k = 0; k < size; k++) {
        int64_t rest = k;

        source[k] = 0;
        for (int a = out->rank - 1; a >= 0; a--) {
            int64_t at = rest % out->dim[a] - amounts.begin[a];

            rest /= out->dim[a];
            if (at < 0 || at >= in->dim[a])
                source[k] = -1;
            else if (source[k] >= 0)
                source[k] += at * stride[a];
        }
    }
}

static double fill(const nm_net *net, const nm_op *op)
{
    const struct attr *attr = op->attr;
    double value;

    (void)nm_const_scalar(net, op, 2, "", attr->value, &value, NULL);
    return value;
}

const nm_op_kind nm_op_pad = {.name = "Pad",
                              .onnx_names = NM_ONNX("Pad"),
                              .min_in = 1,
                              .max_in = 4,
                              .attr_bytes = sizeof(struct attr),
                              .parse = parse,
                              .infer = infer,
                              .family = &(const nm_move_family){.sources = sources, .fill = fill},
                              NM_MOVE_FACETS};
