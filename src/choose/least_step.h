/* The shortest step that gives rows what they lack, from their inner products. */
#ifndef NM_CHOOSE_LEAST_STEP_H
#define NM_CHOOSE_LEAST_STEP_H

#include <stdint.h>

#include "base/ctx.h"

/** Solves A d >= h for the shortest d (solve/gram.h).
 *  @param k       [m x m] inner products of the rows; only its lower half is read
 *  @param h       [m]
 *  @param y       out, [m] multipliers: d = M^-1 A'y; NULL = not wanted, undefined unless the
 * length is finite
 *  @param length  of d; INFINITY where the rows contradict each other, NAN where the solver failed
 *                 or numbers are not finite */
nm_status nm_least_step(const nm_ctx *ctx, const double *k, const double *h, int64_t m, double *y,
                        double *length, nm_err *err);

#endif
