/* Pow with a constant exponent: x^p. Bounds are infinite where x^p is not smooth. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    NM_REAL p = in[1][0];
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = p == 2 ? in[0][i] * in[0][i] : NM_POW(in[0][i], p);
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

#define NM_SELF "net/op/pow.c"
#include "tensor/typed.h"

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    double exponent;
    nm_status rc = nm_const_scalar(net, op, 1, "the exponent", 0, &exponent, err);

    return rc == NM_OK ? nm_infer_same(net, op, out, err) : rc;
}

static double exponent_of(const nm_exec *ex)
{
    return nm_op_constant(ex->net, ex->op, 1)->f64[0];
}

/* sup |x|^q over [lo, hi]: at an end, unless 0 lies inside and q < 0. */
static double sup_power(double lo, double hi, double q)
{
    if (q == 0)
        return 1;
    if (q < 0 && lo <= 0 && hi >= 0)
        return (double)INFINITY;
    return fmax(pow(fabs(lo), q), pow(fabs(hi), q));
}

/* Powers that are no integers exist for x >= 0 only. */
static bool is_defined(double p, double lo)
{
    return lo >= 0 || p == floor(p);
}

static double slope(const nm_exec *ex, double x)
{
    double p = exponent_of(ex);

    return p == 0 ? 0 : p * pow(x, p - 1);
}

static double max_slope(const nm_exec *ex, double lo, double hi)
{
    double p = exponent_of(ex);

    if (p == 0)
        return 0;
    return is_defined(p, lo) ? fabs(p) * sup_power(lo, hi, p - 1) : (double)INFINITY;
}

static double max_curve(const nm_exec *ex, double lo, double hi)
{
    double p = exponent_of(ex);

    if (p == 0 || p == 1)
        return 0;
    return is_defined(p, lo) ? fabs(p * (p - 1)) * sup_power(lo, hi, p - 2) : (double)INFINITY;
}

static double error(const nm_exec *ex, double lo, double hi)
{
    double p = exponent_of(ex);

    return is_defined(p, lo) ? NM_F32_LIBM * sup_power(lo, hi, p) : (double)INFINITY;
}

static bool is_linear(const nm_net *net, const nm_op *op)
{
    double p = nm_op_constant(net, op, 1)->f64[0];

    return p == 0 || p == 1;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_pow = {.name = "Pow",
                              .onnx_names = NM_ONNX("Pow"),
                              .min_in = 2,
                              .max_in = 2,
                              .infer = infer,
                              .forward_f32 = forward_f32,
                              .forward_f64 = forward_f64,
                              .family = &family,
                              .is_linear = is_linear,
                              NM_SMOOTH_FACETS};
#endif
