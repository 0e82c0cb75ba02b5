/* Inner loops over rows side by side (linear.h): vectors of 16 float32, in plain C, compiled once
 * for each instruction set. Fused multiply-adds round less often than the error terms allow for,
 * so results differ in the last bits between processors and are bounds on all of them. */
#ifndef NM_VERIFY_ROWS_H
#define NM_VERIFY_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { NM_ROWS_VECTOR = 16 };

/** to[place[i]] += sum over o < n_out of weights[o][i] * rows[o], i < n, all rows of one vector or
 *  two. */
typedef void (*nm_rows_add)(int64_t n, const int32_t *place, int64_t n_out,
                            const float *const *weights, const float *const *rows, float *to);

/** to[i] = rows[i] * p[i][i] / 2 + sum over j < i of p[i][j] * rows[j], i < n, all of one vector or
 *  two; p is a lower triangle, row by row. */
typedef void (*nm_rows_halve)(int64_t n, const float *p, const float *rows, float *to);

typedef struct nm_rows_kernels {
    nm_rows_add add[2];     /* for one vector, for two */
    nm_rows_halve halve[2]; /* the same */

    /** sum[r] += |rows[i * width + r]| * by[i], r < width, i < n, in double. */
    void (*weigh)(int64_t n, int64_t width, const float *rows, const float *by, double *sum);

    /** to[n x ld] += the lower triangle of s' s, s [k x ld]; elements above the diagonal may
     * change, too. `ld` is a multiple of 2 vectors, columns from n on are 0. */
    void (*gram)(int64_t k, int64_t n, int64_t ld, const float *s, float *to);
} nm_rows_kernels;

const nm_rows_kernels *nm_rows_best_kernels(void);

/** to += factor * rows, `width` numbers (a multiple of 16). */
static inline void nm_rows_add_scaled(int64_t width, float factor, const float *rows, float *to)
{
    typedef float four __attribute__((vector_size(16)));
    four row, sum;

    for (int64_t i = 0; i < width; i += 4) {
        memcpy(&row, rows + i, sizeof row);
        memcpy(&sum, to + i, sizeof sum);
        sum += row * factor;
        memcpy(to + i, &sum, sizeof sum);
    }
}

/** True if `width` (a multiple of 16) numbers are all 0 or -0. */
static inline bool nm_rows_are_zero(const float *rows, int64_t width)
{
    typedef uint64_t two __attribute__((vector_size(16)));
    two any = {0}, some[4];

    for (int64_t i = 0; i < width; i += NM_ROWS_VECTOR) {
        memcpy(some, rows + i, sizeof some);
        any |= (some[0] | some[1]) | (some[2] | some[3]);
    }
    return ((any[0] | any[1]) & 0x7fffffff7fffffff) == 0;
}

#endif
