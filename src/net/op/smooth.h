/* Facets shared by smooth functions of one element (Sigmoid, Gelu, Exp, ...).
 *
 * A function gives its slope and bounds over an interval; the Taylor formula does the rest:
 *     |f(x + d) - f(x)|          <= r sup |f'|
 *     |f(x + d) - f(x) - f'(x)d| <= min(r^2/2 sup |f''| + r (jumps of f' within r), 2 r sup |f'|)
 *
 * What a float32 evaluation may be off by depends on the runtime's approximation. The bounds below
 * assume 4 ulp (NM_F32_LIBM, relative) for exp, log and pow, as libm and the vector libraries of
 * runtimes keep, and an absolute 2^-20 (NM_F32_SQUASH) for functions with values in [-1, 1], which
 * runtimes compute by clamped rational approximations (relative accuracy is lost near 0). */
#ifndef NM_NET_OP_SMOOTH_H
#define NM_NET_OP_SMOOTH_H

#include "net/op.h"

#define NM_F32_LIBM 0x1p-21   /* 4 ulp = 8 unit roundoffs, relative */
#define NM_F32_SQUASH 0x1p-20 /* absolute, of sigmoid, tanh and erf */

typedef struct nm_smooth_family {
    double (*slope)(const nm_exec *ex, double x);
    double (*max_slope)(const nm_exec *ex, double lo, double hi); /* sup |f'| on [lo, hi] */
    double (*max_curve)(const nm_exec *ex, double lo, double hi); /* sup |f''| where it exists */
    double (*error)(const nm_exec *ex, double lo, double hi); /* float32 evaluation on [lo, hi] */

    /* At these points f' jumps. */
    int n_kinks;
    double kink[2];
    double (*jump)(const nm_exec *ex); /* size of the jumps; NULL if there are no kinks */
} nm_smooth_family;

/** Largest |g| on [lo, hi], for a g whose extrema are all in `extrema`. */
double nm_sup_abs(double (*g)(const nm_exec *ex, double x), const nm_exec *ex, double lo, double hi,
                  const double *extrema, int n);

void nm_smooth_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout);
void nm_smooth_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din);
void nm_smooth_local_error(const nm_exec *ex, const double *const *in, const double *out,
                           const double *const *r, double *e);
void nm_smooth_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s);
void nm_smooth_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q);

/** Facets but parse, infer and forward, for the kind's table. */
#define NM_SMOOTH_FACETS                                                                           \
    .jvp = nm_smooth_jvp, .vjp = nm_smooth_vjp, .local_error = nm_smooth_local_error,              \
    .spread = nm_smooth_spread, .residual = nm_smooth_residual, .smooth = true,                    \
    .elementwise = true

#endif
