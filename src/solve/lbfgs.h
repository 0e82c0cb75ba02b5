/* Minimising a smooth function of many unknowns: L-BFGS with a preconditioner (Nocedal & Wright,
 * "Numerical Optimization", 2nd ed., algorithms 7.4 and 3.1), backtracking line search. */
#ifndef NM_SOLVE_LBFGS_H
#define NM_SOLVE_LBFGS_H

#include "base/ctx.h"

typedef struct nm_lbfgs_problem {
    int64_t n;
    void *user;
    /** Value and gradient [n] at x. */
    nm_status (*evaluate)(void *user, const double *x, double *value, double *gradient,
                          nm_err *err);
    /** out = P v: about the inverse of the Hessian. */
    nm_status (*precondition)(void *user, const double *v, double *out, nm_err *err);
} nm_lbfgs_problem;

typedef struct nm_lbfgs_opts {
    int max_evaluations;
    int memory;           /* pairs kept */
    double tolerance_rel; /* stop when a step lowers the value by less than this share */
} nm_lbfgs_opts;

/** Minimises from x on, in place; never leaves a point for a worse one.
 *  @param value  out, at the final x */
nm_status nm_lbfgs_minimise(const nm_ctx *ctx, const nm_lbfgs_problem *problem,
                            const nm_lbfgs_opts *opts, double *x, double *value, int *evaluations,
                            nm_err *err);

#endif
