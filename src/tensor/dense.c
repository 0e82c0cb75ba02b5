#include "tensor/dense.h"

#include <cblas.h>
#include <math.h>

/* Multiplications below which waking the other threads costs more than it saves. Products with a
 * vector wait for memory, so a quarter of that is enough for them. */
static const int64_t WORTH_THREADS = 8000000;

bool nm_worth_threads(int64_t multiplications)
{
    return multiplications > WORTH_THREADS;
}

/* Output tiles: small ones for small matrices, so that there are some for every thread. */
static int64_t tile_size(int64_t m)
{
    return m >= 768 ? 192 : m >= 192 ? 96 : 48;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void nm_dense_products(int threads, bool lower, int64_t m, const double *a, int64_t lda, int64_t n,
                       const double *b, int64_t ldb, int64_t k, double *out, int64_t ldo)
{
    int64_t tile = tile_size(m > n ? m : n);

    if (m == 0 || n == 0 || k == 0)
        return;
    if (lower && m * n * k <= WORTH_THREADS) {
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)m, (int)k, 1, a, (int)lda, 1, out,
                    (int)ldo);
        return;
    }
    int64_t rows = (m + tile - 1) / tile, columns = (n + tile - 1) / tile;

#pragma omp parallel for schedule(dynamic) num_threads(threads) if (m * n * k > WORTH_THREADS)
    for (int64_t t = 0; t < rows * columns; t++) {
        int64_t i = t / columns * tile, j = t % columns * tile;

        if (lower && j > i)
            continue;
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)at_most(tile, m - i),
                    (int)at_most(tile, n - j), (int)k, 1, a + i * lda, (int)lda, b + j * ldb,
                    (int)ldb, 1, out + i * ldo + j, (int)ldo);
    }
}

void nm_dense_times(int threads, int64_t m, int64_t n, const double *a, const double *x,
                    double *out)
{
    enum { STRIP = 32 };
    int64_t strips = (m + STRIP - 1) / STRIP;

#pragma omp parallel for schedule(static) num_threads(threads) if (m * n > WORTH_THREADS / 4)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = s * STRIP;

        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)at_most(STRIP, m - i), (int)n, 1, a + i * n,
                    (int)n, x, 1, 0, out + i, 1);
    }
}

void nm_dense_transposed_times(int threads, int64_t m, int64_t n, const double *a, const double *y,
                               double *out)
{
    enum { STRIP = 1024 };
    int64_t strips = m > 0 ? (n + STRIP - 1) / STRIP : 0;

#pragma omp parallel for schedule(static) num_threads(threads) if (m * n > WORTH_THREADS / 4)
    for (int64_t s = 0; s < strips; s++) {
        int64_t j = s * STRIP;

        cblas_dgemv(CblasRowMajor, CblasTrans, (int)m, (int)at_most(STRIP, n - j), 1, a + j, (int)n,
                    y, 1, 1, out + j, 1);
    }
}

static const double HUGE_PIVOT = 1e64;

/* The diagonal block at `first`, row by row. */
static int64_t factor_block(int64_t first, int64_t last, double *k, int64_t ldk, double tiny,
                            const double *diagonal)
{
    int64_t replaced = 0;

    for (int64_t i = first; i < last; i++) {
        double *row = k + i * ldk;

        for (int64_t j = first; j < i; j++) {
            const double *other = k + j * ldk;

            for (int64_t p = first; p < j; p++)
                row[j] -= row[p] * other[p];
            row[j] /= other[j];
        }
        for (int64_t p = first; p < i; p++)
            row[i] -= row[p] * row[p];
        if (!isfinite(row[i]))
            return -1;
        replaced += row[i] <= tiny * diagonal[i - first];
        row[i] = row[i] <= tiny * diagonal[i - first] ? HUGE_PIVOT : sqrt(row[i]);
    }
    return replaced;
}

/* Takes away from columns first .. last - 1, below row `first`, what the earlier columns
 * contribute.
 */
static void update_columns(int threads, int64_t n, int64_t first, int64_t last, double *k,
                           int64_t ldk)
{
    enum { STRIP = 128 };
    int64_t strips = (n - first + STRIP - 1) / STRIP;

    if (first == 0)
        return;
#pragma omp parallel for schedule(dynamic)                                                         \
    num_threads(threads) if ((n - first) * (last - first) * first > WORTH_THREADS)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = first + s * STRIP;

        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)at_most(STRIP, n - i),
                    (int)(last - first), (int)first, -1, k + i * ldk, (int)ldk, k + first * ldk,
                    (int)ldk, 1, k + i * ldk + first, (int)ldk);
    }
}

/* Rows below the factored diagonal block first .. last - 1. */
static void solve_below(int threads, int64_t n, int64_t first, int64_t last, double *k, int64_t ldk)
{
    enum { STRIP = 128 };
    int64_t strips = (n - last + STRIP - 1) / STRIP;

#pragma omp parallel for schedule(dynamic)                                                         \
    num_threads(threads) if ((n - last) * (last - first) * (last - first) > WORTH_THREADS)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = last + s * STRIP;

        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
                    (int)at_most(STRIP, n - i), (int)(last - first), 1, k + first * ldk + first,
                    (int)ldk, k + i * ldk + first, (int)ldk);
    }
}

/* A diagonal block that stays in the cache, in small blocks, by one thread. */
static int64_t factor_corner(int64_t n, double *k, int64_t ldk, double tiny, const double *diagonal)
{
    enum { BLOCK = 32 };
    int64_t replaced = 0;

    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t last = at_most(first + BLOCK, n);

        update_columns(1, n, first, last, k, ldk);
        int64_t bad = factor_block(first, last, k, ldk, tiny, diagonal + first);

        if (bad < 0)
            return -1;
        replaced += bad;
        solve_below(1, n, first, last, k, ldk);
    }
    return replaced;
}

/* Left-looking by block columns: what the earlier columns take away, the block, the rows below. */
int64_t nm_dense_cholesky_rest(int threads, int64_t n, double *k, int64_t ldk, double tiny,
                               const double *whole)
{
    enum { BLOCK = 256 };
    int64_t replaced = 0;

    for (int64_t first = 0; first < n; first += BLOCK) {
        int64_t last = at_most(first + BLOCK, n);
        double diagonal[BLOCK];

        for (int64_t i = first; i < last; i++)
            diagonal[i - first] = whole ? whole[i] : k[i * (ldk + 1)];
        update_columns(threads, n, first, last, k, ldk);
        int64_t bad = factor_corner(last - first, k + first * (ldk + 1), ldk, tiny, diagonal);

        if (bad < 0)
            return -1;
        replaced += bad;
        solve_below(threads, n, first, last, k, ldk);
    }
    return replaced;
}

int64_t nm_dense_cholesky(int threads, int64_t n, double *k, int64_t ldk, double tiny)
{
    return nm_dense_cholesky_rest(threads, n, k, ldk, tiny, NULL);
}

void nm_dense_cholesky_solve(int64_t n, const double *l, int64_t ldl, double *b)
{
    if (n == 0)
        return;
    cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)n, l, (int)ldl, b, 1);
    cblas_dtrsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)n, l, (int)ldl, b, 1);
}
