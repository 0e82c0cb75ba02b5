/* Matrix products, row-major: C = alpha op(A) op(B) + beta C.
 *
 * BLAS runs on one thread (parallelism is over blocks of points, above), so the bits of a result do
 * not depend on the number of threads. `plain` takes simple loops instead: independent checks must
 * not trust the same kernels that the optimiser used. */
#ifndef NM_TENSOR_GEMM_H
#define NM_TENSOR_GEMM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct nm_gemm {
    bool plain;            /* loops of ours, not BLAS */
    bool absolute;         /* |A| and |B| instead of A and B: for error bounds; always plain */
    bool trans_a, trans_b; /* op(X) = X'; never both */
    int64_t m, n, k;       /* op(A) is [m x k], op(B) [k x n], C [m x n] */
    int64_t lda, ldb, ldc; /* elements from one stored row to the next */
    double alpha, beta;    /* beta = 0: C is not read */
} nm_gemm;

/** Sums run over k in an order that depends only on the sizes. */
void nm_gemm_f32(const nm_gemm *g, const float *a, const float *b, float *c);
void nm_gemm_f64(const nm_gemm *g, const double *a, const double *b, double *c);

#endif
