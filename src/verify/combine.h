/* Weights of linear functions over a box: what a conjunction of rows says together. */
#ifndef NM_VERIFY_COMBINE_H
#define NM_VERIFY_COMBINE_H

#include <stdint.h>

/** Functions f_r(x) = slope[r] . x + constant[r], r < m <= NM_COMBINE_MOST, over [lo, hi]^n. */
enum { NM_COMBINE_MOST = 64 };

typedef struct nm_combine {
    int m;
    int64_t n;
    const double *const *slope; /* [m] each [n] */
    const double *constant;     /* [m] */
    const double *lo, *hi;
} nm_combine;

/** A lower bound of sum_r y_r f_r over the box, rounding included.
 *  @param joint  out, [n] the slopes of the sum (computed) */
double nm_combine_least(const nm_combine *c, const double *y, double *joint, double *constant);

/** Weights y >= 0, sum 1, under which that bound is large: ascent along pairs of weights, each step
 *  exact. Stops as soon as the bound is > 0. Few inputs.
 *  @param y      out, [m]
 *  @param joint  out, [n]; *constant belongs to it
 *  @return the bound */
double nm_combine_best(const nm_combine *c, double *y, double *joint, double *constant);

/** Shrinks the box to where joint . x + constant <= 0 may hold, rounding outward.
 *  @param least  lower bound of it over the box, <= 0
 *  @param size   [n] largest |x|
 *  @param to_lo, to_hi  [n] out; may be c's own */
void nm_combine_clip(int64_t n, const double *joint, double least, const double *lo,
                     const double *hi, double *to_lo, double *to_hi);

#endif
