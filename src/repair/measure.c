#include "repair/measure.h"

#include <math.h>

#include "base/err.h"
#include "netmend/eval.h"

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

nm_status nm_measure_points(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                            const nm_points *points, nm_set_report *out, nm_err *err)
{
    nm_deploy before = {0}, after = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_deploy_check(ctx, net, points->x, points->labels, points->n, false, &before, err));
    if (fixed)
        NM_TRY(
            nm_deploy_check(ctx, fixed, points->x, points->labels, points->n, false, &after, err));
    *out = nm_measure_judged(&before, &after);
done:
    nm_deploy_clear(&before);
    nm_deploy_clear(&after);
    return rc;
}

static nm_status accuracy(nm_ctx *ctx, const nm_net *net, const nm_points *points, double *out,
                          nm_err *err)
{
    nm_eval_report eval;
    nm_status rc = nm_evaluate(ctx, net, points, false, NULL, &eval, err);

    if (rc != NM_OK)
        return rc;
    *out = eval.accuracy;
    nm_eval_report_free(&eval);
    return NM_OK;
}

nm_status nm_measure_accuracy(nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                              const nm_points *points, nm_accuracy_report *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_accuracy_report){.before = NAN, .after = NAN};
    if (!points)
        return NM_OK;
    out->n = points->n;
    NM_TRY(accuracy(ctx, net, points, &out->before, err));
    if (fixed)
        NM_TRY(accuracy(ctx, fixed, points, &out->after, err));
done:
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
