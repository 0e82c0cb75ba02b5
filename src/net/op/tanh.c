/* Tanh. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = NM_TANH(x);
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/tanh.c"
#include "tensor/typed.h"

/* 1 - tanh^2, written without cancellation for large |x|. */
static double slope(const nm_exec *ex, double x)
{
    double t = exp(-2 * fabs(x));

    (void)ex;
    return 4 * t / ((1 + t) * (1 + t));
}

static double curve(const nm_exec *ex, double x)
{
    return 2 * tanh(x) * slope(ex, x);
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    return nm_sup_abs(slope, ex, lo, hi, (const double[]){0}, 1);
}

/* The third derivative is 0 where tanh^2 = 1/3. */
static double max_curve(const nm_exec *ex, double lo, double hi)
{
    const double at = 0.6584789484624084;

    return nm_sup_abs(curve, ex, lo, hi, (const double[]){-at, at}, 2);
}

static double error(const nm_exec *ex, double lo, double hi)
{
    (void)ex, (void)lo, (void)hi;
    return NM_F32_SQUASH;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_tanh = {.name = "Tanh",
                               .onnx_names = NM_ONNX("Tanh"),
                               .min_in = 1,
                               .max_in = 1,
                               .infer = nm_infer_same,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .family = &family,
                               NM_SMOOTH_FACETS};
#endif
