#include "repair/measure.h"

#include <math.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "problem/plan.h"
#include "repair/compare.h"
#include "repair/misses.h"

nm_set_report nm_measure_judged(const nm_deploy *before, const nm_deploy *after)
{
    nm_set_report r = {.n = before->n,
                       .min_margin_after = NAN,
                       .min_slack_after = NAN,
                       .max_bound_after = NAN,
                       .max_first_order_after = NAN};

    for (int64_t p = 0; p < before->n; p++)
        r.right_before += before->margin[p] > 0;
    for (int64_t p = 0; p < after->n; p++) {
        bool right = after->margin[p] > 0;

        r.right_after += right;
        r.safe_after += right && after->safe[p];
        r.first_order_after += right && after->safe_first_order[p];
        r.probable_after += right && after->safe_probable[p];
        r.min_margin_after = fmin(r.min_margin_after, after->margin[p]);
        r.min_slack_after = fmin(r.min_slack_after, after->slack[p]);
        r.max_bound_after = fmax(r.max_bound_after, after->rigorous[p]);
        r.max_first_order_after = fmax(r.max_first_order_after, after->first_order[p]);
    }
    return r;
}

nm_set_report nm_measure_nothing(int64_t n)
{
    return (nm_set_report){.n = n,
                           .safe_after = -1,
                           .first_order_after = -1,
                           .probable_after = -1,
                           .min_slack_after = (double)NAN,
                           .max_bound_after = (double)NAN,
                           .max_first_order_after = (double)NAN,
                           .min_margin_after = (double)NAN};
}

/* Bounds take some hundred times as long as an evaluation: larger sets go without. */
static const double most_work = 4e9;

/* A set from afar in float32, and in double where that could decide otherwise. */
struct gaps {
    const nm_points *points;
    int64_t size;              /* scores of a point */
    float *before32, *after32; /* [n x size] */
    double *before, *after;    /* [n] by how much the label is ahead */
    int64_t *close;            /* [n_close] points to be looked at in double */
    int64_t n_close;
    float *x;                           /* of those */
    double *before_close, *after_close; /* their scores */
};

static void close_gaps(struct gaps *g)
{
    nm_free(g->before32);
    nm_free(g->after32);
    nm_free(g->before);
    nm_free(g->after);
    nm_free(g->close);
    nm_free(g->x);
    nm_free(g->before_close);
    nm_free(g->after_close);
}

static nm_status open_gaps(struct gaps *g, bool fixed, nm_err *err)
{
    size_t n = (size_t)g->points->n, each = (size_t)g->size * sizeof(float);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&g->before32, n, each, err));
    NM_TRY(nm_alloc(&g->before, n, sizeof *g->before, err));
    NM_TRY(nm_alloc(&g->close, n, sizeof *g->close, err));
    if (fixed) {
        NM_TRY(nm_alloc(&g->after32, n, each, err));
        NM_TRY(nm_alloc(&g->after, n, sizeof *g->after, err));
    }
done:
    return rc;
}

/* Far more than float32 rounding moves a gap, in practice. */
static double blur(const struct gaps *g, const float *score)
{
    double most = 0;

    for (int64_t j = 0; j < g->size; j++)
        most = fmax(most, fabs((double)score[j]));
    return 1e-3 * (1 + most);
}

/* Whether double could tell that the gap is on the other side of `level`; NaN: yes. */
static bool is_close(const struct gaps *g, const float *scores, double gap, int64_t p, double level)
{
    return !(fabs(gap - level) > blur(g, scores + p * g->size));
}

static void find_close(struct gaps *g)
{
    double least = INFINITY;

    for (int64_t p = 0; p < g->points->n; p++) {
        int64_t label = g->points->labels[p];

        g->before[p] = nm_smallest_gap_f32(g->before32 + p * g->size, g->size, label);
        if (!g->after)
            continue;
        g->after[p] = nm_smallest_gap_f32(g->after32 + p * g->size, g->size, label);
        least = fmin(least, g->after[p]);
    }
    for (int64_t p = 0; p < g->points->n; p++)
        if (is_close(g, g->before32, g->before[p], p, 0) ||
            (g->after && (is_close(g, g->after32, g->after[p], p, 0) ||
                          is_close(g, g->after32, g->after[p], p, least))))
            g->close[g->n_close++] = p;
}

