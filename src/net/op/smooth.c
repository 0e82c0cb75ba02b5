#include "net/op/smooth.h"

#include <string.h>

#include "net/op/facet.h"

double nm_sup_abs(double (*g)(const nm_exec *ex, double x), const nm_exec *ex, double lo, double hi,
                  const double *extrema, int n)
{
    double sup = fmax(fabs(g(ex, lo)), fabs(g(ex, hi)));

    for (int i = 0; i < n; i++)
        if (extrema[i] > lo && extrema[i] < hi)
            sup = fmax(sup, fabs(g(ex, extrema[i])));
    return sup;
}

void nm_smooth_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout)
{
    const nm_smooth_family *family = ex->op->kind->family;
    int64_t n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; i < n; i++)
        dout[i] = din[0] ? family->slope(ex, in[0][i]) * din[0][i] : 0;
}

void nm_smooth_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din)
{
    const nm_smooth_family *family = ex->op->kind->family;
    int64_t n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; din[0] && i < n; i++)
        din[0][i] += family->slope(ex, in[0][i]) * dout[i];
}

/* [x - r, x + r], rounded outward. */
static void reach(double x, double r, double *lo, double *hi)
{
    *lo = r > 0 ? nextafter(x - r, -(double)INFINITY) : x;
    *hi = r > 0 ? nextafter(x + r, (double)INFINITY) : x;
}

void nm_smooth_local_error(const nm_exec *ex, const double *const *in, const double *out,
                           const double *const *r, double *e)
{
    const nm_smooth_family *family = ex->op->kind->family;
    int64_t n = nm_out_total(ex);
    double lo, hi;

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        reach(in[0][i], nm_or_zero(r[0], i), &lo, &hi);
        e[i] = nm_up_error(family->error(ex, lo, hi) + NM_F32_UNDERFLOW);
    }
}

void nm_smooth_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s)
{
    const nm_smooth_family *family = ex->op->kind->family;
    int64_t n = nm_out_total(ex);
    double lo, hi;

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        double radius = nm_or_zero(r[0], i);

        reach(in[0][i], radius, &lo, &hi);
        s[i] = radius > 0 ? nm_up(radius * family->max_slope(ex, lo, hi)) : 0;
    }
}

static double residual_at(const nm_exec *ex, double x, double r)
{
    const nm_smooth_family *family = ex->op->kind->family;
    double lo, hi, bend;

    reach(x, r, &lo, &hi);
    bend = r / 2 * family->max_curve(ex, lo, hi);
    for (int i = 0; i < family->n_kinks; i++)
        if (lo <= family->kink[i] && family->kink[i] <= hi)
            bend += family->jump(ex);
    return nm_up(r * fmin(bend, 2 * family->max_slope(ex, lo, hi)));
}

void nm_smooth_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q)
{
    int64_t n = nm_out_total(ex);

    (void)out;
    for (int64_t i = 0; i < n; i++) {
        double radius = nm_or_zero(r[0], i);

        q[i] = radius > 0 ? residual_at(ex, in[0][i], radius) : 0;
    }
}
