/* HardSigmoid: alpha x + beta, clipped to [0, 1]. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const struct attr *a = ex->op->attr;
    NM_REAL alpha = (NM_REAL)a->alpha, beta = (NM_REAL)a->beta;
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL y = alpha * in[0][i] + beta;

        out[i] = y < 0 ? 0 : y > 1 ? 1 : y;
    }
}

#else

#include "net/op/facet.h"
#include "net/op/pieces.h"

struct attr {
    double alpha, beta;
};

#define NM_SELF "net/op/hard_sigmoid.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;
    nm_status rc = nm_node_float(node, "alpha", 0.2, &a->alpha, err);

    if (rc == NM_OK)
        rc = nm_node_float(node, "beta", 0.5, &a->beta, err);
    if (rc == NM_OK && !(a->alpha > 0))
        rc = nm_fail(err, NM_E_UNSUPPORTED, "alpha is %g, expected a positive number", a->alpha);
    return rc;
}

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    const struct attr *a = op->attr;

    (void)net, (void)element;
    return (nm_pieces){.n_breaks = 2,
                       .at = {-a->beta / a->alpha, (1 - a->beta) / a->alpha},
                       .slope = {0, a->alpha, 0}};
}

/* Product and sum, and the rounding of alpha and beta; clipping does not enlarge errors. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    const struct attr *a = ex->op->attr;
    int64_t n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        double reach = fabs(in[0][i]) + nm_or_zero(r[0], i);

        e[i] = nm_up_error(nm_gamma(ex, 3) * (a->alpha * reach + fabs(a->beta)) +
                           (3 + reach) * NM_F32_UNDERFLOW);
    }
}

const nm_op_kind nm_op_hard_sigmoid = {.name = "HardSigmoid",
                                       .onnx_names = NM_ONNX("HardSigmoid"),
                                       .min_in = 1,
                                       .max_in = 1,
                                       .attr_bytes = sizeof(struct attr),
                                       .parse = parse,
                                       .forward_f32 = forward_f32,
                                       .forward_f64 = forward_f64,
                                       .local_error = local_error,
                                       .family = &(const nm_pieces_family){.pieces = pieces},
                                       NM_PIECES_FACETS};
#endif
