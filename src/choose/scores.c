#include "choose/scores.h"

#include <math.h>

#include "base/order.h"
#include "net/partial.h"
#include "netmend/heuristic.h"
#include "repair/gap.h"

nm_status nm_scores_of(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                       float *scores, nm_err *err)
{
    return nm_partial_scores(ctx, net, x, n, scores, err);
}

nm_status nm_scores(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, float *scores,
                    nm_err *err)
{
    return nm_scores_of(ctx, net, x, n, scores, err);
}

/* log of the sum of exp */
static double log_sum(const float *score, int64_t n)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = 0; j < n; j++)
        most = fmax(most, (double)score[j]);
    for (int64_t j = 0; j < n; j++)
        sum += exp((double)score[j] - most);
    return most + log(sum);
}

static double divergence(const float *a, const float *b, int64_t n)
{
    double log_a = log_sum(a, n), log_b = log_sum(b, n), sum = 0;

    for (int64_t j = 0; j < n; j++) {
        double p = (double)a[j] - log_a, q = (double)b[j] - log_b;

        sum += exp(p) * (p - q);
    }
    return fmax(sum, 0);
}

nm_score_change nm_scores_compare(const float *before, const float *after, const int64_t *labels,
                                  int64_t n, int64_t n_scores, int8_t *fate)
{
    nm_score_change change = {0};

    for (int64_t p = 0; p < n; p++) {
        const float *a = before + p * n_scores, *b = after + p * n_scores;
        int64_t was = nm_best_class_f32(a, n_scores), is = nm_best_class_f32(b, n_scores);
        bool lost = was != is && (!labels || was == labels[p]);
        bool gained = was != is && labels && is == labels[p];

        change.kl += divergence(a, b, n_scores) / (double)n;
        change.lost += lost;
        change.gained += gained;
        if (fate)
            fate[p] = (int8_t)(gained - lost);
    }
    return change;
}

double nm_scores_typical_gap(const float *score, int64_t n, int64_t n_scores, double *gaps)
{
    for (int64_t p = 0; p < n; p++) {
        const float *s = score + p * n_scores;

        gaps[p] = nm_smallest_gap_f32(s, n_scores, nm_best_class_f32(s, n_scores));
    }
    return nm_median(gaps, n);
}
