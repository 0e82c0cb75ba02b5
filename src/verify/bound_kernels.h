/* Inner loops of bound.c over rows side by side: element i of all rows ("lanes") together, in
 * vectors of 8 doubles. Plain C, compiled once for each instruction set; fused multiply-adds round
 * less often than the error terms allow for, so results differ in the last bits between processors
 * and are bounds on all of them. */
#ifndef NM_VERIFY_BOUND_KERNELS_H
#define NM_VERIFY_BOUND_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

enum { NM_LANE_VECTOR = 8, NM_MOST_LANES = 16 };

/** Lines of the neurons of one node, and what a row loses there. */
typedef struct nm_lane_lines {
    int64_t n;                                         /* neurons that count */
    const int32_t *at;                                 /* [n] which */
    const double *below, *above, *below_at, *above_at; /* by neuron */
    const double *bias, *error;
} nm_lane_lines;

typedef struct nm_lane_kernels {
    /** to[cols[c]] (+)= sum over i of w[rows[i] * ld + cols[c]] * from[rows[i]]. */
    void (*times)(int64_t n_rows, const int32_t *rows, int64_t n_cols, const int32_t *cols,
                  const double *w, int64_t ld, const double *from, double *to, bool add);

    /** Rows on x become rows on z, in place; constant[lane] += their constants, lost[lane] += error
     *  times their size. */
    void (*relax)(const nm_lane_lines *l, double *rows, double *constant, double *lost);

    /** least[lane] = sum over j of the smaller of rows[j] lo[j], rows[j] hi[j]; size[lane] = sum of
     *  |rows[j]| reach[j]. */
    void (*least)(int64_t n, const double *rows, const double *lo, const double *hi,
                  const double *reach, double *least, double *size);
} nm_lane_kernels;

/** For 8 lanes [0] and for 16 [1]. */
const nm_lane_kernels *nm_lane_best_kernels(void);

#endif
