/* Sigmoid: s(x) = 1 / (1 + exp(-x)). */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = 1 / (1 + NM_EXP(-x));
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/sigmoid.c"
#include "tensor/typed.h"

/* s' = s (1 - s), written without cancellation for large |x|. */
static double slope(const nm_exec *ex, double x)
{
    double t = exp(-fabs(x));

    (void)ex;
    return t / ((1 + t) * (1 + t));
}

/* |s''| = s' |1 - 2s|. */
static double curve(const nm_exec *ex, double x)
{
    double t = exp(-fabs(x));

    return slope(ex, x) * (1 - t) / (1 + t);
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    return nm_sup_abs(slope, ex, lo, hi, (const double[]){0}, 1);
}

/* The third derivative is 0 where s (1 - s) = 1/6: at +-ln(2 + sqrt 3). */
static double max_curve(const nm_exec *ex, double lo, double hi)
{
    const double at = 1.3169578969248167;

    return nm_sup_abs(curve, ex, lo, hi, (const double[]){-at, at}, 2);
}

static double error(const nm_exec *ex, double lo, double hi)
{
    (void)ex, (void)lo, (void)hi;
    return NM_F32_SQUASH;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_sigmoid = {.name = "Sigmoid",
                                  .onnx_names = NM_ONNX("Sigmoid"),
                                  .min_in = 1,
                                  .max_in = 1,
                                  .infer = nm_infer_same,
                                  .forward_f32 = forward_f32,
                                  .forward_f64 = forward_f64,
                                  .family = &family,
                                  NM_SMOOTH_FACETS};
#endif
