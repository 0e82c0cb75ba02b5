#ifdef NM_CLONE

/* Vectors that make up the sums of one tile: what the registers hold beside the operands. */
enum { NM_CLONED(TILE) = NM_CLONE_BYTES == 64 ? 16 : NM_CLONE_BYTES == 32 ? 4 : 2 };

/* With rows of v vectors. */
#define NM_CLONE_ROWS(v)                                                                           \
    NM_CLONE_TARGET static void NM_CLONED(add_##v)(int64_t n, const int32_t *place, int64_t n_out, \
                                                   const float *const *weights,                    \
                                                   const float *const *rows, float *to)            \
    {                                                                                              \
        add_body(v, NM_CLONED(TILE) / v, n, place, n_out, weights, rows, to);                      \
    }                                                                                              \
                                                                                                   \
    NM_CLONE_TARGET static void NM_CLONED(halve_##v)(int64_t n, const float *p, const float *rows, \
                                                     float *to)                                    \
    {                                                                                              \
        halve_body(v, NM_CLONED(TILE) / v, n, p, rows, to);                                        \
    }

NM_CLONE_ROWS(1)
NM_CLONE_ROWS(2)

NM_CLONE_TARGET static void NM_CLONED(weigh)(int64_t n, int64_t width, const float *rows,
                                             const float *by, double *sum)
{
    weigh_body(n, width, rows, by, sum);
}

NM_CLONE_TARGET static void NM_CLONED(gram)(int64_t k, int64_t n, int64_t ld, const float *s,
                                            float *to)
{
    gram_body(NM_CLONED(TILE) / 2, k, n, ld, s, to);
}

static const nm_rows_kernels NM_CLONED(kernels)[1] = {
    {.add = {NM_CLONED(add_1), NM_CLONED(add_2)},
     .halve = {NM_CLONED(halve_1), NM_CLONED(halve_2)},
     .weigh = NM_CLONED(weigh),
     .gram = NM_CLONED(gram)}};

#undef NM_CLONE_ROWS
#else

#include "verify/rows.h"

#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Tiles stay in registers only if no loop over them is left. */
#define UNROLLED _Pragma("GCC unroll 16")

typedef float vector __attribute__((vector_size(64)));
typedef float half __attribute__((vector_size(32)));
typedef int32_t half_bits __attribute__((vector_size(32)));
typedef double doubles __attribute__((vector_size(64)));

/* Most inputs of a tile, and vectors of a row. */
enum { MOST = 16, V = 2 };

ALWAYS_INLINE int64_t at_most(int64_t most, int64_t n)
{
    return n < most ? n : most;
}

ALWAYS_INLINE void load(int v, const float *from, vector *to)
{
    UNROLLED
    for (int k = 0; k < v; k++)
        memcpy(&to[k], from + k * NM_ROWS_VECTOR, sizeof(vector));
}

ALWAYS_INLINE void store(int v, const vector *from, float *to)
{
    UNROLLED
    for (int k = 0; k < v; k++)
        memcpy(to + k * NM_ROWS_VECTOR, &from[k], sizeof(vector));
}

/* t inputs: their sums stay in registers. */
ALWAYS_INLINE void add_tile(int v, int t, const int32_t *place, int64_t first, int64_t n_out,
                            const float *const *weights, const float *const *rows, float *to)
{
    vector sum[MOST][V], row[V];

    UNROLLED
    for (int i = 0; i < t; i++)
        load(v, to + (int64_t)place[first + i] * v * NM_ROWS_VECTOR, sum[i]);
    for (int64_t o = 0; o < n_out; o++) {
        const float *w = weights[o] + first;

        __builtin_prefetch(w + NM_ROWS_VECTOR); /* too many streams for the processor to see */
        load(v, rows[o], row);
        UNROLLED
        for (int i = 0; i < t; i++)
            UNROLLED
        for (int k = 0; k < v; k++)
            sum[i][k] += row[k] * w[i];
    }
    UNROLLED
    for (int i = 0; i < t; i++)
        store(v, sum[i], to + (int64_t)place[first + i] * v * NM_ROWS_VECTOR);
}

ALWAYS_INLINE void add_body(int v, int t, int64_t n, const int32_t *place, int64_t n_out,
                            const float *const *weights, const float *const *rows, float *to)
{
    int64_t i = 0;

    for (; i + t <= n; i += t)
        add_tile(v, t, place, i, n_out, weights, rows, to);
    for (; i < n; i++)
        add_tile(v, 1, place, i, n_out, weights, rows, to);
}

