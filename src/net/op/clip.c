/* Clip: max(lo, min(hi, x)). Bounds are attributes before opset 11, constant inputs since.
 * Relu6 is written as Clip(0, 6). */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    struct bounds b = bounds_of(ex->net, ex->op);
    NM_REAL lo = (NM_REAL)b.lo, hi = (NM_REAL)b.hi;
    const NM_REAL *x = in[0];
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] < lo ? lo : x[i] > hi ? hi : x[i];
}

#else

#include <float.h>

#include "net/op/facet.h"
#include "net/op/pieces.h"

struct bounds {
    double lo, hi;
};

/* The largest float stands for "no bound" in files. */
static double or_infinite(double bound)
{
    return bound >= FLT_MAX ? (double)INFINITY : bound <= -FLT_MAX ? -(double)INFINITY : bound;
}

static nm_status read_bounds(const nm_net *net, const nm_op *op, struct bounds *b, nm_err *err)
{
    const struct bounds *attr = op->attr;
    nm_status rc = nm_const_scalar(net, op, 1, "the lower bound", attr->lo, &b->lo, err);

    if (rc == NM_OK)
        rc = nm_const_scalar(net, op, 2, "the upper bound", attr->hi, &b->hi, err);
    b->lo = or_infinite(b->lo);
    b->hi = or_infinite(b->hi);
    return rc;
}

/* After infer has checked them. */
static struct bounds bounds_of(const nm_net *net, const nm_op *op)
{
    struct bounds b;

    (void)read_bounds(net, op, &b, NULL);
    return b;
}

#define NM_SELF "net/op/clip.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct bounds *b = attr;
    nm_status rc = nm_node_float(node, "min", -DBL_MAX, &b->lo, err);

    if (rc == NM_OK)
        rc = nm_node_float(node, "max", DBL_MAX, &b->hi, err);
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    struct bounds b;
    nm_status rc = read_bounds(net, op, &b, err);

    if (rc == NM_OK && !(b.lo < b.hi))
        rc = nm_fail(err, NM_E_UNSUPPORTED, "bounds are %g and %g, expected the first below", b.lo,
                     b.hi);
    return rc == NM_OK ? nm_infer_same(net, op, out, err) : rc;
}

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    struct bounds b = bounds_of(net, op);
    nm_pieces p = {.slope = {1}};

    (void)element;
    if (b.lo > -(double)INFINITY) {
        p.at[p.n_breaks++] = b.lo;
        p.slope[0] = 0;
        p.slope[1] = 1;
    }
    if (b.hi < (double)INFINITY) {
        p.at[p.n_breaks++] = b.hi;
        p.slope[p.n_breaks] = 0;
    }
    return p;
}

const nm_op_kind nm_op_clip = {.name = "Clip",
                               .onnx_names = NM_ONNX("Clip"),
                               .min_in = 1,
                               .max_in = 3,
                               .attr_bytes = sizeof(struct bounds),
                               .parse = parse,
                               .infer = infer,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .jvp = nm_pieces_jvp,
                               .vjp = nm_pieces_vjp,
                               .n_pins = nm_pieces_n_pins,
                               .pin = nm_pieces_pin,
                               .spread = nm_pieces_spread,
                               .residual = nm_pieces_residual,
                               .family = &(const nm_pieces_family){.pieces = pieces}};
#endif
