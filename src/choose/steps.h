/* A repair in short: the steps of src/repair/pointwise.c for a few points in one layer, in the
 * function norm, without keep rows, bounds and judging. */
#ifndef NM_CHOOSE_STEPS_H
#define NM_CHOOSE_STEPS_H

#include "choose/predict.h"
#include "problem/plan.h"

/** What the steps came to. */
typedef struct nm_steps {
    int n_steps;
    int64_t n_missed; /* points that do not have their margins yet */
    bool stalled;     /* no step brought them nearer */
} nm_steps;

/** Walks from the original network until all points of the task have their margins, or `most`
 *  steps are made, or none brings them nearer.
 *  @param params  of one layer, of the task's net
 *  @param metric  of that layer
 *  @param delta   out, [params->n] */
nm_status nm_steps_walk(const nm_ctx *ctx, const nm_prediction *task, const nm_params *params,
                        const nm_metric *metric, int most, double *delta, nm_steps *out,
                        nm_err *err);

#endif
