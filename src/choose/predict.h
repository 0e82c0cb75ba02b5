/* PredictedCost: what repairing in one layer would cost, without repairing.
 *
 * At the original weights the label rows of the repair points are linear in the change d of one
 * layer, A d >= h, and the smallest such d in the function norm (problem/metric.h) is known from
 * the inner products K = A M^-1 A' alone: |d|^2 = h'y with y the multipliers (solve/gram.h). The
 * score of the layer is |d|, so that |d|^2 / 2 is the predicted divergence of the outputs on the
 * reference data. One pass over the points serves all layers; no change of weights is ever formed.
 *
 * It compares single layers. Over several layers at once the smallest |d| is below that of each by
 * construction, and says nothing. */
#ifndef NM_CHOOSE_PREDICT_H
#define NM_CHOOSE_PREDICT_H

#include "base/ctx.h"
#include "netmend/plan.h"
#include "problem/metric.h"

/** What is predicted for; everything is lent. */
typedef struct nm_prediction {
    const nm_net *net;
    nm_free_kind what;     /* of a layer is free */
    const float *x;        /* [n x n_in] repair points */
    const int64_t *target; /* [n] */
    int64_t n;
    double margin;          /* asked of each */
    double least_margin;    /* where that cannot be had: nobody asked for more */
    const float *reference; /* [n_reference x n_in] */
    int64_t n_reference;
    double damping_in, damping_out; /* see nm_repair_opts */
    uint64_t seed;
} nm_prediction;

/** Why a layer has no score, static; NULL if it has one. */
const char *nm_predict_refusal(const nm_net *net, int layer, nm_free_kind what);

/** Layers that are scored together: as many as fit into memory. */
typedef struct nm_predictor nm_predictor;

/** How many of these layers (from the first on) may be opened together: at least one. */
int nm_predict_group(const nm_prediction *task, const int *layers, int n_layers);

/** Goes through all points once. The task is lent, and its arrays.
 *  @param layers  ascending, none refused */
nm_status nm_predictor_open(const nm_ctx *ctx, const nm_prediction *task, const int *layers, int n,
                            nm_predictor **out, nm_err *err);
void nm_predictor_close(nm_predictor *predictor);

/** Scores the i-th of the layers.
 *  @param cost  in the function norm; INFINITY where the rows contradict each other, NAN where
 *               the solver failed or numbers are not finite */
nm_status nm_predict_cost(nm_predictor *predictor, int i, double *cost, nm_err *err);

/** The metric of the i-th layer alone; its arrays are lent by the predictor. */
nm_metric nm_predictor_metric(const nm_predictor *predictor, int i);

#endif
