#ifdef NM_REAL

typedef NM_REAL NM_TYPED(four) __attribute__((vector_size(4 * sizeof(NM_REAL))));

/* to = the transpose of the 4 x 4 elements at `from`, in vector registers. */
static inline void NM_TYPED(transpose)(const NM_REAL *from, int64_t ld, NM_TYPED(four) to[4])
{
    NM_TYPED(four) x[4];

    for (int i = 0; i < 4; i++)
        memcpy(&x[i], from + i * ld, sizeof x[i]);
    NM_TYPED(four) a = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
    NM_TYPED(four) b = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
    NM_TYPED(four) c = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
    NM_TYPED(four) d = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
    to[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    to[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    to[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    to[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}

static void NM_TYPED(gather_block)(int64_t lanes, block b, const NM_REAL *from, int64_t stride,
                                   NM_REAL *to)
{
    NM_TYPED(four) t[4];

    for (; b.i + 4 <= b.i_end && b.l + 4 == b.l_end; b.i += 4) {
        NM_TYPED(transpose)(from + b.l * stride + b.i, stride, t);
        for (int k = 0; k < 4; k++)
            memcpy(to + (b.i + k) * lanes + b.l, &t[k], sizeof t[k]);
    }
    for (int64_t i = b.i; i < b.i_end; i++)
        for (int64_t l = b.l; l < b.l_end; l++)
            to[i * lanes + l] = from[l * stride + i];
}

static void NM_TYPED(scatter_block)(int64_t lanes, block b, const NM_REAL *from, NM_REAL offset,
                                    bool add, NM_REAL *to, int64_t stride)
{
    NM_TYPED(four) t[4], old = {0};

    for (; b.i + 4 <= b.i_end && b.l + 4 == b.l_end; b.i += 4) {
        NM_TYPED(transpose)(from + b.i * lanes + b.l, lanes, t);
        for (int k = 0; k < 4; k++) {
            NM_REAL *place = to + (b.l + k) * stride + b.i;

            if (add)
                memcpy(&old, place, sizeof old);
            t[k] = old + (t[k] + offset);
            memcpy(place, &t[k], sizeof t[k]);
        }
    }
    for (int64_t l = b.l; l < b.l_end; l++)
        for (int64_t i = b.i; i < b.i_end; i++)
            to[l * stride + i] = (add ? to[l * stride + i] : 0) + (offset + from[i * lanes + l]);
}

void NM_TYPED(nm_lanes_gather)(int64_t lanes, int64_t n, const NM_REAL *from, int64_t stride,
                               NM_REAL *to)
{
    for (block b = {0}; next_block(lanes, n, &b);)
        NM_TYPED(gather_block)(lanes, b, from, stride, to);
}

void NM_TYPED(nm_lanes_scatter)(int64_t lanes, int64_t n, const NM_REAL *from, NM_REAL offset,
                                bool add, NM_REAL *to, int64_t stride)
{
    for (block b = {0}; next_block(lanes, n, &b);)
        NM_TYPED(scatter_block)(lanes, b, from, offset, add, to, stride);
}

#else

#include "tensor/lanes.h"

#include <string.h>

/* Lanes lie far apart, often by a multiple of the cache's period: a few at a time, along as many
   elements as fill a cache line or two. */
enum { BLOCK_LANES = 4, BLOCK_ELEMENTS = 32 };

typedef struct block {
    int64_t i, i_end, l, l_end;
} block;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Steps to the next block; the first one if b is all zero. */
static bool next_block(int64_t lanes, int64_t n, block *b)
{
    b->l = b->l_end;
    if (b->l == lanes || b->i_end == 0) {
        b->l = 0;
        b->i = b->i_end;
        b->i_end = smaller(b->i + BLOCK_ELEMENTS, n);
    }
    b->l_end = smaller(b->l + BLOCK_LANES, lanes);
    return b->i < n;
}

#define NM_SELF "tensor/lanes.c"
#include "tensor/typed.h"
#endif
