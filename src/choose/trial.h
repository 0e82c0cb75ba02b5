/* A predicted change of one layer, tried out: what it does to points that had no part in it. */
#ifndef NM_CHOOSE_TRIAL_H
#define NM_CHOOSE_TRIAL_H

#include "choose/predict.h"
#include "choose/scores.h"

/** What a trial measures on; everything is lent. */
typedef struct nm_trial_points {
    const float *x;        /* [n x n_in] */
    const int64_t *labels; /* [n], NULL: not known */
    int64_t n;
    const float *before; /* [n x n_scores] scores of the network as it is */
} nm_trial_points;

/** Makes the change that was predicted for the i-th layer of the predictor (layer index `layer`)
 *  and measures it, in float32. */
nm_status nm_trial_run(const nm_ctx *ctx, const nm_prediction *task, const nm_predictor *predictor,
                       int i, int layer, const nm_trial_points *points, nm_score_change *out,
                       nm_err *err);

#endif
