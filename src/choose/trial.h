/* A layer tried out: changed until a sample of the repair points is right, and what that does to
 * points that had no part in it. */
#ifndef NM_CHOOSE_TRIAL_H
#define NM_CHOOSE_TRIAL_H

#include "choose/scores.h"
#include "choose/steps.h"

/** What a trial measures on; everything is lent. */
typedef struct nm_trial_points {
    const float *x;        /* [n x n_in] */
    const int64_t *labels; /* [n], NULL: not known */
    int64_t n;
    const float *before; /* [n x n_scores] scores of the network as it is */
} nm_trial_points;

typedef struct nm_trial {
    nm_steps steps;
    nm_score_change change; /* measured in float32 */
    int8_t *fate;           /* [n] 1: point gained, -1: lost, else 0; for nm_free() */
} nm_trial;

/** @param metric  of the layer
 *  @param most    steps */
nm_status nm_trial_run(const nm_ctx *ctx, const nm_prediction *task, const nm_metric *metric,
                       int layer, int most, const nm_trial_points *points, nm_trial *out,
                       nm_err *err);

#endif
