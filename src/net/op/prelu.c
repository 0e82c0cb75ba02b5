/* PRelu: x for x >= 0, slope x below, with constant slopes that broadcast to the input. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t size = nm_out_value(ex)->size, n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = x < 0 ? in[1][slope_index(ex->net, ex->op, i % size)] * x : x;
    }
}

#else

#include "net/op/facet.h"
#include "net/op/pieces.h"

/* Position in the slopes of one element of the output. */
static int64_t slope_index(const nm_net *net, const nm_op *op, int64_t element)
{
    const nm_shape *out = &net->values[op->out].shape;
    int64_t step[NM_MAX_DIMS], index = 0;

    nm_shape_broadcast_steps(nm_op_shape(net, op, 1), out, step);
    for (int a = out->rank - 1; a >= 0; a--) {
        index += element % out->dim[a] * step[a];
        element /= out->dim[a];
    }
    return index;
}

#define NM_SELF "net/op/prelu.c"
#include "tensor/typed.h"

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *x = nm_op_shape(net, op, 0), *slope = nm_op_shape(net, op, 1);
    char x_text[96], slope_text[96];

    if (!nm_op_constant(net, op, 1))
        return nm_fail(err, NM_E_UNSUPPORTED, "the slope is computed, expected a constant");
    if (!nm_shape_broadcast(x, slope, out) || !nm_shape_equal(x, out))
        return nm_fail(err, NM_E_SHAPE, "slope has shape %s, which does not fit the input %s",
                       nm_shape_text(slope, slope_text), nm_shape_text(x, x_text));
    return NM_OK;
}

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    double slope = nm_op_constant(net, op, 1)->f64[slope_index(net, op, element)];

    return (nm_pieces){.n_breaks = 1, .at = {0}, .slope = {slope, 1}};
}

/* One product, and the rounding of the slope. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    int64_t size = nm_out_value(ex)->size, n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        double slope = fabs(in[1][slope_index(ex->net, ex->op, i % size)]);
        double reach = fmax(0, nm_or_zero(r[0], i) - in[0][i]);

        e[i] = nm_up_error(nm_gamma(ex, 2) * slope * reach + (1 + reach) * NM_F32_UNDERFLOW);
    }
}

const nm_op_kind nm_op_prelu = {
    .name = "PRelu",
    .onnx_names = NM_ONNX("PRelu"),
    .min_in = 2,
    .max_in = 2,
    .infer = infer,
    .forward_f32 = forward_f32,
    .forward_f64 = forward_f64,
    .jvp = nm_pieces_jvp,
    .vjp = nm_pieces_vjp,
    .n_pins = nm_pieces_n_pins,
    .pin = nm_pieces_pin,
    .local_error = local_error,
    .spread = nm_pieces_spread,
    .residual = nm_pieces_residual,
    .elementwise = true,
    .reach = nm_pieces_reach,
    .family = &(const nm_pieces_family){.pieces = pieces, .per_element = true}};
#endif
