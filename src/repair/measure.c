#include "repair/measure.h"

#include <math.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/op.h"
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

/* Products of one evaluation: of each weight as often as it is used. */
static double work_of(const nm_net *net)
{
    double sum = 0;

    for (int i = 0; i < net->n_layers; i++) {
        const nm_op *op = &net->ops[net->layers[i].op];
        const nm_value *out = &net->values[op->out];
        const nm_shape *w = nm_op_shape(net, op, op->kind->weight_in);
        bool dense = op->kind == &nm_op_dense || w->rank < 2;
        int64_t n_out = dense ? out->shape.dim[out->shape.rank - 1] : out->shape.dim[1];

        int64_t places = out->size / n_out;

        sum += (double)net->layers[i].n_weights * (double)places;
    }
    return sum;
}

/* Bounds take some hundred times as long as an evaluation: larger sets go without. */
static const double most_work = 4e9;

/* Right before and after; what is safe is not known. */
static nm_status measure_right(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                               const nm_points *points, nm_set_report *out, nm_err *err)
{
    int64_t size = net->values[net->scores].size, n = points->n;
    double *before = NULL, *after = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&before, (size_t)n, (size_t)size * sizeof *before, err));
    NM_TRY(nm_alloc(&after, (size_t)n, (size_t)size * sizeof *after, err));
    NM_TRY(nm_compare_scores_f64(ctx, net, fixed, points->x, n, before, after, err));
    *out = (nm_set_report){.n = n,
                           .safe_after = -1,
                           .first_order_after = -1,
                           .probable_after = -1,
                           .min_margin_after = NAN,
                           .min_slack_after = NAN,
                           .max_bound_after = NAN,
                           .max_first_order_after = NAN};
    for (int64_t p = 0; p < n; p++)
        out->right_before += nm_smallest_gap_f64(before + p * size, size, points->labels[p]) > 0;
    for (int64_t p = 0; fixed && p < n; p++) {
        double margin = nm_smallest_gap_f64(after + p * size, size, points->labels[p]);

        out->right_after += margin > 0;
        out->min_margin_after = fmin(out->min_margin_after, margin);
    }
done:
    nm_free(before);
    nm_free(after);
    return rc;
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

nm_status nm_measure_points(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                            const nm_points *points, nm_set_report *out, nm_err *err)
{
    nm_deploy after = {0};
    nm_set_report judged;
    nm_status rc = measure_right(ctx, net, fixed, points, out, err);

    if (rc != NM_OK || !fixed || (double)points->n * work_of(net) > most_work)
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
