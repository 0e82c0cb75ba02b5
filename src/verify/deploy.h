/* What float32 evaluation of a net can take from the margins at given points.
 *
 * "Float32 evaluation" means: operator by operator, or with constants folded and sums joined as in
 * net/op/fold.h; each sum in any order, with or without FMA; denormals kept or flushed to zero.
 * Convolutions by other products (Winograd, FFT) and lower precisions are not covered. Where a
 * value or partial sum may overflow, all bounds of the point are infinite.
 *
 * Computed values satisfy v^ = f(u^) + e with a local error |e| bounded by the operator
 * (local_error: any order of summation, with or without FMA), and f(u^) = f(u) + J d + q for the
 * inputs' deviation d, with the curvature q bounded by the operator (residual: a ReLU whose sign
 * could change, a pool whose winner could). So the deviation of a margin is exactly
 *     sum over all values of  adjoint . (e + q).
 * Three bounds follow from it:
 *   rigorous     |adjoint| . (|e| + |q|), where the radius |d| <= r that e and q need is pushed
 *                forward operator by operator (spread) or, in deep nets, found from rows carried
 *                back (linear.h); what lifts a margin (curvature of convex operators) is left out.
 *                Holds without exception;
 *   first order  |adjoint| . |e| with e at the computed values: what is left when terms of second
 *                order in the unit roundoff are dropped (Higham's "to first order");
 *   probable     the same with the probabilistic local errors of Higham & Mary (2019). */
#ifndef NM_VERIFY_DEPLOY_H
#define NM_VERIFY_DEPLOY_H

#include "base/ctx.h"
#include "net/graph.h"

/** Per point; arrays [n]. Bounds are those of the class that comes closest to its bound. */
typedef struct nm_deploy {
    int64_t n;
    double *margin;   /* min over j of score[target] - score[j], in float64 */
    double *rigorous; /* bounds on what a margin can lose, output units */
    double *first_order;
    double *probable;
    double *slack; /* min over j of score[target] - score[j] - rigorous bound */
    bool *safe;    /* every margin exceeds its rigorous any-order bound */
    bool *safe_first_order;
    bool *safe_probable;
    bool *stale; /* bounds are those of an earlier net (nm_deploy_run_again) */
} nm_deploy;

/** @param x       [n x n_in] float32 inputs, as the net receives them
 *  @param target  [n] classes
 *  @param plain   plain loops only: shares no kernel with the optimiser
 *  Weights are taken as float32. Free with nm_deploy_clear(). */
nm_status nm_deploy_check(const nm_ctx *ctx, const nm_net *net, const float *x,
                          const int64_t *target, int64_t n, bool plain, nm_deploy *out,
                          nm_err *err);
void nm_deploy_clear(nm_deploy *deploy);

/** The same for nets that differ in the parameters of late operators only: what those before
 *  first_op give is computed once and kept. */
typedef struct nm_deploy_session nm_deploy_session;

/** What of it lies in memory by default. */
#define NM_DEPLOY_MEMORY ((size_t)1 << 27)

/** @param first_op    first operator whose constants may change; 0 = all may
 *  @param most_bytes  of what is kept that lie in memory; the rest lies in an unlinked temporary
 *                     file (base/store.h), and what that has no room for is computed each time
 *  net, x and target are lent until the session is closed. */
nm_status nm_deploy_open(const nm_ctx *ctx, const nm_net *net, const float *x,
                         const int64_t *target, int64_t n, int first_op, bool plain,
                         size_t most_bytes, nm_deploy_session **out, nm_err *err);

/** @param net  like the session's but for constants from first_op on */
nm_status nm_deploy_run(nm_deploy_session *session, const nm_net *net, nm_deploy *out, nm_err *err);

/** The next of a row of nets that differ little: margins of all points, but bounds only of points
 *  whose margin is not above enough[p]; others keep those that they have, and are stale.
 *  @param enough  [n]
 *  @param inout   from nm_deploy_run() or this; cleared on failure */
nm_status nm_deploy_run_again(nm_deploy_session *session, const nm_net *net, const double *enough,
                              nm_deploy *inout, nm_err *err);

/** Bounds of the stale points, with the same net as last: then all is as from nm_deploy_run(). */
nm_status nm_deploy_run_rest(nm_deploy_session *session, const nm_net *net, nm_deploy *inout,
                             nm_err *err);
bool nm_deploy_any_stale(const nm_deploy *deploy);

void nm_deploy_close(nm_deploy_session *session);

#endif
