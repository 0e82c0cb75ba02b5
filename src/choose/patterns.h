/* Activation patterns: which piece each piecewise linear operator is on. */
#ifndef NM_CHOOSE_PATTERNS_H
#define NM_CHOOSE_PATTERNS_H

#include "base/ctx.h"
#include "net/graph.h"

/** Distinct patterns of the points (by a 64-bit digest of each); -1 where nothing of the net is
 *  piecewise linear. @param x  [n x n_in] */
nm_status nm_count_patterns(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                            int64_t *count, nm_err *err);

#endif
