/* What a network can give over the convex hull of points, where it is affine there or nearly so.
 *
 * Let v_1 .. v_m be the points and c their mean. With every operator in the place of its tangent in
 * the middle of its inputs' ranges over the hull, the network is affine: at x = sum l_i v_i its
 * values are  a(x) = a(c) + sum l_i D_i,  D_i carried forward from v_i - c by these tangents. What
 * the network has there, or what any float32 evaluation of it gives, obeys value(x) = a(x) + rho,
 * rho_out = J rho_in + s,    |s| <= q + e, operator by operator: q bounds how far an operator
 * leaves its tangent within the hull (0 where no piece ends there), e what is rounded. So for every
 * x of the hull coef . y(x) >= min_i coef . (a(c) + D_i) - sum over all values |adjoint| (q + e),
 * an exact statement about the linear region if the hull lies in one, and one that degrades gently
 * where an end of the hull sticks out of it (by roundings of weights, say). APRNN (Tao et al., PLDI
 * 2023) rests on q = 0; this is what the written file can be held to.
 *
 * The arithmetic is float64 in plain loops; its roundings count 2^-27 of what float32 may miss. */
#ifndef NM_VERIFY_HULL_H
#define NM_VERIFY_HULL_H

#include "base/ctx.h"
#include "net/graph.h"

/** coef . y - limit, to be known from below. */
typedef struct nm_hull_row {
    const double *coef; /* [scores] */
    double limit;
} nm_hull_row;

typedef struct nm_hull {
    const double *vertex; /* [n x n_in] */
    int64_t n;
    const nm_hull_row *rows;
    int64_t n_rows;
    double blur;  /* inputs count that are off the hull by this share of the largest vertex, in each
                     input */
    bool float32; /* any float32 evaluation at any float32 input within the hull, operator by
                     operator (see deploy.h); else real arithmetic on the weights as they are */
} nm_hull;

/** What is known of one row. */
typedef struct nm_hull_bound {
    double least; /* coef . y - limit is at least this, everywhere; -INFINITY: nothing is known */
    double at_vertex; /* the least of the affine map */
    double bends;     /* what was taken off for pieces that end within the hull ... */
    double rounding;  /* ... and for roundings */
} nm_hull_bound;

/** Bounds all rows. Any network; the answer is sharp where it is affine on the hull.
 *  @param out  [n_rows], caller's buffer
 *  @return NM_E_NOMEM */
nm_status nm_hull_check(const nm_net *net, const nm_hull *hull, nm_hull_bound *out, nm_err *err);

#endif
