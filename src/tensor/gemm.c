#ifdef NM_REAL

/* Eight partial sums, so that compilers vectorise the loop without reordering any one sum. */
static NM_REAL NM_TYPED(dot)(int64_t n, const NM_REAL *a, const NM_REAL *b)
{
    NM_REAL lane[N_LANES] = {0}, sum = 0;
    int64_t i = 0;

    for (; i + N_LANES <= n; i += N_LANES)
        for (int l = 0; l < N_LANES; l++)
            lane[l] += a[i + l] * b[i + l];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int l = 0; l < N_LANES; l++)
        sum += lane[l];
    return sum;
}

static void NM_TYPED(scale_row)(int64_t n, NM_REAL beta, NM_REAL *c)
{
    if (beta == 0)
        memset(c, 0, (size_t)n * sizeof *c);
    else if (beta != 1)
        for (int64_t j = 0; j < n; j++)
            c[j] *= beta;
}

static void NM_TYPED(plain)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    int64_t a_row = g->trans_a ? 1 : g->lda, a_col = g->trans_a ? g->lda : 1;

    for (int64_t i = 0; i < g->m; i++) {
        NM_REAL *row = c + i * g->ldc;

        NM_TYPED(scale_row)(g->n, (NM_REAL)g->beta, row);
        if (g->trans_b) {
            for (int64_t j = 0; j < g->n; j++)
                row[j] += (NM_REAL)g->alpha * NM_TYPED(dot)(g->k, a + i * g->lda, b + j * g->ldb);
            continue;
        }
        for (int64_t p = 0; p < g->k; p++) {
            NM_REAL factor = (NM_REAL)g->alpha * a[i * a_row + p * a_col];
            const NM_REAL *from = b + p * g->ldb;

            for (int64_t j = 0; j < g->n; j++)
                row[j] += factor * from[j];
        }
    }
}

void NM_TYPED(nm_gemm)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    assert(!(g->trans_a && g->trans_b));
    if (g->m == 0 || g->n == 0)
        return;
    if (g->plain || !fits_blas(g)) {
        NM_TYPED(plain)(g, a, b, c);
        return;
    }
    (void)pthread_once(&blas_once, limit_blas_threads);
    (void)NM_TYPED(blas)(CblasRowMajor, g->trans_a ? CblasTrans : CblasNoTrans,
                         g->trans_b ? CblasTrans : CblasNoTrans, (blasint)g->m, (blasint)g->n,
                         (blasint)g->k, (NM_REAL)g->alpha, a, (blasint)g->lda, b, (blasint)g->ldb,
                         (NM_REAL)g->beta, c, (blasint)g->ldc);
}

#else

#include "tensor/gemm.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

enum { N_LANES = 8 };

#define blas_f32 cblas_sgemm
#define blas_f64 cblas_dgemm

static pthread_once_t blas_once = PTHREAD_ONCE_INIT;

static void limit_blas_threads(void)
{
    openblas_set_num_threads(1);
}

/* BLAS counts in 32-bit integers. */
static bool fits_blas(const nm_gemm *g)
{
    return g->m <= INT_MAX && g->n <= INT_MAX && g->k <= INT_MAX && g->lda <= INT_MAX &&
           g->ldb <= INT_MAX && g->ldc <= INT_MAX;
}

#define NM_SELF "tensor/gemm.c"
#include "tensor/typed.h"
#endif
