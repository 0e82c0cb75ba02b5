/* Large sets of points (keep sets, reference data): the values in front of the edited layers, in
 * float32, computed once. What a change of the edited layers does to all of them costs one float32
 * evaluation of the tail. Decisions near a boundary are for the caller to repeat in double. */
#ifndef NM_PROBLEM_CROWD_H
#define NM_PROBLEM_CROWD_H

#include "problem/tail.h"

typedef struct nm_crowd {
    const nm_net *base;      /* lent */
    const nm_params *params; /* lent */
    const float *x;          /* [n x n_in] lent */
    int64_t n;
    nm_tail_marks marks;
    float **frontier; /* [n_values] [n x size] of frontier values, else NULL */
} nm_crowd;

/** Evaluates the frontier of n points. x is lent and must outlive the crowd. */
nm_status nm_crowd_new(const nm_ctx *ctx, const nm_net *base, const nm_params *params,
                       const float *x, int64_t n, nm_crowd **out, nm_err *err);
void nm_crowd_free(nm_crowd *crowd);

/** Scores [n x size of net->scores] with base + delta, in float32; caller's buffer. */
nm_status nm_crowd_scores(const nm_ctx *ctx, const nm_crowd *crowd, const double *delta,
                          float *scores, nm_err *err);

/** Copies points first .. first + n - 1 into the frontier arrays of a tape, in double. */
void nm_crowd_load(const nm_crowd *crowd, int64_t first, int64_t n, nm_tape *tape);

#endif
