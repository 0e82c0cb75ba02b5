/* AveragePool and GlobalAveragePool: linear; padding counts as zeros if count_include_pad. */
#ifdef NM_REAL

static NM_REAL NM_TYPED(sum)(const nm_patch *p, const NM_REAL *plane)
{
    NM_REAL total = 0;

    for (int64_t i = 0; i < p->n[0]; i++)
        for (int64_t j = 0; j < p->n[1]; j++)
            for (int64_t k = 0; k < p->n[2]; k++)
                total += plane[p->first + i * p->step[0] + j * p->step[1] + k * p->step[2]];
    return total;
}

static void NM_TYPED(average)(const nm_exec *ex, const NM_REAL *x, NM_REAL *y)
{
    nm_planes s = nm_pool_planes(ex);

    int64_t *only = nm_scratch(ex, (size_t)s.positions, sizeof *only);

    /* Windows that see one pixel repeat it: an adaptive pool that has more outputs than inputs. */
    for (int64_t i = 0; s.patches && only && i < s.positions; i++)
        only[i] = divisor(ex, &s.patches[i]) == 1 && nm_window_volume(s.patches[i].n) == 1
                      ? s.patches[i].first
                      : -1;
    for (int64_t c = 0; s.patches && only && c < s.n; c++)
        for (int64_t i = 0; i < s.positions; i++)
            y[c * s.positions + i] = only[i] >= 0 ? x[c * s.pixels + only[i]]
                                                  : NM_TYPED(sum)(&s.patches[i], x + c * s.pixels) /
                                                        (NM_REAL)divisor(ex, &s.patches[i]);
}

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    NM_TYPED(average)(ex, in[0], out);
}

#else

#include <string.h>

#include "net/op/facet.h"
#include "net/op/window.h"

static int64_t divisor(const nm_exec *ex, const nm_patch *p)
{
    const nm_pool_attr *attr = ex->op->attr;

    return attr->count_include_pad ? p->n_padded : nm_window_volume(p->n);
}

#define NM_SELF "net/op/average_pool.c"
#include "tensor/typed.h"

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)in, (void)out;
    if (din[0])
        average_f64(ex, din[0], dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    nm_planes s = nm_pool_planes(ex);

    (void)in, (void)out;
    for (int64_t o = 0; s.patches && din[0] && o < s.n * s.positions; o++) {
        const nm_patch *p = &s.patches[o % s.positions];
        double *plane = din[0] + o / s.positions * s.pixels + p->first;
        double share = dout[o] / (double)divisor(ex, p);

        for (int64_t i = 0; i < p->n[0]; i++)
            for (int64_t j = 0; j < p->n[1]; j++)
                for (int64_t k = 0; k < p->n[2]; k++)
                    plane[i * p->step[0] + j * p->step[1] + k * p->step[2]] += share;
    }
}

/* gamma_{taps+2}: additions in any order, the scaling by a rounded 1 / divisor. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    nm_window w = nm_pool_window(ex->net, ex->op);
    int64_t taps = nm_window_volume(w.kernel), n = nm_out_total(ex);
    double *x = nm_scratch_reach(ex, in[0], r[0], nm_in_total(ex, 0));

    (void)out;
    if (!x)
        return;
    average_f64(ex, x, e);
    for (int64_t i = 0; i < n; i++)
        e[i] =
            (double)taps * e[i] <= NM_F32_RANGE
                ? nm_sum_error(nm_gamma(ex, taps + 2), e[i], (double)(taps + 2) * NM_F32_UNDERFLOW)
                : (double)INFINITY;
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    nm_window w = nm_pool_window(ex->net, ex->op);
    int64_t n = nm_out_total(ex);

    jvp(ex, in, out, r, s);
    for (int64_t i = 0; i < n; i++)
        s[i] = nm_up(s[i] * (1 + (double)(nm_window_volume(w.kernel) + 2) * 0x1p-52));
}

static int64_t n_links(const nm_net *net, const nm_op *op)
{
    nm_window w = nm_pool_window(net, op);
    int64_t kernel = nm_window_volume(w.kernel), pixels = nm_window_volume(w.in);

    return kernel < pixels ? kernel : pixels;
}

static void links(const nm_exec *ex, const double *const *in, int64_t *at, double *share)
{
    nm_planes s = nm_pool_planes(ex);
    int64_t most = n_links(ex->net, ex->op);

    (void)in;
    for (int64_t o = 0; s.patches && o < s.n * s.positions; o++) {
        const nm_patch *p = &s.patches[o % s.positions];
        int64_t first = o / s.positions * s.pixels + p->first, n = nm_window_volume(p->n);

        for (int64_t m = 0; m < most; m++)
            at[o * most + m] = m < n ? first + m / (p->n[1] * p->n[2]) * p->step[0] +
                                           m / p->n[2] % p->n[1] * p->step[1] +
                                           m % p->n[2] * p->step[2]
                                     : -1;
        share[o] = 1 / (double)divisor(ex, p);
    }
}

/* Windows that see one pixel each: adaptive pools with more outputs than inputs. */
static bool copies(const nm_net *net, const nm_op *op, int32_t *from)
{
    const nm_pool_attr *attr = op->attr;
    nm_window w = nm_pool_window(net, op);
    int64_t positions = nm_window_volume(w.out), pixels = nm_window_volume(w.in);

    for (int64_t j = 0; j < net->values[op->out].size; j++) {
        nm_patch p = nm_window_patch(&w, j % positions);

        if (nm_window_volume(p.n) != 1 || (attr->count_include_pad && p.n_padded != 1))
            return false;
        from[j] = (int32_t)(j / positions * pixels + p.first);
    }
    return true;
}

const nm_op_kind nm_op_average_pool = {.name = "AveragePool",
                                       .onnx_names = NM_ONNX("AveragePool", "GlobalAveragePool"),
                                       .min_in = 1,
                                       .max_in = 1,
                                       .attr_bytes = sizeof(nm_pool_attr),
                                       .parse = nm_pool_parse,
                                       .infer = nm_pool_infer,
                                       .forward_f32 = forward_f32,
                                       .forward_f64 = forward_f64,
                                       .copies = copies,
                                       .jvp = jvp,
                                       .vjp = vjp,
                                       .local_error = local_error,
                                       .spread = spread,
                                       .n_links = n_links,
                                       .links = links};
#endif
