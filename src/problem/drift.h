/* Drift: how far a change of the edited layers moves what the network says on reference data,
 *
 *     drift(d) = T^2 mean over points of KL(p || q),   p = softmax(scores before / T),
 *                                                      q = softmax(scores after / T),
 *
 * the quantity of which the metric (problem/metric.h) is the quadratic model at d = 0. T > 1 also
 * weighs how the classes that are not likely compare (Hinton, Vinyals, Dean, "Distilling the
 * knowledge in a neural network", 2015); T^2 keeps the size of the gradient.
 *
 * Where the reference data have labels, the loss to minimise is a mixture,
 *
 *     loss(d) = (1 - share) drift(d) + share mean over points of -log q_label   (T = 1 there),
 *
 * as in distillation with labels (the same paper, section 2): what a repair has to move anyway
 * moves towards what is right rather than towards what the network said by mistake. */
#ifndef NM_PROBLEM_DRIFT_H
#define NM_PROBLEM_DRIFT_H

#include "problem/crowd.h"
#include "problem/edit.h"

typedef struct nm_drift nm_drift;

typedef struct nm_drift_opts {
    double temperature;    /* > 0 */
    const int64_t *labels; /* [reference->n] classes; NULL: unknown, the loss is the drift. Lent */
    double label_share;    /* 0 .. 1 */
} nm_drift_opts;

/** Remembers what the unedited network says. All arguments are lent. */
nm_status nm_drift_new(const nm_ctx *ctx, const nm_edits *edits, const nm_crowd *reference,
                       const nm_drift_opts *opts, nm_drift **out, nm_err *err);
void nm_drift_free(nm_drift *drift);

typedef struct nm_drift_value {
    double drift, loss;
} nm_drift_value;

/** Values and, unless NULL, gradient of the loss [params->n] at d. Forward in float32, backward in
 * double but for the products over points of dense layers. Same bits for any number of threads. */
nm_status nm_drift_at(nm_drift *drift, const double *d, nm_drift_value *value, double *gradient,
                      nm_err *err);

/** Multiplications of one value with gradient on n points, roughly. */
double nm_drift_work(const nm_edits *edits, int64_t n);

#endif
