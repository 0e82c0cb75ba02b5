/* Inner loops of batch.c: NM_MOST_LANES subproblems side by side, each with lines of its own. As
 * bound_kernels.h otherwise. */
#ifndef NM_VERIFY_BATCH_KERNELS_H
#define NM_VERIFY_BATCH_KERNELS_H

#include "verify/bound_kernels.h"

/** One node of a batch; arrays [n x NM_MOST_LANES] by neuron. */
typedef struct nm_batch_node {
    int64_t n;                  /* neurons that count */
    const int32_t *at;          /* [n] which */
    const double *bias, *error; /* by neuron, the same for all lanes */
    double *below, *below_at, *above, *above_at, *push;
    double *row;   /* coefficients on x, then on z */
    double *kept;  /* coefficients on x */
    double *z, *x; /* values at the minimising input */
} nm_batch_node;

/** One step of ascent (AdaMax: Kingma & Ba, ICLR 2015, section 7.1). */
typedef struct nm_batch_step {
    int64_t n;
    const int32_t *at;   /* [n] relu neurons that are open somewhere */
    const double *sign;  /* [neurons x lanes] of the split: 1 active, -1 inactive, 0 none */
    const double *open;  /* [neurons x lanes] 1 where the lower line is free, else 0 */
    const double *reach; /* [neurons x lanes] size of steps of multipliers */
    const double *kept, *z;
    double *below, *multiplier, *push, *mean, *largest;
    const double *rate; /* [lanes] */
} nm_batch_step;

typedef struct nm_batch_kernels {
    void (*back)(const nm_batch_node *n, double *constant, double *lost);
    /** x from z, along the lines that the rows took. */
    void (*forward)(const nm_batch_node *n);
    /** to[rows[i]] += sum over c of w[rows[i] * ld + cols[c]] from[cols[c]]. */
    void (*apply)(int64_t n_rows, const int32_t *rows, int64_t n_cols, const int32_t *cols,
                  const double *w, int64_t ld, const double *from, double *to);
    void (*ascend)(const nm_batch_step *s);
} nm_batch_kernels;

const nm_batch_kernels *nm_batch_best_kernels(void);

#endif
