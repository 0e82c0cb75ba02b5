/* The function norm: how much a change of the edited layers changes what the network does on
 * reference data, by the Kronecker-factored Gauss-Newton metric (Martens & Grosse, "Optimizing
 * neural networks with Kronecker-factored approximate curvature", ICML 2015; for convolutions
 * Grosse & Martens, ICML 2016):
 *
 *     |d|^2 = sum over layers of  trace(G D S D'),
 *     S = E[sum over places of u u'] + damping I,     u: what the layer sees (problem/edit.h)
 *     G = E[mean over places of J' H J] + damping I,  J: Jacobian of the scores behind the layer,
 *                                                     H = diag(p) - p p', p = softmax(scores)
 *
 * so |d|^2 / 2 is, to second order and as far as the factors are independent, the mean divergence
 * KL(p || p changed) over the reference data. All is summed up in a stream: no memory per point. */
#ifndef NM_PROBLEM_METRIC_H
#define NM_PROBLEM_METRIC_H

#include "problem/crowd.h"
#include "problem/edit.h"
#include "problem/moment.h"

typedef struct nm_metric {
    nm_moment **seen;    /* [edits->n] S */
    nm_moment **emitted; /* [edits->n] G */
    int n;
    double *damping_in, *damping_out; /* [n] absolute */
    int64_t n_points, n_curvatures;   /* points used for S, vectors used for G */
} nm_metric;

typedef struct nm_metric_opts {
    double damping_in, damping_out; /* share of the mean diagonal entry of S, of G; > 0 */
    uint64_t seed;                  /* of the combinations of classes, where not all are taken */
    double enough; /* so many vectors per entry of one make S, where a layer has many places; 0 =
                      all */
    int64_t draws; /* so many random combinations of the classes a point; 0 = all classes if few */
} nm_metric_opts;

/** @param reference  points with the same parameters as the edits
 *  NM_E_FORMAT if the moments are not finite. Free with nm_metric_free(). */
nm_status nm_metric_new(const nm_ctx *ctx, const nm_edits *edits, const nm_crowd *reference,
                        const nm_metric_opts *opts, nm_metric **out, nm_err *err);
void nm_metric_free(nm_metric *metric);

/** out = G^-1 A S^-1 for `n` matrices A [n_out x width] of layer b. */
nm_status nm_metric_solve(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric, int b,
                          const double *a, int64_t n, double *out, nm_err *err);

#endif
