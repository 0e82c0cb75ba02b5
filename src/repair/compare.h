/* Scores of a net and of its repaired version. Operators in front of the first edited one give the
 * same values in both: they are evaluated once. */
#ifndef NM_REPAIR_COMPARE_H
#define NM_REPAIR_COMPARE_H

#include "base/ctx.h"
#include "net/difference.h"

/** @param fixed   NULL = only `before` is wanted
 *  @param x       [n x n_in] float32 inputs
 *  @param before, after  out, [n x size of scores]; after may be NULL without a fixed net */
nm_status nm_compare_scores_f32(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                                const float *x, int64_t n, float *before, float *after,
                                nm_err *err);
nm_status nm_compare_scores_f64(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                                const float *x, int64_t n, double *before, double *after,
                                nm_err *err);

#endif
