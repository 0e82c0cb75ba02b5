/* Least distance: the shortest x with R x >= h, from the products of the rows alone.
 *
 * The dual active set method of Goldfarb and Idnani, "A numerically stable dual method for solving
 * strictly convex quadratic programs", Mathematical Programming 27 (1983), for the identity as
 * Hessian. x = R'y is never formed: everything is said in the Gram matrix K = R R' and y. Each step
 * adds the row that misses most and drops rows whose multiplier would turn negative, so the method
 * cannot cycle, needs no feasible start, and where it stops for want of a step it has a proof of
 * infeasibility in hand. Rows should have length about 1 (or 0). */
#ifndef NM_SOLVE_LDP_H
#define NM_SOLVE_LDP_H

#include "base/ctx.h"

typedef enum nm_ldp_outcome { NM_LDP_SOLVED, NM_LDP_INFEASIBLE, NM_LDP_STALLED } nm_ldp_outcome;

typedef struct nm_ldp {
    int64_t m, capacity;
    int64_t n_equal; /* the first n_equal rows hold with equality; their y may have any sign */
    double *k;       /* [m x capacity] Gram matrix, both halves, row stride = capacity */
    double *h;       /* [m] */
    double *y;       /* [m] multipliers; kept over calls: a warm start */
    double *slack;   /* [m] K y - h */
    double *ray;     /* [m] after INFEASIBLE: ray >= 0, R'ray ~ 0, h'ray > 0 */
    int64_t n_active;
    int64_t *active;    /* rows with a multiplier, in the order of the factor */
    double *factor;     /* [n_active x capacity] lower Cholesky factor of K on the active rows */
    double *direction;  /* [m] scratch */
    double *projection; /* [m] scratch */
    bool *given_up;     /* [m] hold to `tolerance_stuck` only */
    int64_t iterations;
} nm_ldp;

/** Room for m rows in all; K, h of the new rows (m_old ..) are for the caller to fill, y is 0. */
nm_status nm_ldp_grow(nm_ldp *ldp, int64_t m, nm_err *err);
void nm_ldp_free(nm_ldp *ldp);

/** Solves from the present y on. NM_OK with an outcome; NM_E_CANCELLED, NM_E_LIMIT. */
nm_status nm_ldp_solve(nm_ldp *ldp, const nm_ctx *ctx, nm_ldp_outcome *outcome, nm_err *err);

/** Solves K z = b on the active rows.
 *  @param b  [n_active] in active order, replaced by z */
void nm_ldp_solve_active(const nm_ldp *ldp, double *b);

#endif
