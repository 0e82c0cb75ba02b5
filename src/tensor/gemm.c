#ifdef NM_REAL

/* c[i * ldc] += alpha * (row i of a) . b for `rows` rows, a constant to the compiler: b is read
   once for all of them. Several partial sums per row become vector code; their number is fixed, so
   a row's result does not depend on its neighbours. */
static inline void NM_TYPED(add_dots)(int64_t rows, int64_t k, NM_REAL alpha, const NM_REAL *a,
                                      int64_t lda, const NM_REAL *b, NM_REAL *c, int64_t ldc)
{
    enum { N_LANES = LANE_BYTES / sizeof(NM_REAL) };
    NM_REAL lane[FEW_ROWS][N_LANES] = {{0}};
    int64_t p = 0;

    for (; p + N_LANES <= k; p += N_LANES)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t l = 0; l < N_LANES; l++)
                lane[i][l] += a[i * lda + p + l] * b[p + l];
    for (int64_t i = 0; i < rows; i++) {
        NM_REAL sum = 0;

        for (int64_t rest = p; rest < k; rest++)
            sum += a[i * lda + rest] * b[rest];
        for (int64_t l = 0; l < N_LANES; l++)
            sum += lane[i][l];
        c[i * ldc] += alpha * sum;
    }
}

/* C += alpha A B' for a panel of B that stays in the cache: n rows of k elements. */
static void NM_TYPED(dots_panel)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c,
                                 int64_t n, int64_t k)
{
    NM_REAL alpha = (NM_REAL)g->alpha;
    int64_t i = 0;

    for (; i + FEW_ROWS <= g->m; i += FEW_ROWS)
        for (int64_t j = 0; j < n; j++)
            NM_TYPED(add_dots)
    (FEW_ROWS, k, alpha, a + i * g->lda, g->lda, b + j * g->ldb, c + i * g->ldc + j, g->ldc);
    for (; i < g->m; i++)
        for (int64_t j = 0; j < n; j++)
            NM_TYPED(add_dots)
    (1, k, alpha, a + i * g->lda, g->lda, b + j * g->ldb, c + i * g->ldc + j, g->ldc);
}

static void NM_TYPED(plain_dots)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    for (int64_t p = 0; p < g->k; p += PANEL_LONG)
        for (int64_t j = 0; j < g->n; j += PANEL_SHORT)
            NM_TYPED(dots_panel)
    (g, a + p, b + j * g->ldb + p, c + j, at_most(PANEL_SHORT, g->n - j),
     at_most(PANEL_LONG, g->k - p));
}

/* c += factor[0] row 0 of b + factor[1] row 1 of b + ..., n elements. */
static inline void NM_TYPED(add_rows)(int64_t n, const NM_REAL factor[FEW_ROWS], const NM_REAL *b,
                                      int64_t ldb, NM_REAL *c)
{
    const NM_REAL *b1 = b + ldb, *b2 = b1 + ldb, *b3 = b2 + ldb;

    for (int64_t j = 0; j < n; j++)
        c[j] += (factor[0] * b[j] + factor[1] * b1[j]) + (factor[2] * b2[j] + factor[3] * b3[j]);
}

/* C += alpha op(A) B for a panel of B: rows [p, p_end), n columns. */
static void NM_TYPED(rows_panel)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c,
                                 int64_t n, int64_t p, int64_t p_end)
{
    int64_t a_row = g->trans_a ? 1 : g->lda, a_col = g->trans_a ? g->lda : 1;
    NM_REAL alpha = (NM_REAL)g->alpha;

    for (; p + FEW_ROWS <= p_end; p += FEW_ROWS)
        for (int64_t i = 0; i < g->m; i++) {
            NM_REAL factor[FEW_ROWS];

            for (int64_t k = 0; k < FEW_ROWS; k++)
                factor[k] = alpha * a[i * a_row + (p + k) * a_col];
            NM_TYPED(add_rows)(n, factor, b + p * g->ldb, g->ldb, c + i * g->ldc);
        }
    for (; p < p_end; p++)
        for (int64_t i = 0; i < g->m; i++)
            for (int64_t j = 0; j < n; j++)
                c[i * g->ldc + j] += alpha * a[i * a_row + p * a_col] * b[p * g->ldb + j];
}

static void NM_TYPED(plain_rows)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    for (int64_t j = 0; j < g->n; j += PANEL_LONG)
        for (int64_t p = 0; p < g->k; p += PANEL_SHORT)
            NM_TYPED(rows_panel)
    (g, a, b + j, c + j, at_most(PANEL_LONG, g->n - j), p, p + at_most(PANEL_SHORT, g->k - p));
}

static void NM_TYPED(plain)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; g->beta != 1 && j < g->n; j++)
            c[i * g->ldc + j] = g->beta == 0 ? 0 : (NM_REAL)g->beta * c[i * g->ldc + j];
    if (g->trans_b)
        NM_TYPED(plain_dots)(g, a, b, c);
    else
        NM_TYPED(plain_rows)(g, a, b, c);
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

/* Plain loops: rows that share one reading of B, bytes of partial sums of each, and the panels of B
   that are worked on at once. */
enum { FEW_ROWS = 4, LANE_BYTES = 64, PANEL_SHORT = 32, PANEL_LONG = 512 };

#define blas_f32 cblas_sgemm
#define blas_f64 cblas_dgemm

static int64_t at_most(int64_t most, int64_t n)
{
    return n < most ? n : most;
}

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
