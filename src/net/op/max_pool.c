/* MaxPool and GlobalMaxPool. The pieces are the winners: the first largest element of each window,
 * in window order. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    nm_planes s = nm_pool_planes(ex);
    nm_window w = nm_pool_window(ex->net, ex->op);
    NM_REAL *planes = nm_scratch(ex, (size_t)(s.pixels * MAX_LANES), sizeof *planes);
    NM_REAL *best = nm_scratch(ex, (size_t)(s.positions * MAX_LANES), sizeof *best);

    for (int64_t c = 0; s.patches && planes && best && c < s.n; c += MAX_LANES) {
        int64_t lanes = s.n - c < MAX_LANES ? s.n - c : MAX_LANES;

        NM_TYPED(nm_lanes_gather)(lanes, s.pixels, in[0] + c * s.pixels, s.pixels, planes);
        for (int64_t i = 0; i < s.positions; i++)
            memcpy(best + i * lanes, planes + s.patches[i].first * lanes,
                   (size_t)lanes * sizeof *best);
        NM_TYPED(nm_window_max)(&w, lanes, planes, best);
        NM_TYPED(nm_lanes_scatter)
        (lanes, s.positions, best, 0, false, out + c * s.positions, s.positions);
    }
}

#else

#include <string.h>

#include "net/op/facet.h"
#include "net/op/window.h"
#include "tensor/lanes.h"

enum { MAX_LANES = 16 };

#define NM_SELF "net/op/max_pool.c"
#include "tensor/typed.h"

static int64_t winner(const nm_patch *p, const double *plane)
{
    int64_t best = p->first;

    for (int64_t i = 0; i < p->n[0]; i++)
        for (int64_t j = 0; j < p->n[1]; j++) {
            int64_t line = p->first + i * p->step[0] + j * p->step[1];

            for (int64_t k = 0; k < p->n[2]; k++)
                if (plane[line + k * p->step[2]] > plane[best])
                    best = line + k * p->step[2];
        }
    return best;
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    nm_planes s = nm_pool_planes(ex);

    (void)out;
    memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
    for (int64_t k = 0; s.patches && din[0] && k < s.n * s.positions; k++) {
        int64_t plane = k / s.positions * s.pixels;

        dout[k] = din[0][plane + winner(&s.patches[k % s.positions], in[0] + plane)];
    }
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    nm_planes s = nm_pool_planes(ex);

    (void)out;
    for (int64_t k = 0; s.patches && din[0] && k < s.n * s.positions; k++) {
        int64_t plane = k / s.positions * s.pixels;

        din[0][plane + winner(&s.patches[k % s.positions], in[0] + plane)] += dout[k];
    }
}

static int64_t n_pins(const nm_net *net, const nm_op *op)
{
    nm_window w = nm_pool_window(net, op);

    return net->values[op->out].size * (nm_window_volume(w.kernel) - 1);
}

/* Pixel that a kernel tap sees through a window, -1 in the padding. */
static int64_t pixel_of_tap(const nm_window *w, const nm_patch *p, int64_t tap)
{
    int64_t t[NM_WINDOW_AXES] = {tap / (w->kernel[1] * w->kernel[2]),
                                 tap / w->kernel[2] % w->kernel[1], tap % w->kernel[2]};
    int64_t pixel = p->first;

    for (int a = 0; a < NM_WINDOW_AXES; a++) {
        int64_t steps = t[a] - p->tap[a];

        if (steps < 0 || steps >= p->n[a])
            return -1;
        pixel += steps * p->step[a];
    }
    return pixel;
}

/* The taps other than the winner's, in window order: the winner is at least each of them. */
static nm_pin pin(const nm_net *net, const nm_op *op, const double *z, int64_t k)
{
    nm_window w = nm_pool_window(net, op);
    int64_t positions = nm_window_volume(w.out), n_others = nm_window_volume(w.kernel) - 1;
    int64_t output = k / n_others, plane = output / positions * nm_window_volume(w.in);
    nm_patch p = nm_window_patch(&w, output % positions);
    int64_t best = winner(&p, z + plane), tap = 0, other;

    while (pixel_of_tap(&w, &p, tap) != best)
        tap++;
    other = pixel_of_tap(&w, &p, k % n_others + (k % n_others >= tap));
    return (nm_pin){
        .plus = plane + best, .minus = plane + (other < 0 ? best : other), .sign = 1, .rhs = 0};
}

