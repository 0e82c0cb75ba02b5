/* Lines below and above the functions of neurons. */
#include "verify/bound_lines.h"

#include <math.h>

#define ROUNDOFF 0x1p-53

/* Between 0 and z, and the chord. Any slope will do for the chord, if it is raised to be above both
   ends: relu is convex. */
static void relu_lines(nm_lines *l, int64_t i)
{
    double lo = l->lo[i], hi = l->hi[i], slope;

    l->below_at[i] = l->above_at[i] = 0;
    if (!(lo < 0 && hi > 0)) {
        l->below[i] = l->above[i] = lo >= 0 ? 1 : 0;
        return;
    }
    slope = hi / (hi - lo);
    l->below[i] = hi > -lo ? 1 : 0;
    l->above[i] = slope;
    l->above_at[i] = fmax(-slope * lo, hi - slope * hi) * (1 + 8 * ROUNDOFF) + 1e-300;
    if (hi - slope * hi > -slope * lo) /* cancelled: what is left rounds by as much as hi */
        l->above_at[i] += 4 * ROUNDOFF * hi;
}

static double smooth_slope(nm_vkind kind, double z)
{
    double t = exp(-(kind == NM_VNODE_TANH ? 2 : 1) * fabs(z));

    return (kind == NM_VNODE_TANH ? 4 : 1) * t / ((1 + t) * (1 + t));
}

/* The slope of an S curve is least at an end of any interval, so lines of that slope through the
   ends enclose it. Where the curve bends one way only, the chord and a tangent do better. */
static void smooth_lines(nm_vkind kind, nm_lines *l, int64_t i)
{
    double lo = l->lo[i], hi = l->hi[i], middle = 0.5 * (lo + hi);
    double f_lo = nm_vnode_value(kind, lo), f_hi = nm_vnode_value(kind, hi);
    double least = fmin(smooth_slope(kind, lo), smooth_slope(kind, hi)) * (1 - 1e-13);
    double chord = hi - lo > 1e-6 ? (f_hi - f_lo) / (hi - lo) : least;
    double tangent = smooth_slope(kind, middle), f_middle = nm_vnode_value(kind, middle);
    bool bends_up = hi <= 0 && hi - lo > 1e-6, bends_down = lo >= 0 && hi - lo > 1e-6;
    double slack = 1e-11 * (1 + fabs(lo) + fabs(hi));

    l->below[i] = bends_up ? tangent : bends_down ? chord : least;
    l->below_at[i] = (bends_up ? f_middle - tangent * middle : f_lo - l->below[i] * lo) - slack;
    if (bends_down) /* the computed chord may be off by its rounding: below both ends */
        l->below_at[i] = fmin(f_lo - chord * lo, f_hi - chord * hi) - slack;
    l->above[i] = bends_down ? tangent : bends_up ? chord : least;
    l->above_at[i] = (bends_down ? f_middle - tangent * middle : f_hi - l->above[i] * hi) + slack;
    if (bends_up)
        l->above_at[i] = fmax(f_lo - chord * lo, f_hi - chord * hi) + slack;
}

void nm_bound_set_lines(nm_bounder *b, int k)
{
    const nm_vnode *node = &b->v->nodes[k];
    nm_lines *l = &b->lines;
    int32_t *alive = l->alive + node->first, n = 0;

    for (int64_t r = 0; r < node->n; r++) {
        int64_t i = node->first + r;

        if (node->kind == NM_VNODE_RELU)
            relu_lines(l, i);
        else if (nm_vkind_is_smooth(node->kind))
            smooth_lines(node->kind, l, i);
        else {
            l->below[i] = l->above[i] = 1;
            l->below_at[i] = l->above_at[i] = 0;
        }
        l->n_unstable += nm_vkind_is_smooth(node->kind) ||
                         (node->kind == NM_VNODE_RELU && l->lo[i] < 0 && l->hi[i] > 0);
        if (node->kind != NM_VNODE_RELU || l->hi[i] > 0)
            alive[n++] = (int32_t)r;
    }
    l->n_alive[k] = n;
}

void nm_bound_touch(nm_bounder *b, const double *x)
{
    for (int k = 1; k < b->v->n_nodes; k++) {
        const nm_vnode *node = &b->v->nodes[k];

        for (int64_t i = node->first; node->kind == NM_VNODE_RELU && i < node->first + node->n; i++)
            if (nm_bound_is_unstable(b, k, i))
                b->lines.below[i] = x[i] > 0 ? 1 : 0;
    }
}

void nm_bound_linearise(nm_bounder *b, const double *x)
{
    nm_lines *l = &b->lines;

    for (int k = 1; k < b->v->n_nodes; k++) {
        const nm_vnode *node = &b->v->nodes[k];
        int32_t n = 0;

        for (int64_t r = 0; r < node->n; r++) {
            int64_t i = node->first + r;
            double slope = node->kind == NM_VNODE_RELU      ? x[i] > 0
                           : node->kind == NM_VNODE_SIGMOID ? x[i] * (1 - x[i])
                           : node->kind == NM_VNODE_TANH    ? 1 - x[i] * x[i]
                                                            : 1;

            l->below[i] = l->above[i] = slope;
            l->below_at[i] = l->above_at[i] = 0;
            if (slope != 0)
                l->alive[node->first + n++] = (int32_t)r;
        }
        l->n_alive[k] = n;
    }
}
