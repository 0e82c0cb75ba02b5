#ifdef NM_REAL

static inline NM_REAL NM_TYPED(magnitude)(NM_REAL x)
{
    return (NM_REAL)fabs((double)x);
}

typedef NM_REAL NM_TYPED(strip) __attribute__((vector_size(STRIP_BYTES)));

enum { NM_TYPED(STRIP) = STRIP_BYTES / sizeof(NM_REAL) };

/* out = A B for a strip of A, k columns of TILE_ROWS elements, and one of B, k rows of a vector
   each. Every entry is one sum in the order of k, whatever instructions the compiler makes of the
   vectors. */
static inline __attribute__((always_inline)) void NM_TYPED(tile)(int64_t k, const NM_REAL *a,
                                                                 const NM_REAL *b, NM_REAL *out)
{
    NM_TYPED(strip) s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0};

    for (int64_t p = 0; p < k; p++, a += TILE_ROWS) {
        NM_TYPED(strip) row;

        memcpy(&row, b + p * NM_TYPED(STRIP), sizeof row);
        s0 += row * a[0];
        s1 += row * a[1];
        s2 += row * a[2];
        s3 += row * a[3];
        s4 += row * a[4];
        s5 += row * a[5];
    }
    memcpy(out, &s0, sizeof s0);
    memcpy(out + NM_TYPED(STRIP), &s1, sizeof s1);
    memcpy(out + 2 * NM_TYPED(STRIP), &s2, sizeof s2);
    memcpy(out + 3 * NM_TYPED(STRIP), &s3, sizeof s3);
    memcpy(out + 4 * NM_TYPED(STRIP), &s4, sizeof s4);
    memcpy(out + 5 * NM_TYPED(STRIP), &s5, sizeof s5);
}

static void NM_TYPED(tile_base)(int64_t k, const NM_REAL *a, const NM_REAL *b, NM_REAL *out)
{
    NM_TYPED(tile)(k, a, b, out);
}

#if HAVE_WIDE_TILES
__attribute__((target("avx2"))) static void NM_TYPED(tile_avx2)(int64_t k, const NM_REAL *a,
                                                                const NM_REAL *b, NM_REAL *out)
{
    NM_TYPED(tile)(k, a, b, out);
}

__attribute__((target("avx512f"))) static void NM_TYPED(tile_avx512)(int64_t k, const NM_REAL *a,
                                                                     const NM_REAL *b, NM_REAL *out)
{
    NM_TYPED(tile)(k, a, b, out);
}
#endif

typedef void (*NM_TYPED(tile_fn))(int64_t k, const NM_REAL *a, const NM_REAL *b, NM_REAL *out);

static NM_TYPED(tile_fn) NM_TYPED(best_tile)(void)
{
#if HAVE_WIDE_TILES
    if (__builtin_cpu_supports("avx512f"))
        return NM_TYPED(tile_avx512);
    if (__builtin_cpu_supports("avx2"))
        return NM_TYPED(tile_avx2);
#endif
    return NM_TYPED(tile_base);
}

/* Copies n rows (columns, for the other operand) of k elements into strips of `width`, element by
   element: to[(i / width) * k * width + p * width + i % width] = from[i * step + p * along], 0 in
   the last strip where there is no row. Inlined, so that copies of `width` elements are a few
   moves: where few rows meet a large matrix, packing is half of the product's time. */
static inline __attribute__((always_inline)) void NM_TYPED(pack)(bool absolute, int64_t n,
                                                                 int64_t k, int64_t width,
                                                                 const NM_REAL *from, int64_t step,
                                                                 int64_t along, NM_REAL *to)
{
    for (; n > 0; n -= width, to += k * width, from += width * step) {
        if (n < width)
            memset(to, 0, (size_t)(k * width) * sizeof *to);
        if (n >= width && step == 1)
            for (int64_t p = 0; p < k; p++)
                memcpy(to + p * width, from + p * along, (size_t)width * sizeof *to);
        else if (n >= width && along == 1)
            NM_TYPED(nm_lanes_gather)(width, k, from, step, to);
        else
            for (int64_t i = 0; i < at_most(width, n); i++)
                for (int64_t p = 0; p < k; p++)
                    to[p * width + i] = from[i * step + p * along];
        for (int64_t p = 0; absolute && p < k; p++)
            for (int64_t i = 0; i < width; i++)
                to[p * width + i] = NM_TYPED(magnitude)(to[p * width + i]);
    }
}

