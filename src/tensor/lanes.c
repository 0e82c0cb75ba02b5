#ifdef NM_REAL

static void NM_TYPED(gather_block)(int64_t lanes, block b, const NM_REAL *from, int64_t stride,
                                   NM_REAL *to)
{
    for (int64_t i = b.i; i < b.i_end; i++)
        for (int64_t l = b.l; l < b.l_end; l++)
            to[i * lanes + l] = from[l * stride + i];
}

static void NM_TYPED(scatter_block)(int64_t lanes, block b, const NM_REAL *from, NM_REAL offset,
                                    bool add, NM_REAL *to, int64_t stride)
{
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