/* t elements: what they have in common first. */
ALWAYS_INLINE void halve_tile(int v, int t, int64_t first, const float *p, const float *rows,
                              float *to)
{
    vector sum[MOST][V] = {{{0}}}, row[V];
    const float *w[MOST];

    UNROLLED
    for (int i = 0; i < t; i++)
        w[i] = p + (first + i) * (first + i + 1) / 2;
    for (int64_t j = 0; j < first; j++) {
        load(v, rows + j * v * NM_ROWS_VECTOR, row);
        UNROLLED
        for (int i = 0; i < t; i++)
            UNROLLED
        for (int k = 0; k < v; k++)
            sum[i][k] += row[k] * w[i][j];
    }
    UNROLLED
    for (int j = 0; j < t; j++) {
        load(v, rows + (first + j) * v * NM_ROWS_VECTOR, row);
        UNROLLED
        for (int i = j; i < t; i++)
            UNROLLED
        for (int k = 0; k < v; k++)
            sum[i][k] += row[k] * (i == j ? w[i][first + j] / 2 : w[i][first + j]);
    }
    UNROLLED
    for (int i = 0; i < t; i++)
        store(v, sum[i], to + (first + i) * v * NM_ROWS_VECTOR);
}

ALWAYS_INLINE void halve_body(int v, int t, int64_t n, const float *p, const float *rows, float *to)
{
    int64_t i = 0;

    for (; i + t <= n; i += t)
        halve_tile(v, t, i, p, rows, to);
    for (; i < n; i++)
        halve_tile(v, 1, i, p, rows, to);
}

/* sum += |row| * weight. */
ALWAYS_INLINE void weigh_half(const float *row, double weight, doubles *sum)
{
    half_bits bits;
    half size;

    memcpy(&bits, row, sizeof bits);
    bits &= 0x7fffffff;
    memcpy(&size, &bits, sizeof size);
    *sum += __builtin_convertvector(size, doubles) * weight;
}

ALWAYS_INLINE void weigh_body(int64_t n, int64_t width, const float *rows, const float *by,
                              double *sum)
{
    for (int64_t r = 0; r < width; r += NM_ROWS_VECTOR) {
        doubles low, high;

        memcpy(&low, sum + r, sizeof low);
        memcpy(&high, sum + r + NM_ROWS_VECTOR / 2, sizeof high);
        for (int64_t i = 0; i < n; i++) {
            const float *row = rows + i * width + r;
            double weight = (double)by[i];

            weigh_half(row, weight, &low);
            weigh_half(row + NM_ROWS_VECTOR / 2, weight, &high);
        }
        memcpy(sum + r, &low, sizeof low);
        memcpy(sum + r + NM_ROWS_VECTOR / 2, &high, sizeof high);
    }
}

/* Rows i .. i + t - 1, two vectors of columns from j on. */
ALWAYS_INLINE void gram_tile(int t, int64_t k, int64_t ld, int64_t i, int64_t j, const float *s,
                             float *to)
{
    vector sum[MOST][V], row[V];

    UNROLLED
    for (int r = 0; r < t; r++)
        load(V, to + (i + r) * ld + j, sum[r]);
    for (int64_t p = 0; p < k; p++) {
        load(V, s + p * ld + j, row);
        UNROLLED
        for (int r = 0; r < t; r++)
            UNROLLED
        for (int c = 0; c < V; c++)
            sum[r][c] += row[c] * s[p * ld + i + r];
    }
    UNROLLED
    for (int r = 0; r < t; r++)
        store(V, sum[r], to + (i + r) * ld + j);
}

/* Some rows of s at a time, so that two strips of it stay in the cache. */
ALWAYS_INLINE void gram_body(int t, int64_t k, int64_t n, int64_t ld, const float *s, float *to)
{
    const int64_t depth = 128;

    for (; k > 0; k -= depth, s += depth * ld)
        for (int64_t j = 0; j < n; j += V * NM_ROWS_VECTOR) {
            int64_t i = j;

            for (; i + t <= n; i += t)
                gram_tile(t, at_most(depth, k), ld, i, j, s, to);
            for (; i < n; i++)
                gram_tile(1, at_most(depth, k), ld, i, j, s, to);
        }
}

#define NM_SELF "verify/rows.c"
#define NM_CLONE_WITH ",fma"
#include "tensor/clones.h"

const nm_rows_kernels *nm_rows_best_kernels(void)
{
    return NM_BEST_CLONE(kernels);
}
#endif
