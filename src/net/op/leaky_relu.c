/* LeakyRelu: x for x >= 0, alpha x below. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const double *alpha = ex->op->attr;
    const NM_REAL *x = in[0], slope = (NM_REAL)*alpha;
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] < 0 ? slope * x[i] : x[i];
}

#else

#include "net/op/facet.h"
#include "net/op/pieces.h"

#define NM_SELF "net/op/leaky_relu.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_node_float(node, "alpha", 0.01, attr, err);
}

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    const double *alpha = op->attr;

    (void)net, (void)element;
    return (nm_pieces){.n_breaks = 1, .at = {0}, .slope = {*alpha, 1}};
}

/* One product, and the rounding of alpha. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    const double *alpha = ex->op->attr;
    int64_t n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        double reach = fmax(0, nm_or_zero(r[0], i) - in[0][i]);

        e[i] = nm_up_error(nm_gamma(ex, 2) * fabs(*alpha) * reach + (1 + reach) * NM_F32_UNDERFLOW);
    }
}

const nm_op_kind nm_op_leaky_relu = {.name = "LeakyRelu",
                                     .onnx_names = NM_ONNX("LeakyRelu"),
                                     .min_in = 1,
                                     .max_in = 1,
                                     .attr_bytes = sizeof(double),
                                     .parse = parse,
                                     .forward_f32 = forward_f32,
                                     .forward_f64 = forward_f64,
                                     .local_error = local_error,
                                     .family = &(const nm_pieces_family){.pieces = pieces},
                                     NM_PIECES_FACETS};
#endif
