/* Products of matrices in float32 for evaluation: one factor ("weights") meets many columns that
 * are fetched piece by piece from wherever they lie, so that convolutions never write them out as a
 * matrix.
 *
 * After Goto & Van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34,
 * 2008): tiles of the product stay in registers, a strip of columns in the first cache, a block of
 * weights in the second. Each entry of the product is summed in an order that depends on the length
 * of the sum alone (with fused multiplications where the processor has them): what a column gives
 * does not depend on its neighbours, as it does with BLAS. */
#ifndef NM_TENSOR_PRODUCT_H
#define NM_TENSOR_PRODUCT_H

#include <stdint.h>

enum {
    NM_PRODUCT_DEPTH = 192,  /* most terms of a piece */
    NM_PRODUCT_COLUMNS = 48, /* most columns of a strip */
    NM_PRODUCT_SLACK = 16    /* numbers behind the last that may be written to */
};

/** Fetches terms [from, from + n) of columns [first, first + count): to[t * step + c]; entries
 *  [count, step) of each row are to be 0. Up to NM_PRODUCT_SLACK numbers behind may be spoilt. */
typedef void (*nm_fetch)(const void *user, int64_t first, int64_t count, int64_t from, int64_t n,
                         int64_t step, float *to);

typedef struct nm_product {
    int64_t m, k, n;   /* rows of the product, terms of each sum, columns */
    const float *w;    /* weights */
    int64_t row, term; /* elements from one row to the next, from one term to the next */
    nm_fetch fetch;
    const void *user;
} nm_product;

/** Columns of a strip on this processor, of n columns in all. */
int64_t nm_product_strip(int64_t n);

/** Numbers of scratch that nm_product_run() needs for n columns. */
int64_t nm_product_room(int64_t m, int64_t n);

/** The product. @param room  scratch, 64-byte aligned
 *  @return where it lies in the scratch: entry (i, j) at [j / strip][i][j % strip], with
 *          nm_product_rows(m) rows a strip */
const float *nm_product_run(const nm_product *p, float *room);
int64_t nm_product_rows(int64_t m);

/** Test hook: do without AVX-512 (1), without AVX2, too (2); 0 = use what there is. */
void nm_product_leave_out(int n);

#endif
