#include "tensor/product.h"

#include <stdbool.h>
#include <string.h>

#include "tensor/lanes.h"

/* out (first: =, else +=) A B for ROWS rows and two or three vectors of columns: a [k x ROWS], b [k
 * x columns]. TARGET is an attribute, which takes no parentheses:
 * NOLINTBEGIN(bugprone-macro-parentheses) */
#define TILE(name, TARGET, BYTES, ROWS, VECTORS)                                                   \
    typedef float name##_vector __attribute__((vector_size(BYTES)));                               \
    TARGET static void name(int64_t k, const float *a, const float *b, bool first, float *out)     \
    {                                                                                              \
        enum { WIDTH = (BYTES) / sizeof(float) };                                                  \
        name##_vector sum[ROWS][VECTORS] = {{{0}}}, x[VECTORS];                                    \
                                                                                                   \
        for (int64_t p = 0; p < k; p++, a += (ROWS), b += (VECTORS)*WIDTH) {                       \
            UNROLL for (int v = 0; v < (VECTORS); v++) memcpy(&x[v], b + v * WIDTH, sizeof x[v]);  \
            UNROLL for (int i = 0; i < (ROWS); i++) UNROLL for (int v = 0; v < (VECTORS); v++)     \
                sum[i][v] += x[v] * a[i];                                                          \
        }                                                                                          \
        UNROLL for (int i = 0; i < (ROWS); i++) UNROLL for (int v = 0; v < (VECTORS); v++)         \
        {                                                                                          \
            name##_vector old = {0};                                                               \
                                                                                                   \
            if (!first)                                                                            \
                memcpy(&old, out, sizeof old);                                                     \
            old += sum[i][v];                                                                      \
            memcpy(out, &old, sizeof old);                                                         \
            out += WIDTH;                                                                          \
        }                                                                                          \
    }
/* NOLINTEND(bugprone-macro-parentheses) */

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

typedef void (*tile_fn)(int64_t k, const float *a, const float *b, bool first, float *out);

struct kernel {
    int64_t rows, columns;
    tile_fn tile;
};

/* For many columns, and for few: both sum in the same order. */
TILE(tile_base, , 16, 4, 2)
TILE(narrow_base, , 16, 4, 1)
static const struct kernel base[] = {{4, 8, tile_base}, {4, 4, narrow_base}};

#if defined(__x86_64__)
TILE(tile_avx2, __attribute__((target("avx2,fma"))), 32, 4, 3)
TILE(narrow_avx2, __attribute__((target("avx2,fma"))), 32, 4, 1)
TILE(tile_avx512, __attribute__((target("avx512f"))), 64, 8, 3)
TILE(narrow_avx512, __attribute__((target("avx512f"))), 64, 8, 1)
static const struct kernel avx2[] = {{4, 24, tile_avx2}, {4, 8, narrow_avx2}};
static const struct kernel avx512[] = {{8, 48, tile_avx512}, {8, 16, narrow_avx512}};
#endif

/* Instruction sets that a test leaves out. */
static int n_left_out;

void nm_product_leave_out(int n)
{
    n_left_out = n;
}

static const struct kernel *kernel_for(int64_t n)
{
    const struct kernel *kernels = base;

#if defined(__x86_64__)
    if (n_left_out < 1 && __builtin_cpu_supports("avx512f"))
        kernels = avx512;
    else if (n_left_out < 2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        kernels = avx2;
#endif
    return n <= kernels[1].columns ? &kernels[1] : kernels;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t round_up(int64_t n, int64_t to)
{
    return (n + to - 1) / to * to;
}

int64_t nm_product_strip(int64_t n)
{
    return kernel_for(n)->columns;
}

int64_t nm_product_rows(int64_t m)
{
    return round_up(m, kernel_for(1)->rows);
}

int64_t nm_product_room(int64_t m, int64_t n)
{
    int64_t rows = nm_product_rows(m), columns = nm_product_strip(n);

    return rows * round_up(n, columns) + NM_PRODUCT_DEPTH * (rows + columns) + NM_PRODUCT_SLACK;
}

/* Terms [from, from + depth) of all rows, in panels of a tile's rows; 0 below the last row. */
static void pack_weights(const nm_product *p, int64_t from, int64_t depth, int64_t rows, float *to)
{
    for (int64_t first = 0; first < p->m; first += rows, to += rows * depth) {
        const float *w = p->w + first * p->row + from * p->term;
        int64_t count = smaller(rows, p->m - first);

        if (count < rows)
            memset(to, 0, (size_t)(rows * depth) * sizeof *to);
        if (count == rows && p->term == 1)
            nm_lanes_gather_f32(rows, depth, w, p->row, to);
        else
            for (int64_t k = 0; k < depth; k++)
                for (int64_t i = 0; i < count; i++)
                    to[k * rows + i] = w[i * p->row + k * p->term];
    }
}

const float *nm_product_run(const nm_product *p, float *room)
{
    const struct kernel *kernel = kernel_for(p->n);
    int64_t rows = nm_product_rows(p->m), columns = kernel->columns;
    int64_t size = rows * round_up(p->n, columns);
    float *sums = room, *weights = room + size, *strip = weights + NM_PRODUCT_DEPTH * rows;

    for (int64_t from = 0; from < p->k; from += NM_PRODUCT_DEPTH) {
        int64_t depth = smaller(NM_PRODUCT_DEPTH, p->k - from);

        pack_weights(p, from, depth, kernel->rows, weights);
        for (int64_t j = 0; j < p->n; j += columns) {
            float *out = sums + j * rows;

            p->fetch(p->user, j, smaller(columns, p->n - j), from, depth, columns, strip);
            for (int64_t i = 0; i < rows; i += kernel->rows)
                kernel->tile(depth, weights + i * depth, strip, from == 0, out + i * columns);
        }
    }
    return sums;
}
