/* PredictedCost: what repairing in one layer would cost, without repairing.
 *
 * At the original weights the label rows of the repair points are linear in the change d of one
 * layer, A d >= h, and the smallest such d in the function norm (problem/metric.h) is known from the
 * inner products K = A M^-1 A' alone: |d|^2 = h'y with y the multipliers (solve/gram.h). The score of
 * the layer is |d|, so that |d|^2 / 2 is the predicted divergence of the outputs on the reference
 * data. One pass over the points serves all layers; no change of weights is ever formed.
 *
 * It compares single layers. Over several layers at once the smallest |d| is below that of each by
 * construction, and says nothing. */
#ifndef NM_CHOOSE_PREDICT_H
#define NM_CHOOSE_PREDICT_H

#include "base/ctx.h"
#include "net/graph.h"
#include "netmend/plan.h"

/** What is predicted for; everything is lent. */
typedef struct nm_prediction {
    const nm_net *net;
    nm_free_kind what;     /* of a layer is free */
    const float *x;        /* [n x n_in] repair points */
    const int64_t *target; /* [n] */
    int64_t n;
    double margin;      /* asked of each */
    const float *reference; /* [n_reference x n_in] */
    int64_t n_reference;
    double damping_in, damping_out; /* see nm_repair_opts */
    uint64_t seed;
} nm_prediction;

/** Why a layer has no score, static; NULL if it has one. */
const char *nm_predict_refusal(const nm_net *net, int layer, nm_free_kind what);

/** Scores layers (ascending, none refused).
 *  @param cost     out, [n_layers] in the function norm; INFINITY where the rows contradict each
 *                  other, NAN where the solver failed or numbers are not finite
 *  @param seconds  out, [n_layers] spent on that layer alone */
nm_status nm_predict_costs(const nm_ctx *ctx, const nm_prediction *p, const int *layers,
                           int n_layers, double *cost, double *seconds, nm_err *err);

#endif
