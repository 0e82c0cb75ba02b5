/* Choosing one layer: what is known while it goes on. Parts of src/choose/choose.c. */
#ifndef NM_CHOOSE_CHOOSING_H
#define NM_CHOOSE_CHOOSING_H

#include "choose/predict.h"
#include "choose/sample.h"
#include "choose/trial.h"
#include "netmend/choose.h"

/** A layer's trial. */
typedef struct nm_tried {
    int8_t *fate;     /* [n_measured] 1: point gained, -1: lost; NULL: not tried */
    bool reached;     /* the repair points are right, or still came nearer when the steps ended */
    bool taken, open; /* scratch of choosing_rule.c: has its place in the order; is a candidate */
} nm_tried;

typedef struct nm_choosing {
    const nm_ctx *ctx;
    const nm_net *net;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const nm_choose_opts *how;
    nm_choice *choice;
    const int64_t *target; /* [repair->n] */
    nm_sample repair, metric, measured;
    nm_prediction prediction;
    int *layers; /* [n] that have a score */
    int n;
    float *before;     /* scores of the measured points; NULL until they are needed */
    nm_predictor *all; /* of all layers, if they fit into memory together */
    nm_tried *tried;   /* [choice->n_scores] */
} nm_choosing;

/** Takes the samples and says what the prediction is to ask (choosing_data.c). */
nm_status nm_choosing_prepare(nm_choosing *c, nm_err *err);

/** Multiplications of the network that one point costs. */
double nm_choosing_work(const nm_net *net);

/** Picks the layer, says why, and puts all in order (choosing_rule.c).
 *  @param cut  time ran out */
nm_status nm_choosing_decide(nm_choosing *c, bool cut, nm_err *err);

#endif
