/* Dense kernels on single-threaded BLAS blocks. The blocks and their order depend on the sizes
 * only, so results have the same bits for any number of threads. All matrices are row-major. */
#ifndef NM_TENSOR_DENSE_H
#define NM_TENSOR_DENSE_H

#include <stdint.h>

#include "base/err.h"

/** Whether so many multiplications are worth waking other threads for. */
bool nm_worth_threads(int64_t multiplications);

/** out[i, j] += a_i . b_j for i < m, j < n; a [m x k], b [n x k] with strides lda, ldb >= k.
 *  @param lower  a = b, and only j <= i is wanted (some j > i may be written) */
void nm_dense_products(int threads, bool lower, int64_t m, const double *a, int64_t lda, int64_t n,
                       const double *b, int64_t ldb, int64_t k, double *out, int64_t ldo);

/** out[i] = a_i . x, i < m; a [m x n] without gaps. */
void nm_dense_times(int threads, int64_t m, int64_t n, const double *a, const double *x,
                    double *out);

/** out[j] += sum_i y_i a_ij, j < n. */
void nm_dense_transposed_times(int threads, int64_t m, int64_t n, const double *a, const double *y,
                               double *out);

/** Cholesky factor of a symmetric positive semidefinite matrix, lower half in place.
 *
 *  A pivot below `tiny` times its diagonal entry before elimination belongs to a row that depends
 *  on the earlier ones; it is replaced by a huge number, which makes that component of later
 *  solutions 0 (S. Wright, "Modified Cholesky factorizations in interior-point algorithms for
 *  linear programming", SIAM J. Optim. 9, 1999).
 *  @return number of pivots replaced, -1 if a value is not finite */
int64_t nm_dense_cholesky(int threads, int64_t n, double *k, int64_t ldk, double tiny);

/** The same for what is left of a larger matrix after other rows were eliminated.
 *  @param whole  [n] diagonal before that, against which pivots are small; NULL = that of k */
int64_t nm_dense_cholesky_rest(int threads, int64_t n, double *k, int64_t ldk, double tiny,
                               const double *whole);

/** Solves L L' x = b in place. */
void nm_dense_cholesky_solve(int64_t n, const double *l, int64_t ldl, double *b);

#endif
