/* Shape: the lengths of the input's axes for one point (1 for the batch). Known before any value
 * is, so graph builders may replace it by a constant. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t rank = nm_out_value(ex)->size;

    (void)in;
    for (int64_t i = 0; i < ex->n * rank; i++)
        out[i] = (NM_REAL)nm_in_value(ex, 0)->shape.dim[i % rank];
}

#else

#include <string.h>

#include "net/op/facet.h"

#define NM_SELF "net/op/shape_of.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    (void)attr;
    if (nm_node_attr(node, "start") || nm_node_attr(node, "end"))
        return nm_fail(err, NM_E_UNSUPPORTED, "start or end is given, expected the whole shape");
    return NM_OK;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    *out = (nm_shape){.rank = 1, .dim = {nm_op_shape(net, op, 0)->rank}};
    return nm_shape_check(out, "the shape", err);
}

/* It does not depend on the input's values. */
static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)in, (void)out, (void)din;
    memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    (void)ex, (void)in, (void)out, (void)dout, (void)din;
}

const nm_op_kind nm_op_shape_of = {.name = "Shape",
                                   .onnx_names = NM_ONNX("Shape"),
                                   .min_in = 1,
                                   .max_in = 1,
                                   .parse = parse,
                                   .infer = infer,
                                   .forward_f32 = forward_f32,
                                   .forward_f64 = forward_f64,
                                   .jvp = jvp,
                                   .vjp = vjp,
                                   .spread = jvp};
#endif
