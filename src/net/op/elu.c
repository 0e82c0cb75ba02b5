/* Elu: x for x >= 0, alpha (exp(x) - 1) below. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    NM_REAL alpha = (NM_REAL) * (const double *)ex->op->attr;
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = x < 0 ? alpha * (NM_EXP(x) - 1) : x;
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/elu.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    return nm_node_float(node, "alpha", 1, attr, err);
}

static double slope(const nm_exec *ex, double x)
{
    const double *alpha = ex->op->attr;

    return x < 0 ? *alpha * exp(x) : 1;
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    const double *alpha = ex->op->attr;
    double below = lo < 0 ? fabs(*alpha) * exp(fmin(hi, 0)) : 0;

    return hi >= 0 ? fmax(below, 1) : below;
}

static double max_curve(const nm_exec *ex, double lo, double hi)
{
    const double *alpha = ex->op->attr;

    return lo < 0 ? fabs(*alpha) * exp(fmin(hi, 0)) : 0;
}

/* The slope is alpha left of 0 and 1 right of it. */
static double jump(const nm_exec *ex)
{
    const double *alpha = ex->op->attr;

    return fabs(1 - *alpha);
}

/* exp(x) <= 1 is off by 4 ulp at most; then a difference and a product. */
static double error(const nm_exec *ex, double lo, double hi)
{
    const double *alpha = ex->op->attr;

    (void)hi;
    return lo < 0 ? fabs(*alpha) * (NM_F32_LIBM + nm_gamma_f32(4)) : 0;
}

static const nm_smooth_family family = {.slope = slope,
                                        .max_slope = max_slope,
                                        .max_curve = max_curve,
                                        .error = error,
                                        .n_kinks = 1,
                                        .kink = {0},
                                        .jump = jump};

const nm_op_kind nm_op_elu = {.name = "Elu",
                              .onnx_names = NM_ONNX("Elu"),
                              .min_in = 1,
                              .max_in = 1,
                              .attr_bytes = sizeof(double),
                              .parse = parse,
                              .infer = nm_infer_same,
                              .forward_f32 = forward_f32,
                              .forward_f64 = forward_f64,
                              .family = &family,
                              NM_SMOOTH_FACETS};
#endif