/* C (+)= alpha times a tile, where it lies inside C. */
static void NM_TYPED(put_tile)(const nm_gemm *g, const NM_REAL *tile, int64_t rows, int64_t columns,
                               bool first, NM_REAL *c)
{
    NM_REAL alpha = (NM_REAL)g->alpha, beta = (NM_REAL)g->beta;

    for (int64_t i = 0; i < rows; i++, tile += NM_TYPED(STRIP), c += g->ldc)
        for (int64_t j = 0; j < columns; j++)
            c[j] = (!first ? c[j] : g->beta == 0 ? 0 : beta * c[j]) + alpha * tile[j];
}

/* A block of op(A) that stays in the cache, times all of op(B), one strip of columns at a time. */
static void NM_TYPED(block)(const nm_gemm *g, NM_TYPED(tile_fn) tile, const NM_REAL *packed,
                            int64_t rows, int64_t depth, const NM_REAL *b, bool first, NM_REAL *c)
{
    _Alignas(STRIP_BYTES) NM_REAL strip[BLOCK_DEPTH * NM_TYPED(STRIP)];
    _Alignas(STRIP_BYTES) NM_REAL out[TILE_ROWS * NM_TYPED(STRIP)];
    int64_t step = g->trans_b ? g->ldb : 1, along = g->trans_b ? 1 : g->ldb;

    for (int64_t j = 0; j < g->n; j += NM_TYPED(STRIP)) {
        int64_t columns = at_most(NM_TYPED(STRIP), g->n - j);

        NM_TYPED(pack)
        (g->absolute, columns, depth, NM_TYPED(STRIP), b + j * step, step, along, strip);
        for (int64_t i = 0; i < rows; i += TILE_ROWS) {
            tile(depth, packed + i * depth, strip, out);
            NM_TYPED(put_tile)
            (g, out, at_most(TILE_ROWS, rows - i), columns, first, c + i * g->ldc + j);
        }
    }
}

static void NM_TYPED(plain)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    _Alignas(STRIP_BYTES) NM_REAL packed[BLOCK_ROWS * BLOCK_DEPTH];
    int64_t step = g->trans_a ? 1 : g->lda, along = g->trans_a ? g->lda : 1;
    int64_t b_along = g->trans_b ? 1 : g->ldb;
    NM_TYPED(tile_fn) tile = NM_TYPED(best_tile)();

    for (int64_t p = 0; p < g->k || p == 0; p += BLOCK_DEPTH)
        for (int64_t i = 0; i < g->m; i += BLOCK_ROWS) {
            int64_t depth = at_most(BLOCK_DEPTH, g->k - p), rows = at_most(BLOCK_ROWS, g->m - i);

            NM_TYPED(pack)
            (g->absolute, rows, depth, TILE_ROWS, a + i * step + p * along, step, along, packed);
            NM_TYPED(block)(g, tile, packed, rows, depth, b + p * b_along, p == 0, c + i * g->ldc);
        }
}

/* One column: nothing to gain from tiles. */
static void NM_TYPED(plain_column)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    int64_t step = g->trans_a ? 1 : g->lda, along = g->trans_a ? g->lda : 1;
    int64_t b_along = g->trans_b ? 1 : g->ldb;

    for (int64_t i = 0; i < g->m; i++) {
        NM_REAL lane[4] = {0}, beta = (NM_REAL)g->beta, sum;
        const NM_REAL *row = a + i * step;

        for (int64_t p = 0; p < g->k; p++) {
            NM_REAL term = row[p * along] * b[p * b_along];

            lane[p % 4] += g->absolute && term < 0 ? -term : term;
        }
        sum = (NM_REAL)g->alpha * ((lane[0] + lane[1]) + (lane[2] + lane[3]));
        c[i * g->ldc] = (g->beta == 0 ? 0 : beta * c[i * g->ldc]) + sum;
    }
}

void NM_TYPED(nm_gemm)(const nm_gemm *g, const NM_REAL *a, const NM_REAL *b, NM_REAL *c)
{
    assert(!(g->trans_a && g->trans_b));
    if (g->m == 0 || g->n == 0)
        return;
    if (g->plain || g->absolute || !fits_blas(g)) {
        if (g->n == 1)
            NM_TYPED(plain_column)(g, a, b, c);
        else
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
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "tensor/lanes.h"

/* Plain loops, after Goto & Van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM
   TOMS 34, 2008): tiles of C of TILE_ROWS rows and one vector in width stay in registers; op(A) is
   copied in blocks, op(B) in strips, in the order in which tiles read them. */
enum { STRIP_BYTES = 64, TILE_ROWS = 6, BLOCK_ROWS = 120, BLOCK_DEPTH = 256 };

#if defined(__x86_64__)
#define HAVE_WIDE_TILES 1
#else
#define HAVE_WIDE_TILES 0
#endif

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
