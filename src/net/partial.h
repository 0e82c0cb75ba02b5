/* Evaluating a part of a net in float32 for many points: from known values to wanted ones. */
#ifndef NM_NET_PARTIAL_H
#define NM_NET_PARTIAL_H

#include "net/pass.h"

typedef struct nm_partial {
    const nm_net *net;
    const bool *op_mask;       /* [n_ops] the operators to run */
    int64_t n;                 /* points */
    const float *const *given; /* [n_values] known values, [n x size] each; NULL = not known */
    float *const *wanted;      /* [n_values] where to put results, [n x size]; NULL = not wanted */
} nm_partial;

/** Runs the masked operators; what is not wanted, nor needed for it, need not be computed. What the
 *  context recalls of the points (net/recall.h) is not computed again. Every value they read is a
 * constant, given, or the output of an earlier one. Same bits for any number of threads.
 *  @return NM_E_CANCELLED, NM_E_LIMIT, NM_E_NOMEM */
nm_status nm_partial_run(const nm_ctx *ctx, const nm_partial *partial, nm_err *err);

/** The same without recalling anything. */
nm_status nm_partial_run_plain(const nm_ctx *ctx, const nm_partial *partial, nm_err *err);

/** Scores [n x size of net->scores] of n points, caller's buffer. */
nm_status nm_partial_scores(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                            float *scores, nm_err *err);

#endif
