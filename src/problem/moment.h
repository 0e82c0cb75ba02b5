/* Second moments of a stream of vectors, damped, and products with their inverse:
 *
 *     M = (1/weight) sum v v' + damping I.
 *
 * Up to NM_MOMENT_DENSE entries per vector the matrix is summed up and factored: no memory per
 * vector. Longer vectors would need too large a matrix; then a sample of at most NM_MOMENT_SAMPLE
 * vectors V stands for all, and (V'V + e I)^-1 = (I - V'(V V' + e I)^-1 V) / e (Woodbury). Where
 * fewer vectors come than half of their length, all are kept: the same for less work. */
#ifndef NM_PROBLEM_MOMENT_H
#define NM_PROBLEM_MOMENT_H

#include "base/ctx.h"

enum { NM_MOMENT_DENSE = 4608, NM_MOMENT_SAMPLE = 1024 };

typedef struct nm_moment nm_moment;

/** A moment of vectors [n]. @param n_expected  how many will come, for the choice of the sample */
nm_status nm_moment_new(int64_t n, int64_t n_expected, nm_moment **out, nm_err *err);
void nm_moment_free(nm_moment *moment);

/** Multiplies large vectors in float32 from now on (sums over all that are added at once; those are
 *  added up in double): good enough where the damping is well above float32 rounding. */
void nm_moment_make_coarse(nm_moment *moment);

/** Takes in `count` vectors v [count x n]. Order matters only for the sample. */
nm_status nm_moment_add(const nm_ctx *ctx, nm_moment *moment, const double *v, int64_t count,
                        nm_err *err);

/** Mean diagonal entry of (1/weight) sum v v'. */
double nm_moment_scale(const nm_moment *moment, double weight);

/** Divides by weight, adds the damping and factors. To be called once, after all vectors.
 *  @param damping  absolute, > 0 */
nm_status nm_moment_finish(const nm_ctx *ctx, nm_moment *moment, double weight, double damping,
                           nm_err *err);

/** out = M^-1 v for each of `count` vectors [count x n]; out must not overlap v. */
nm_status nm_moment_solve(const nm_ctx *ctx, const nm_moment *moment, const double *v,
                          int64_t count, double *out, nm_err *err);

#endif