static nm_status look_closely(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                              struct gaps *g, nm_err *err)
{
    int64_t n_in = g->points->n_in;
    size_t n = (size_t)g->n_close, each = (size_t)g->size * sizeof(double);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&g->x, n, (size_t)n_in * sizeof *g->x, err));
    NM_TRY(nm_alloc(&g->before_close, n, each, err));
    NM_TRY(nm_alloc(&g->after_close, n, each, err));
    for (int64_t i = 0; i < g->n_close; i++)
        memcpy(g->x + i * n_in, g->points->x + g->close[i] * n_in, (size_t)n_in * sizeof *g->x);
    NM_TRY(nm_compare_scores_f64(ctx, net, fixed, g->x, g->n_close, g->before_close, g->after_close,
                                 err));
    for (int64_t i = 0; i < g->n_close; i++) {
        int64_t p = g->close[i], label = g->points->labels[p];

        g->before[p] = nm_smallest_gap_f64(g->before_close + i * g->size, g->size, label);
        if (fixed)
            g->after[p] = nm_smallest_gap_f64(g->after_close + i * g->size, g->size, label);
    }
done:
    return rc;
}

/* Right before and after; what is safe is not known. */
static nm_status measure_right(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                               const nm_points *points, nm_set_report *out, nm_err *err)
{
    struct gaps g = {.points = points, .size = net->values[net->scores].size};
    nm_status rc = NM_OK;

    NM_TRY(open_gaps(&g, fixed != NULL, err));
    NM_TRY(
        nm_compare_scores_f32(ctx, net, fixed, points->x, points->n, g.before32, g.after32, err));
    find_close(&g);
    NM_TRY(look_closely(ctx, net, fixed, &g, err));
    *out = nm_measure_nothing(points->n);
    for (int64_t p = 0; p < points->n; p++) {
        out->right_before += g.before[p] > 0;
        if (!fixed)
            continue;
        out->right_after += g.after[p] > 0;
        out->min_margin_after = fmin(out->min_margin_after, g.after[p]);
    }
done:
    close_gaps(&g);
    return rc;
}

nm_status nm_measure_points(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                            const nm_points *points, nm_set_report *out, nm_err *err)
{
    nm_deploy after = {0};
    nm_set_report judged;
    nm_status rc = measure_right(ctx, net, fixed, points, out, err);

    if (rc != NM_OK || !fixed || (double)points->n * nm_net_work(net) > most_work)
        return rc;
    rc = nm_deploy_check(ctx, fixed, points->x, points->labels, points->n, true, &after, err);
    if (rc == NM_OK) {
        judged = nm_measure_judged(&after, &after);
        judged.right_before = out->right_before;
        *out = judged;
    }
    nm_deploy_clear(&after);
    return rc;
}

/* The first of equals; -1 where a score is not a number. */
static int64_t predict(const float *score, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 0; j < n; j++) {
        if (isnan(score[j]))
            return -1;
        best = score[j] > score[best] ? j : best;
    }
    return best;
}

static double share_right(const float *scores, int64_t size, const nm_points *points)
{
    int64_t n_right = 0;

    for (int64_t p = 0; p < points->n; p++)
        n_right += predict(scores + p * size, size) == points->labels[p];
    return (double)n_right / (double)points->n;
}

nm_status nm_measure_accuracy(nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                              const nm_points *points, nm_accuracy_report *out, nm_err *err)
{
    int64_t size = net->values[net->scores].size;
    float *before = NULL, *after = NULL;
    nm_status rc = NM_OK;

    *out = (nm_accuracy_report){.before = NAN, .after = NAN};
    if (!points)
        return NM_OK;
    out->n = points->n;
    NM_TRY(nm_alloc(&before, (size_t)points->n, (size_t)size * sizeof *before, err));
    NM_TRY(nm_alloc(&after, (size_t)points->n, (size_t)size * sizeof *after, err));
    NM_TRY(nm_compare_scores_f32(ctx, net, fixed, points->x, points->n, before, after, err));
    out->before = share_right(before, size, points);
    if (fixed)
        out->after = share_right(after, size, points);
done:
    nm_free(before);
    nm_free(after);
    return rc;
}

nm_status nm_measure_layers(const nm_net *net, const nm_plan *plan, nm_repair_report *report,
                            nm_err *err)
{
    nm_status rc = nm_alloc(&report->layers, (size_t)net->n_layers, sizeof *report->layers, err);

    for (int i = 0; rc == NM_OK && i < net->n_layers; i++)
        if (nm_plan_edits(plan, i))
            report->layers[report->n_layers++] = i;
    return rc;
}

void nm_measure_change(const double *change, int64_t n, nm_repair_report *report)
{
    double squares = 0;

    for (int64_t i = 0; i < n; i++) {
        double v = fabs(change[i]);

        report->change_linf = fmax(report->change_linf, v);
        report->change_l1 += v;
        squares += v * v;
        report->n_changed += v > 0;
    }
    report->change_l2 = sqrt(squares);
}
