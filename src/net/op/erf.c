/* Erf: 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = NM_ERF(x);
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/erf.c"
#include "tensor/typed.h"

static double slope(const nm_exec *ex, double x)
{
    (void)ex;
    return M_2_SQRTPI * exp(-x * x);
}

static double curve(const nm_exec *ex, double x)
{
    return 2 * x * slope(ex, x);
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    return nm_sup_abs(slope, ex, lo, hi, (const double[]){0}, 1);
}

static double max_curve(const nm_exec *ex, double lo, double hi)
{
    return nm_sup_abs(curve, ex, lo, hi, (const double[]){-M_SQRT1_2, M_SQRT1_2}, 2);
}

static double error(const nm_exec *ex, double lo, double hi)
{
    (void)ex, (void)lo, (void)hi;
    return NM_F32_SQUASH;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_erf = {.name = "Erf",
                              .onnx_names = NM_ONNX("Erf"),
                              .min_in = 1,
                              .max_in = 1,
                              .infer = nm_infer_same,
                              .forward_f32 = forward_f32,
                              .forward_f64 = forward_f64,
                              .family = &family,
                              NM_SMOOTH_FACETS};
#endif
