/* Gelu: x Phi(x), Phi the normal distribution function; or its approximation by tanh,
 *     x/2 (1 + tanh(c (x + a x^3))),  c = sqrt(2/pi), a = 0.044715
 * (Hendrycks & Gimpel, Gaussian error linear units, arXiv 1606.08415, Sec. 2). */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const struct attr *attr = ex->op->attr;
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++) {
        NM_REAL x = in[0][i];

        if (attr->by_tanh)
            out[i] = x / 2 * (1 + NM_TANH((NM_REAL)c * (x + (NM_REAL)a * x * x * x)));
        else
            out[i] = x / 2 * (1 + NM_ERF(x * (NM_REAL)M_SQRT1_2));
    }
}

#else

#include <string.h>

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

struct attr {
    bool by_tanh;
};

static const double c = 0.7978845608028654, a = 0.044715;

#define NM_SELF "net/op/gelu.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    const char *text;
    nm_status rc = nm_node_string(node, "approximate", "none", &text, err);

    if (rc != NM_OK)
        return rc;
    if (strcmp(text, "none") != 0 && strcmp(text, "tanh") != 0)
        return nm_fail(err, NM_E_FORMAT, "approximate is '%.20s', expected none or tanh", text);
    ((struct attr *)attr)->by_tanh = strcmp(text, "tanh") == 0;
    return NM_OK;
}

static bool by_tanh(const nm_exec *ex)
{
    return ((const struct attr *)ex->op->attr)->by_tanh;
}

/* The normal density. */
static double density(double x)
{
    return M_2_SQRTPI * M_SQRT1_2 / 2 * exp(-x * x / 2);
}

static double slope(const nm_exec *ex, double x)
{
    double t = tanh(c * (x + a * x * x * x));

    if (by_tanh(ex))
        return (1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * a * x * x);
    return erfc(-x * M_SQRT1_2) / 2 + x * density(x);
}

static double curve(const nm_exec *ex, double x)
{
    (void)ex;
    return density(x) * (2 - x * x);
}

/* Exact: f'' = 0 at +-sqrt 2. By tanh: f' lies between -0.13 and 1.1290 everywhere. */
static double max_slope(const nm_exec *ex, double lo, double hi)
{
    return by_tanh(ex) ? 1.13
                       : nm_sup_abs(slope, ex, lo, hi, (const double[]){-M_SQRT2, M_SQRT2}, 2);
}

/* Exact: the third derivative is density(x) x (x^2 - 4). By tanh: |f''| is largest at 0, where it
 * is c < 0.798. */
static double max_curve(const nm_exec *ex, double lo, double hi)
{
    return by_tanh(ex) ? 0.798 : nm_sup_abs(curve, ex, lo, hi, (const double[]){-2, 0, 2}, 3);
}

/* x/2 times a sum whose second term is off by NM_F32_SQUASH = 16 u, its argument by gamma_8 of
   itself, which moves erf by at most 0.49 gamma_8 and tanh by 0.45 gamma_8; three more roundings:
   x/2 (16 + 4 + 6) u in all. */
static double error(const nm_exec *ex, double lo, double hi)
{
    (void)ex;
    return fmax(fabs(lo), fabs(hi)) * NM_F32_SQUASH;
}

static const nm_smooth_family family = {
    .slope = slope, .max_slope = max_slope, .max_curve = max_curve, .error = error};

const nm_op_kind nm_op_gelu = {.name = "Gelu",
                               .onnx_names = NM_ONNX("Gelu"),
                               .min_in = 1,
                               .max_in = 1,
                               .attr_bytes = sizeof(struct attr),
                               .parse = parse,
                               .infer = nm_infer_same,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .family = &family,
                               NM_SMOOTH_FACETS};
#endif
