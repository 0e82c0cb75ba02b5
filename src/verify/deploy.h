/* How far a float32 evaluation of a net can deviate from exact arithmetic at given points.
 *
 * Computed values satisfy v^ = f(u^) + e with a local error |e| bounded by the operator
 * (local_error: any order of summation, with or without FMA), and f(u^) = f(u) + J d + q for the
 * inputs' deviation d, with the curvature q bounded by the operator (residual: a ReLU whose sign
 * could change, a pool whose winner could). So the deviation of a margin is exactly
 *     sum over all values of  adjoint . (e + q),
 * and |adjoint| . (|e| + |q|) bounds it. The radius |d| <= r that e and q need is pushed forward
 * operator by operator (spread); it is loose, but enters in second place only. */
#ifndef NM_VERIFY_DEPLOY_H
#define NM_VERIFY_DEPLOY_H

#include "base/ctx.h"
#include "net/graph.h"

/** Per point; arrays [n]. */
typedef struct nm_deploy {
    int64_t n;
    double *margin; /* min over j of score[target] - score[j], in float64 */
    double
        *any_order; /* bound on the float32 deviation of the margin that is closest to its bound */
    double *probable; /* the same in the probabilistic model */
    bool *safe;       /* every margin score[target] - score[j] exceeds its any-order bound */
    bool *safe_probable;
} nm_deploy;

/** @param x       [n x n_in] float32 inputs, as the net receives them
 *  @param target  [n] classes
 *  @param plain   plain loops only: shares no kernel with the optimiser
 *  Weights are taken as float32. Free with nm_deploy_clear(). */
nm_status nm_deploy_check(const nm_ctx *ctx, const nm_net *net, const float *x,
                          const int64_t *target, int64_t n, bool plain, nm_deploy *out,
                          nm_err *err);
void nm_deploy_clear(nm_deploy *deploy);

#endif
