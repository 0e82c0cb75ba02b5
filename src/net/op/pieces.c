#include "net/op/pieces.h"

#include <string.h>

#include "net/op/facet.h"

/* Always two breaks, missing ones at infinity: the loops below then need no cases. */
static nm_pieces pieces_of(const nm_net *net, const nm_op *op, int64_t element)
{
    const nm_pieces_family *family = op->kind->family;
    nm_pieces p = family->pieces(net, op, element);

    for (int i = p.n_breaks; i < 2; i++) {
        p.at[i] = (double)INFINITY;
        p.slope[i + 1] = p.slope[i];
    }
    return p;
}

static double slope_at(const nm_pieces *p, double x)
{
    return x >= p->at[1] ? p->slope[2] : x >= p->at[0] ? p->slope[1] : p->slope[0];
}

/* to[i] (+)= slope(x[i]) from[i] for all elements of all points. */
static void scale_by_slopes(const nm_exec *ex, const double *x, const double *from, bool add,
                            double *to)
{
    const nm_pieces_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size, total = nm_out_total(ex);
    nm_pieces p = pieces_of(ex->net, ex->op, 0);

    for (int64_t i = 0; i < total; i++) {
        if (family->per_element)
            p = pieces_of(ex->net, ex->op, i % size);
        to[i] = (add ? to[i] : 0) + slope_at(&p, x[i]) * from[i];
    }
}

void nm_pieces_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout)
{
    (void)out;
    if (din[0])
        scale_by_slopes(ex, in[0], din[0], false, dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

void nm_pieces_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din)
{
    (void)out;
    if (din[0])
        scale_by_slopes(ex, in[0], dout, true, din[0]);
}

int64_t nm_pieces_n_pins(const nm_net *net, const nm_op *op)
{
    const nm_pieces_family *family = op->kind->family;

    return net->values[op->out].size * family->pieces(net, op, 0).n_breaks;
}

nm_pin nm_pieces_pin(const nm_net *net, const nm_op *op, const double *z, int64_t k)
{
    const nm_pieces_family *family = op->kind->family;
    int n_breaks = family->pieces(net, op, 0).n_breaks;
    int64_t element = k / n_breaks;
    double at = family->pieces(net, op, element).at[k % n_breaks];
    double sign = z[element] >= at ? 1 : -1;

    return (nm_pin){.plus = element, .minus = -1, .sign = sign, .rhs = sign * at};
}

/* Integral of |slope| over [lo, hi]: nothing is subtracted but the ends, so no digits are lost. */
static double variation(const nm_pieces *p, double lo, double hi)
{
    double edge[4] = {lo, fmin(fmax(p->at[0], lo), hi), fmin(fmax(p->at[1], lo), hi), hi};
    double sum = 0;

    for (int i = 0; i < 3; i++)
        if (p->slope[i] != 0 && edge[i + 1] > edge[i])
            sum += fabs(p->slope[i]) * (edge[i + 1] - edge[i]);
    return sum;
}

/* The ends x +- r are rounded outward by the smallest step. */
static double spread_at(const nm_pieces *p, double x, double r)
{
    double lo = nextafter(x - r, -(double)INFINITY), hi = nextafter(x + r, (double)INFINITY);

    return r > 0 ? fmin(fmax(variation(p, lo, x), variation(p, x, hi)),
                        r * fmax(fmax(fabs(p->slope[0]), fabs(p->slope[1])), fabs(p->slope[2])))
                 : 0;
}

/* |f(x + d) - f(x) - f'(x) d|: past each break on its way d meets a slope that differs by a jump.
   The slack pays for the cancellation in between. */
static double off_tangent(const nm_pieces *p, double x, double d)
{
    double sum = 0, slack = 0;

    for (int i = 0; i < 2; i++) {
        double jump = p->slope[i + 1] - p->slope[i], distance = p->at[i] - x;

        if (jump == 0 || (distance > 0) != (d > 0) || fabs(distance) > nm_up(fabs(d)))
            continue;
        sum += jump * (fabs(d) - fabs(distance));
        slack += fabs(jump * d) * 1e-12;
    }
    return fabs(sum) + slack;
}

/* Piecewise linear in d, so largest at a break or at an end of [-r, r]. */
static double residual_at(const nm_pieces *p, double x, double r)
{
    double most = fmax(off_tangent(p, x, -r), off_tangent(p, x, r));

    if (!(r < (double)INFINITY))
        return (double)INFINITY;
    for (int i = 0; i < 2; i++)
        if (fabs(p->at[i] - x) < r)
            most = fmax(most, off_tangent(p, x, p->at[i] - x));
    return most;
}

/* No break is within reach of x, by a wide margin: one piece is all there is. */
static bool is_clear(const nm_pieces *p, double x, double r)
{
    double room = r * (1 + 1e-9) + fabs(x) * 1e-15;

    return fabs(x - p->at[0]) > room && fabs(x - p->at[1]) > room;
}

/* @param slope_counts  on one piece the bound is |slope| r, else 0 */
static void fill_bound(const nm_exec *ex, double (*bound)(const nm_pieces *, double, double),
                       bool slope_counts, const double *x, const double *r, double *to)
{
    const nm_pieces_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size, total = nm_out_total(ex);
    nm_pieces p = pieces_of(ex->net, ex->op, 0);

    for (int64_t i = 0; i < total; i++) {
        if (family->per_element)
            p = pieces_of(ex->net, ex->op, i % size);
        if (is_clear(&p, x[i], nm_or_zero(r, i)))
            to[i] = slope_counts ? nm_up(fabs(slope_at(&p, x[i])) * nm_or_zero(r, i)) : 0;
        else
            to[i] = nm_up(bound(&p, x[i], nm_or_zero(r, i)));
    }
}

void nm_pieces_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s)
{
    (void)out;
    fill_bound(ex, spread_at, true, in[0], r[0], s);
}

void nm_pieces_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q)
{
    (void)out;
    fill_bound(ex, residual_at, false, in[0], r[0], q);
}

/* An element matters unless the function is constant as far as it may be off. */
void nm_pieces_reach(const nm_exec *ex, const double *z, const double *r, const bool *matters_out,
                     bool *matters_in)
{
    const nm_pieces_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size, total = nm_out_total(ex);
    nm_pieces p = pieces_of(ex->net, ex->op, 0);

    for (int64_t i = 0; i < total; i++) {
        if (family->per_element)
            p = pieces_of(ex->net, ex->op, i % size);
        matters_in[i] = matters_out[i] && (slope_at(&p, z[i]) != 0 || !(r[i] < (double)INFINITY) ||
                                           spread_at(&p, z[i], nm_up(r[i])) > 0);
    }
}
