/* A few repairs along margin and damping. */
#include "netmend/curve.h"

#include <math.h>

#include "base/mem.h"
#include "choose/sample.h"
#include "choose/scores.h"

enum { MAX_FACTORS = 8, MAX_REFERENCE = 1000 };

struct tracing {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const nm_curve_opts *how;
    nm_curve *curve;
    nm_sample reference;
    float *before, *after; /* scores of the reference points */
};

/* -- what is asked --------------------------------------------------------------------------- */

static bool all_positive(const double *v, int n)
{
    for (int i = 0; i < n; i++)
        if (!(v[i] > 0 && v[i] < INFINITY))
            return false;
    return n >= 1 && n <= MAX_FACTORS;
}

static nm_status check(const struct tracing *t, nm_err *err)
{
    if (!(t->how->margin > 0 && t->how->margin < INFINITY))
        return nm_fail(err, NM_E_ARG, "curve: margin %g, expected a number > 0", t->how->margin);
    if (!all_positive(t->how->margin_factors, t->how->n_margins) ||
        !all_positive(t->how->damping_factors, t->how->n_dampings))
        return nm_fail(err, NM_E_ARG, "curve: expected 1 to %d factors > 0 of margin and damping",
                       MAX_FACTORS);
    return NM_OK;
}

static int64_t n_scores(const struct tracing *t)
{
    return t->net->values[t->net->scores].size;
}

static nm_status open_reference(struct tracing *t, nm_err *err)
{
    const nm_repair_task *task = t->task;
    const nm_points *from = task->reference ? task->reference
                            : task->keep    ? task->keep
                                            : task->repair;
    const int64_t *labels = from == task->repair && task->targets ? task->targets : from->labels;
    size_t each = (size_t)n_scores(t) * sizeof(float);
    nm_status rc = NM_OK;

    if (from->n < 1 || from->n_in != nm_net_n_in(t->net))
        return nm_fail(err, NM_E_SHAPE,
                       "curve: the reference points do not fit the network's %lld inputs",
                       (long long)nm_net_n_in(t->net));
    NM_TRY(nm_sample_take(from, labels, 0, 1, MAX_REFERENCE, &t->reference, err));
    NM_TRY(nm_alloc(&t->before, (size_t)t->reference.n, each, err));
    NM_TRY(nm_alloc(&t->after, (size_t)t->reference.n, each, err));
    NM_TRY(nm_scores_of(t->ctx, t->net, t->reference.x, t->reference.n, t->before, err));
    t->curve->n_reference = t->reference.n;
done:
    return rc;
}

/* -- one repair -------------------------------------------------------------------------------- */

static nm_status measure(struct tracing *t, const nm_net *fixed, const nm_repair_report *report,
                         nm_curve_point *point, nm_err *err)
{
    nm_score_change change;
    nm_status rc = nm_scores_of(t->ctx, fixed, t->reference.x, t->reference.n, t->after, err);

    if (rc != NM_OK)
        return rc;
    change = nm_scores_compare(t->before, t->after, t->reference.labels, t->reference.n,
                               n_scores(t), NULL);
    point->divergence = change.kl;
    point->reference_lost = change.lost;
    point->right = report->repair.right_after;
    point->keep_lost = report->keep.right_before - report->keep.right_after;
    point->objective = report->objective;
    point->drawdown_points = 100 * (report->test.before - report->test.after);
    point->similar_points = 100 * (report->similar.after - report->similar.before);
    return NM_OK;
}

static nm_status run_one(struct tracing *t, double margin, double factor, nm_curve_point *point,
                         nm_err *err)
{
    nm_repair_opts opts = *t->opts;
    nm_repair_report report = {0};
    nm_net *fixed = NULL;
    double start = nm_now();
    nm_status rc = NM_OK;

    *point = (nm_curve_point){.margin = margin,
                              .damping_factor = factor,
                              .objective = NAN,
                              .divergence = NAN,
                              .drawdown_points = NAN,
                              .similar_points = NAN};
    opts.margin = margin;
    opts.safe = NM_SAFE_NONE;
    if (!isnan(factor)) {
        opts.damping_in = factor * (isnan(opts.damping_in) ? NM_DAMPING_LEAST : opts.damping_in);
        opts.damping_out *= factor;
    }
    NM_TRY(nm_repair(t->ctx, t->net, t->plan, t->task, &opts, NULL, &fixed, &report, err));
    point->outcome = report.outcome;
    if (fixed)
        NM_TRY(measure(t, fixed, &report, point, err));
    point->seconds = nm_now() - start;
done:
    nm_repair_report_free(&report);
    nm_net_free(fixed);
    return rc;
}

/* -- all together ------------------------------------------------------------------------------ */

static nm_status trace(struct tracing *t, nm_err *err)
{
    const nm_curve_opts *how = t->how;
    bool damped = t->opts->norm == NM_NORM_FUNCTION;
    int n_dampings = damped ? how->n_dampings : 1, total = n_dampings * how->n_margins;
    nm_curve *curve = t->curve;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&curve->points, (size_t)total, sizeof *curve->points, err));
    for (int d = 0; d < n_dampings; d++)
        for (int m = 0; m < how->n_margins; m++) {
            double margin = how->margin * how->margin_factors[m];

            rc = run_one(t, margin, damped ? how->damping_factors[d] : NAN,
                         &curve->points[curve->n], err);
            if (rc != NM_OK)
                goto done;
            curve->n++;
            nm_progress(t->ctx, "curve", curve->n, total, margin);
        }
done:
    return rc;
}

nm_status nm_curve_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                       const nm_repair_task *task, const nm_repair_opts *opts,
                       const nm_curve_opts *how, nm_curve *out, nm_err *err)
{
    struct tracing t = {
        .ctx = ctx, .net = net, .plan = plan, .task = task, .opts = opts, .how = how, .curve = out};
    double start = nm_now();
    nm_status rc = NM_OK;

    *out = (nm_curve){.n_repair = task->repair->n,
                      .has_keep = task->keep != NULL,
                      .has_test = task->test != NULL,
                      .has_similar = task->similar != NULL};
    NM_TRY(check(&t, err));
    NM_TRY(open_reference(&t, err));
    NM_TRY(trace(&t, err));
done:
    if (rc == NM_E_CANCELLED && out->n > 0) { /* what there is of it is of use */
        if (err)
            *err = (nm_err){0};
        rc = NM_OK;
    }
    out->seconds = nm_now() - start;
    nm_sample_clear(&t.reference);
    nm_free(t.before);
    nm_free(t.after);
    if (rc != NM_OK)
        nm_curve_free(out);
    return rc;
}

void nm_curve_free(nm_curve *curve)
{
    nm_free(curve->points);
    curve->points = NULL;
    curve->n = 0;
}
