/* Weights of linear functions over a box: what a conjunction of rows says together. */
#ifndef NM_VERIFY_COMBINE_H
#define NM_VERIFY_COMBINE_H

#include <stdbool.h>
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

/** Weights y >= 0, sum 1, with the largest least value, and a point where the largest f_r is least:
 *  the linear program min over the box of max_r f_r, by the simplex method on its m x (n + 1)
 *  dictionary, in double. The bound returned is nm_combine_least() of the weights.
 *  @param y      out, [m]
 *  @param joint  out, [n]; *constant belongs to it
 *  @param x      out, [n] the point, or NULL
 *  @return the bound */
double nm_combine_best(const nm_combine *c, double *y, double *joint, double *constant, double *x);

/** Shrinks a box to where slope . x + constant <= 0 may hold, rounding outward.
 *  @param lo, hi  [n] in and out
 *  @return false if it holds nowhere in the box (which is then left as it was) */
bool nm_combine_cut(int64_t n, const double *slope, double constant, double *lo, double *hi);

#endif
