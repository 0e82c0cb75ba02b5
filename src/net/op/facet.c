#include "net/op/facet.h"

#include <string.h>

double nm_largest(const double *x, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

double *nm_scratch_abs(const nm_exec *ex, const double *x, int64_t n)
{
    return nm_scratch_reach(ex, x, NULL, n);
}

double *nm_scratch_reach(const nm_exec *ex, const double *x, const double *r, int64_t n)
{
    double *to = nm_scratch(ex, (size_t)n, sizeof *to);

    for (int64_t i = 0; to && i < n; i++)
        to[i] = fabs(x[i]) + nm_or_zero(r, i);
    return to;
}

/* Products of denormals cost a hundred times as much as others. What lies 2^64 below the largest
   element takes part in no digit of a sum that this is in, so it is raised to where most weights
   leave it normal. */
static float least_of(const double *x, int64_t n)
{
    double largest = 0;

    for (int64_t i = 0; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    return (float)fmin(0x1p-100, fmax(0x1p-126, 0x1p-64 * largest));
}

float *nm_scratch_f32_up(const nm_exec *ex, const double *x, int64_t n)
{
    float *to = nm_scratch(ex, (size_t)n, sizeof *to);
    int64_t size = n / ex->n;

    for (int64_t p = 0; to && p < ex->n; p++) {
        float least = least_of(x + p * size, size);

        for (int64_t i = p * size; i < (p + 1) * size; i++) {
            float v = (float)x[i];

            v += v * 0x1p-23F;
            to[i] = x[i] > 0 && v < least ? least : v;
        }
    }
    return to;
}

void nm_sums_up(const float *from, int64_t n, int64_t n_terms, double *to)
{
    double factor = n_terms < 1 << 21 ? 1 + (double)(n_terms + 8) * 0x1p-23 : (double)INFINITY;

    for (int64_t i = 0; i < n; i++)
        to[i] = (double)from[i] * factor;
}

bool nm_op_local_error(const nm_exec *ex, const double *const *in, const double *out,
                       const double *const *r, const double *spread, double *e)
{
    nm_exec own = *ex;
    int64_t n_out = nm_out_total(ex);

    if (!ex->op->kind->local_error) {
        memset(e, 0, (size_t)n_out * sizeof *e);
        return true;
    }
    if (ex->op->kind->magnitude) {
        double *x = nm_scratch_abs(ex, in[0], nm_in_total(ex, 0));
        double *m = nm_scratch(ex, (size_t)n_out, sizeof *m);

        if (!x || !m)
            return false;
        ex->op->kind->magnitude(ex, x, true, m);
        own.magnitude = m;
        own.spread = spread;
    }
    ex->op->kind->local_error(&own, in, out, r, e);
    return true;
}

nm_status nm_axis_resolve(int64_t axis, int rank, int *out, nm_err *err)
{
    if (axis < -rank || axis >= rank)
        return nm_fail(err, NM_E_SHAPE, "axis %lld does not exist, the input has %d axes",
                       (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return NM_OK;
}

nm_status nm_const_ints(const nm_net *net, const nm_op *op, int i, const char *what, int64_t *out,
                        size_t room, size_t *n, nm_err *err)
{
    const nm_tensor *tensor = nm_op_constant(net, op, i);

    *n = 0;
    if (!tensor)
        return nm_fail(err, NM_E_UNSUPPORTED, "%s is computed or missing, expected a constant",
                       what);
    if (tensor->shape.rank > 1 || tensor->size > (int64_t)room)
        return nm_fail(err, NM_E_SHAPE, "%s has %lld values, expected a list of at most %zu", what,
                       (long long)tensor->size, room);
    for (int64_t k = 0; k < tensor->size; k++) {
        double v = tensor->f64[k];

        if (!(fabs(v) <= 0x1p63) || v != floor(v))
            return nm_fail(err, NM_E_FORMAT, "%s holds %g, expected integers", what, v);
        out[k] = v >= 0x1p63 ? INT64_MAX : (int64_t)v;
    }
    *n = (size_t)tensor->size;
    return NM_OK;
}

nm_status nm_const_scalar(const nm_net *net, const nm_op *op, int i, const char *what,
                          double fallback, double *out, nm_err *err)
{
    const nm_tensor *tensor = nm_op_constant(net, op, i);

    *out = fallback;
    if (!nm_has_input(op, i))
        return NM_OK;
    if (!tensor)
        return nm_fail(err, NM_E_UNSUPPORTED, "%s is computed, expected a constant", what);
    if (tensor->size != 1)
        return nm_fail(err, NM_E_SHAPE, "%s has %lld values, expected one", what,
                       (long long)tensor->size);
    *out = tensor->f64[0];
    return NM_OK;
}

nm_status nm_refuse_batch(const nm_net *net, const nm_op *op, int i, int64_t axis, nm_err *err)
{
    if (nm_is_batch_axis(net, op, i, axis))
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "%s along axis 0 would mix the points of a batch, expected another axis",
                       op->kind->name);
    return NM_OK;
}

nm_status nm_infer_same(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    (void)err;
    *out = *nm_op_shape(net, op, 0);
    return NM_OK;
}

nm_sum_gammas nm_sum_gammas_of(const nm_exec *ex, int64_t n_additions, int64_t n_roundings)
{
    return (nm_sum_gammas){.terms = nm_gamma_f32(n_roundings),
                           .additions = nm_gamma_f32(n_additions),
                           .all = nm_gamma(ex, n_additions + n_roundings)};
}

/* With a = additions, t = terms: the computed terms differ from the exact ones by t m together, a
   computed partial sum from max(P, N) by (t + a (1 + t)) m at most, so the additions err by
   a (max(P, N) + (t + a + a t) m). Never more than the classical bound, which `all` may halve
   again in the probabilistic model. */
double nm_product_sum_error(const nm_sum_gammas *gammas, double magnitude, double result,
                            double spread, double underflow)
{
    double a = gammas->additions, t = gammas->terms, m = magnitude + spread;
    double partial = 0.5 * (magnitude * (1 + 0x1p-30) + fabs(result)) + spread;
    double sharp = t * m + a * (partial + (t + a + a * t) * m);

    return m <= NM_F32_RANGE ? nm_up_error(fmin(gammas->all * m, sharp) + underflow)
                             : (double)INFINITY;
}
