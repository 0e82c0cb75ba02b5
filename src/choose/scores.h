/* Scores of points, and how far those of two networks are apart. */
#ifndef NM_CHOOSE_SCORES_H
#define NM_CHOOSE_SCORES_H

#include "base/ctx.h"
#include "net/graph.h"

/** Scores (in front of a final softmax) in float32. @param scores  out, [n x size of net->scores]
 */
nm_status nm_scores_of(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                       float *scores, nm_err *err);

/** The median over n points of the distance between their two best scores.
 *  @param gaps  scratch, [n] */
double nm_scores_typical_gap(const float *score, int64_t n, int64_t n_scores, double *gaps);

typedef struct nm_score_change {
    double kl;      /* mean divergence KL(before || after) of the softmax of the scores, in nats */
    int64_t lost;   /* points that were right and are not; without labels: whose class changed */
    int64_t gained; /* points that were wrong and are right; without labels: none */
} nm_score_change;

/** @param before, after  [n x n_scores]  @param labels  [n] or NULL
 *  @param fate  out, [n]: 1 gained, -1 lost, else 0; NULL = not wanted */
nm_score_change nm_scores_compare(const float *before, const float *after, const int64_t *labels,
                                  int64_t n, int64_t n_scores, int8_t *fate);

#endif
