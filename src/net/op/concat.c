/* Concat along one axis; some inputs may be constants. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    for (int i = 0; i < ex->op->n_in; i++) {
        struct part s = part_of(ex, i);

        for (int64_t k = 0; k < s.n_blocks; k++)
            memcpy(out + s.at + k * s.stride, in[i] + k % s.n_distinct * s.block,
                   (size_t)s.block * sizeof *out);
    }
}

#else

#include <string.h>

#include "net/op/facet.h"

/* One input's share of the output: block k stands at `at` + k * stride. */
struct part {
    int64_t block;      /* elements from one index of the outer axes to the next */
    int64_t n_blocks;   /* of all points */
    int64_t n_distinct; /* the same, or those of one point for a constant */
    int64_t at, stride;
};

static struct part part_of(const nm_exec *ex, int i)
{
    const nm_value *value = nm_in_value(ex, i), *out = nm_out_value(ex);
    struct part s = {0};
    int64_t outer = 1;
    int axis = 0;

    (void)nm_axis_resolve(*(const int64_t *)ex->op->attr, out->shape.rank, &axis, NULL);
    for (int a = 0; a < axis; a++)
        outer *= out->shape.dim[a];
    for (int k = 0; k < i; k++)
        s.at += nm_in_value(ex, k)->size / outer;
    s.block = value->size / outer;
    s.stride = out->size / outer;
    s.n_blocks = ex->n * outer;
    s.n_distinct = value->constant ? outer : s.n_blocks;
    return s;
}

#define NM_SELF "net/op/concat.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    if (!nm_node_attr(node, "axis"))
        return nm_fail(err, NM_E_FORMAT, "attribute 'axis' is missing");
    return nm_node_int(node, "axis", 0, attr, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    char text[96], first_text[96];
    int axis = 0;
    nm_status rc;

    *out = *nm_op_shape(net, op, 0);
    rc = nm_axis_resolve(*(const int64_t *)op->attr, out->rank, &axis, err);
    for (int i = 0; rc == NM_OK && i < op->n_in; i++) {
        if (op->in[i] < 0)
            return nm_fail(err, NM_E_FORMAT, "input %d is left out, expected one", i);
        const nm_shape *in = nm_op_shape(net, op, i);
        nm_shape same = *in;

        if (in->rank == out->rank)
            same.dim[axis] = out->dim[axis];
        if (!nm_shape_equal(&same, out))
            return nm_fail(err, NM_E_SHAPE, "inputs 0 and %d have shapes %s and %s", i,
                           nm_shape_text(nm_op_shape(net, op, 0), first_text),
                           nm_shape_text(in, text));
        if (i > 0)
            out->dim[axis] += in->dim[axis];
        if (out->dim[axis] > NM_MAX_ELEMENTS)
            return nm_shape_check(out, "the output", err);
        rc = nm_refuse_batch(net, op, i, axis, err);
    }
    return rc;
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)in, (void)out;
    for (int i = 0; i < ex->op->n_in; i++) {
        struct part s = part_of(ex, i);

        for (int64_t k = 0; k < s.n_blocks; k++)
            if (din[i])
                memcpy(dout + s.at + k * s.stride, din[i] + k * s.block,
                       (size_t)s.block * sizeof *dout);
            else
                memset(dout + s.at + k * s.stride, 0, (size_t)s.block * sizeof *dout);
    }
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    (void)in, (void)out;
    for (int i = 0; i < ex->op->n_in; i++) {
        struct part s = part_of(ex, i);

        for (int64_t k = 0; din[i] && k < s.n_blocks * s.block; k++)
            din[i][k] += dout[s.at + k / s.block * s.stride + k % s.block];
    }
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    jvp(ex, in, out, r, s);
}

const nm_op_kind nm_op_concat = {.name = "Concat",
                                 .onnx_names = NM_ONNX("Concat"),
                                 .min_in = 1,
                                 .max_in = NM_OP_MAX_IN,
                                 .attr_bytes = sizeof(int64_t),
                                 .parse = parse,
                                 .infer = infer,
                                 .forward_f32 = forward_f32,
                                 .forward_f64 = forward_f64,
                                 .jvp = jvp,
                                 .vjp = vjp,
                                 .spread = spread};
#endif
