/* Sqrt; bounds are infinite where 0 is within reach. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        out[i] = NM_SQRT(x);
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/sqrt.c"
#include "tensor/typed.h"

static double slope(const nm_exec *ex, double x)
{
    (void)ex;
    return 0.5 / sqrt(x);
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    (void)hi;
    return lo > 0 ? slope(ex, lo) : (double)INFINITY;
}

static double max_curve(const nm_exec *ex, double lo, double hi)
{
    (void)ex, (void)hi;
    return lo > 0 ? 0.25 / (lo * sqrt(lo)) : (double)INFINITY;
}

static double error(const nm_exec *ex, double lo, double hi)
{
    (void)ex;
    return lo >= 0 ? NM_F32_LIBM * sqrt(hi) : (double)INFINITY;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_sqrt = {.name = "Sqrt",
                               .onnx_names = NM_ONNX("Sqrt"),
                               .min_in = 1,
                               .max_in = 1,
                               .infer = nm_infer_same,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .family = &family,
                               NM_SMOOTH_FACETS};
#endif