/* Largest of bound(element, winner) over each window; the winner itself comes with r = -1. */
static void fill_bound(const nm_exec *ex, const double *z, const double *r,
                       double (*bound)(double z, double r, double z_win, double r_win), double *to)
{
    nm_planes s = nm_pool_planes(ex);

    for (int64_t o = 0; s.patches && o < s.n * s.positions; o++) {
        const nm_patch *p = &s.patches[o % s.positions];
        int64_t plane = o / s.positions * s.pixels, best = plane + winner(p, z + plane);

        to[o] = 0;
        for (int64_t m = 0; m < nm_window_volume(p->n); m++) {
            int64_t at = plane + p->first + m / (p->n[1] * p->n[2]) * p->step[0] +
                         m / p->n[2] % p->n[1] * p->step[1] + m % p->n[2] * p->step[2];

            to[o] = fmax(to[o], bound(z[at], at == best ? -1 : nm_or_zero(r, at), z[best],
                                      nm_or_zero(r, best)));
        }
    }
}

/* max(z + d) exceeds the old winner by at most the r of the new one, which must have come within
   reach of it; it falls by at most the winner's r. */
static double spread_of(double z, double r, double z_win, double r_win)
{
    return r >= 0 && nm_up(r + r_win) >= z_win - z ? nm_up(fmax(r, r_win)) : r_win;
}

/* max(z + d) - z_win - d_win = max over the others of (z + d) - (z_win + d_win), or 0. */
static double residual_of(double z, double r, double z_win, double r_win)
{
    return r >= 0 ? nm_up(r + r_win) - (z_win - z) : 0;
}

static int64_t n_links(const nm_net *net, const nm_op *op)
{
    (void)net, (void)op;
    return 1;
}

static void links(const nm_exec *ex, const double *const *in, int64_t *at, double *share)
{
    nm_planes s = nm_pool_planes(ex);

    for (int64_t k = 0; s.patches && k < s.n * s.positions; k++) {
        int64_t plane = k / s.positions * s.pixels;

        at[k] = plane + winner(&s.patches[k % s.positions], in[0] + plane);
        share[k] = 1;
    }
}

/* The winner, and who may overtake it. */
static void reach(const nm_exec *ex, const double *z, const double *r, const bool *matters_out,
                  bool *matters_in)
{
    nm_planes s = nm_pool_planes(ex);

    memset(matters_in, 0, (size_t)nm_in_total(ex, 0) * sizeof *matters_in);
    for (int64_t o = 0; s.patches && o < s.n * s.positions; o++) {
        const nm_patch *p = &s.patches[o % s.positions];
        int64_t plane = o / s.positions * s.pixels, best = plane + winner(p, z + plane);

        for (int64_t m = 0; matters_out[o] && m < nm_window_volume(p->n); m++) {
            int64_t at = plane + p->first + m / (p->n[1] * p->n[2]) * p->step[0] +
                         m / p->n[2] % p->n[1] * p->step[1] + m % p->n[2] * p->step[2];

            if (at == best || !(nm_up(r[at] + r[best]) < z[best] - z[at]))
                matters_in[at] = true;
        }
    }
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    (void)out;
    fill_bound(ex, in[0], r[0], spread_of, s);
}

static void residual(const nm_exec *ex, const double *const *in, const double *out,
                     const double *const *r, double *q)
{
    (void)out;
    fill_bound(ex, in[0], r[0], residual_of, q);
}

const nm_op_kind nm_op_max_pool = {.name = "MaxPool",
                                   .onnx_names = NM_ONNX("MaxPool", "GlobalMaxPool"),
                                   .min_in = 1,
                                   .max_in = 1,
                                   .attr_bytes = sizeof(nm_pool_attr),
                                   .parse = nm_pool_parse,
                                   .infer = nm_pool_infer,
                                   .forward_f32 = forward_f32,
                                   .forward_f64 = forward_f64,
                                   .jvp = jvp,
                                   .vjp = vjp,
                                   .n_pins = n_pins,
                                   .pin = pin,
                                   .spread = spread,
                                   .residual = residual,
                                   .n_links = n_links,
                                   .links = links,
                                   .reach = reach,
                                   .convex = true};
#endif
