/* HardSwish: x clip(x / 6 + 1/2, 0, 1). Quadratic in (-3, 3), so not piecewise linear. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i], factor = x / 6 + (NM_REAL)0.5;

        out[i] = x * (factor < 0 ? 0 : factor > 1 ? 1 : factor);
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"

#define NM_SELF "net/op/hard_swish.c"
#include "tensor/typed.h"

static double slope(const nm_exec *ex, double x)
{
    (void)ex;
    return x >= 3 ? 1 : x >= -3 ? x / 3 + 0.5 : 0;
}

/* Within [-3, 3] the slope grows from -1/2 to 3/2. */
static double max_slope(const nm_exec *ex, double lo, double hi)
{
    double inner_lo = fmax(lo, -3), inner_hi = fmin(hi, 3);

    if (inner_lo > inner_hi)
        return slope(ex, lo);
    return fmax(fmax(fabs(inner_lo / 3 + 0.5), fabs(inner_hi / 3 + 0.5)), hi > 3);
}

static double max_curve(const nm_exec *ex, double lo, double hi)
{
    (void)ex;
    return lo < 3 && hi > -3 ? 1.0 / 3 : 0;
}

/* At -3 the slope jumps from 0 to -1/2, at 3 from 3/2 to 1. */
static double jump(const nm_exec *ex)
{
    (void)ex;
    return 0.5;
}

/* The clipped factor: product with a rounded 1/6 and sum; from |x| = 4 on it is exactly 0 or 1.
   Then one product, in whatever order the runtime takes the three. */
static double error(const nm_exec *ex, double lo, double hi)
{
    double most = fmax(fabs(lo), fabs(hi));

    (void)ex;
    return most * (nm_gamma_f32(4) * (fmin(most, 4) / 6 + 0.5) + nm_gamma_f32(2));
}

static const nm_smooth_family family = {.slope = slope,
                                        .max_slope = max_slope,
                                        .max_curve = max_curve,
                                        .error = error,
                                        .n_kinks = 2,
                                        .kink = {-3, 3},
                                        .jump = jump};

const nm_op_kind nm_op_hard_swish = {.name = "HardSwish",
                                     .onnx_names = NM_ONNX("HardSwish"),
                                     .min_in = 1,
                                     .max_in = 1,
                                     .infer = nm_infer_same,
                                     .forward_f32 = forward_f32,
                                     .forward_f64 = forward_f64,
                                     .family = &family,
                                     NM_SMOOTH_FACETS};
#endif
