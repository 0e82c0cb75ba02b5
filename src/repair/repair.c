/* The driver: data in, search, judge, file out, measurements. */
#include "netmend/repair.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/net_file.h"
#include "net/op.h"
#include "repair/certificate.h"
#include "repair/judge.h"
#include "repair/measure.h"
#include "repair/misses.h"
#include "repair/pointwise.h"

struct job {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_repair_task *task;
    nm_repair_opts opts;
    const char *path;
    const int64_t *target; /* [repair->n] */
    nm_params *params;
    nm_search *search;
    double *rounded; /* [params->n] the change as written */
    nm_net *fixed;   /* candidate, then the net as read back */
    nm_deploy_session *judge;
    nm_deploy original; /* repair set before */
    nm_deploy judged;   /* repair set after */
    nm_repair_report *report;
};

/* -- checking what was asked ------------------------------------------------------------- */

static nm_status check_inputs(const struct job *j, const nm_points *points, const char *what,
                              nm_err *err)
{
    if (points->n < 1)
        return nm_fail(err, NM_E_SHAPE, "the %s is empty, expected at least one point", what);
    if (points->n_in != nm_net_n_in(j->net))
        return nm_fail(err, NM_E_SHAPE, "the %s has %lld numbers per point, the network takes %lld",
                       what, (long long)points->n_in, (long long)nm_net_n_in(j->net));
    return NM_OK;
}

static nm_status check_points(const struct job *j, const nm_points *points, const int64_t *labels,
                              const char *what, nm_err *err)
{
    int64_t n_classes = j->net->values[j->net->scores].size;
    nm_status rc = points ? check_inputs(j, points, what, err) : NM_OK;

    if (!points || rc != NM_OK)
        return rc;
    if (!labels)
        return nm_fail(err, NM_E_SHAPE, "the %s has no labels, expected one per point", what);
    for (int64_t p = 0; p < points->n; p++)
        if (labels[p] < 0 || labels[p] >= n_classes)
            return nm_fail(err, NM_E_SHAPE, "%s: point %lld has label %lld, expected 0 to %lld",
                           what, (long long)p, (long long)labels[p], (long long)n_classes - 1);
    return NM_OK;
}

static nm_status check_task(const struct job *j, nm_err *err)
{
    const nm_repair_task *t = j->task;
    nm_status rc = NM_OK;

    if (j->net->values[j->net->scores].size < 2)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network has one output, expected a score for each of several classes");
    NM_TRY(check_points(j, t->repair, j->target, "repair set", err));
    NM_TRY(check_points(j, t->keep, t->keep ? t->keep->labels : NULL, "keep set", err));
    if (t->reference)
        NM_TRY(check_inputs(j, t->reference, "reference set", err));
    NM_TRY(check_points(j, t->test, t->test ? t->test->labels : NULL, "test set", err));
    NM_TRY(check_points(j, t->similar, t->similar ? t->similar->labels : NULL, "similar set", err));
done:
    return rc;
}

static nm_status check_opts(const struct job *j, nm_err *err)
{
    const nm_repair_opts *o = &j->opts;

    if (o->margin < 0)
        return nm_fail(err, NM_E_ARG, "margin %g, expected a number >= 0", o->margin);
    if (!(o->gap > 0) || o->max_rounds < 1)
        return nm_fail(err, NM_E_ARG, "gap and rounds must be positive");
    if (!(o->damping_in > 0 && o->damping_out > 0))
        return nm_fail(err, NM_E_ARG, "damping must be positive");
    if (o->norm_includes_outputs && (o->norm == NM_NORM_L2 || o->norm == NM_NORM_FUNCTION))
        return nm_fail(err, NM_E_ARG,
                       "norm %s cannot include outputs, expected linf, l1 or "
                       "linf+l1n",
                       o->norm == NM_NORM_L2 ? "l2" : "function");
    if (o->norm == NM_NORM_FUNCTION && o->solver == NM_SOLVER_CLP)
        return nm_fail(err, NM_E_ARG, "solver clp cannot minimise the function norm");
    if (j->plan->joint && o->pins == NM_PINS_ALL)
        return nm_fail(
            err, NM_E_ARG,
            "a program with all pins is linear in the weights of one layer only; a joint "
            "plan needs method pointwise with pins lazy or none");
    return NM_OK;
}

/* All pins need a piece to pin to. */
static nm_status check_pinnable(const struct job *j, nm_err *err)
{
    const nm_tail *tail = j->search->active;

    for (int i = 0; j->opts.pins == NM_PINS_ALL && i < j->net->n_ops; i++)
        if (tail->op_mask[i] && nm_op_is_smooth(j->net, &j->net->ops[i]) &&
            tail->behind[j->net->ops[i].in[0]])
            return nm_fail(err, NM_E_ARG,
                           "pins need linear pieces, and %s '%s' behind the edited layer has none; "
                           "expected pins lazy or none (method pointwise)",
                           j->net->ops[i].kind->name, j->net->ops[i].name);
    return NM_OK;
}

/* A first, empty write tells early that the output cannot be written. */
static nm_status check_writable(const char *path, nm_err *err)
{
    nm_format format;
    nm_writer w;
    nm_status rc = NM_OK;

    if (!path)
        return NM_OK;
    NM_TRY(nm_check_regular(path, err));
    NM_TRY(nm_save_format(path, &format, err));
    NM_TRY(nm_writer_open(&w, path, err));
    nm_writer_abort(&w);
done:
    return rc;
}

/* -- opening ----------------------------------------------------------------------------- */

static nm_status open_search(struct job *j, nm_err *err)
{
    const nm_repair_task *t = j->task;
    const nm_points *reference = t->reference ? t->reference : t->keep ? t->keep : t->repair;
    nm_search_data data = {.x = t->repair->x,
                           .target = j->target,
                           .n = t->repair->n,
                           .keep_x = t->keep ? t->keep->x : NULL,
                           .keep_target = t->keep ? t->keep->labels : NULL,
                           .n_keep = t->keep ? t->keep->n : 0,
                           .reference_x = reference->x,
                           .n_reference = reference->n};
    double start = nm_now();
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(j->plan, &j->params, err));
    NM_TRY(nm_alloc(&j->rounded, (size_t)j->params->n, sizeof *j->rounded, err));
    NM_TRY(nm_search_open(j->ctx, j->net, j->plan, j->params, &j->opts, &data, &j->search, err));
    NM_TRY(check_pinnable(j, err));
    j->report->s_prepare = nm_now() - start;
done:
    return rc;
}

/* Two points that reach the edited layer with the same numbers get the same outputs from every
   edit: with different targets there is nothing to solve. */
static bool find_twins(const struct job *j, int64_t *a, int64_t *b)
{
    for (int64_t p = 1; p < j->task->repair->n; p++) {
        int64_t twin = nm_tail_same_as(j->search->active, p);

        if (twin >= 0 && j->target[twin] != j->target[p]) {
            *a = twin;
            *b = p;
            return true;
        }
    }
    return false;
}

static nm_status report_twins(struct job *j, int64_t a, int64_t b, nm_err *err)
{
    nm_repair_report *r = j->report;
    nm_status rc = nm_alloc(&r->conflict, 2, sizeof *r->conflict, err);

    if (rc != NM_OK)
        return rc;
    r->outcome = NM_INFEASIBLE;
    r->n_conflict = 2;
    r->conflict[0] = a;
    r->conflict[1] = b;
    (void)snprintf(r->reason, sizeof r->reason,
                   "points %lld and %lld reach the edited layer as the same numbers but have "
                   "labels %lld and %lld",
                   (long long)a, (long long)b, (long long)j->target[a], (long long)j->target[b]);
    return j->opts.certify ? nm_report_twins(a, b, r, err) : NM_OK;
}

/* -- judging ----------------------------------------------------------------------------- */

static int first_edited_op(const struct job *j)
{
    int first = j->net->n_ops;

    for (int i = 0; i < j->params->n_blocks; i++) {
        int op = j->net->layers[j->params->blocks[i].layer].op;

        first = op < first ? op : first;
    }
    return first;
}

/* What the operators before the edited ones give is computed once for all rounds. */
static nm_status judge_in_memory(struct job *j, const nm_net *net, nm_deploy *out, nm_err *err)
{
    double start = nm_now();
    nm_status rc = NM_OK;

    nm_deploy_clear(out);
    if (!j->judge)
        rc = nm_deploy_open(j->ctx, j->net, j->task->repair->x, j->target, j->task->repair->n,
                            first_edited_op(j), true, &j->judge, err);
    if (rc == NM_OK)
        rc = nm_deploy_run(j->judge, net, out, err);
    j->report->s_judge += nm_now() - start;
    return rc;
}

/* Bounds move with the weights: a little more than the present one saves rounds. */
static const double margin_reserve = 1.1;

/* The smallest margin that can pass: a little above what deployment may take away. */
static void set_first_margins(struct job *j)
{
    double asked = isnan(j->opts.margin) ? 0 : j->opts.margin;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double bound = nm_deploy_bound(&j->original, j->opts.safe, p);

        /* Without a bound to exceed, the margin must still survive the rounding of the weights. */
        if (j->opts.safe == NM_SAFE_NONE && isnan(j->opts.margin))
            bound = j->original.probable[p];
        j->search->demand.margin[p] = fmax(asked, margin_reserve * bound);
    }
}

/* Asks more of every point that did not pass. @return whether all passed */
static bool raise_margins(struct job *j)
{
    bool all = true;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double *margin = &j->search->demand.margin[p];
        double bound = nm_deploy_bound(&j->judged, j->opts.safe, p);

        if (nm_deploy_passes(&j->judged, j->opts.safe, p))
            continue;
        all = false;
        /* What rounding took away is given twice. */
        *margin =
            fmax(*margin, 1.02 * bound) + 2 * fmax(*margin - j->judged.margin[p], 0) + 1e-3 * bound;
    }
    return all;
}

/* Keep points that rounding broke must keep more; it stays little, they have little. */
static nm_status raise_keep_margins(struct job *j, bool *all, nm_err *err)
{
    nm_search *s = j->search;
    int64_t n_scores = j->net->values[j->net->scores].size;
    float *scores = NULL;
    nm_status rc = NM_OK;

    if (s->n_keep == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&scores, (size_t)s->n_keep, (size_t)n_scores * sizeof *scores, err));
    NM_TRY(nm_crowd_scores(j->ctx, s->keep, j->rounded, scores, err));
    for (int64_t p = 0; p < s->n_keep; p++) {
        const float *score = scores + p * n_scores;
        double gap = nm_smallest_gap_f32(score, n_scores, s->keep_target[p]);

        if (!(s->keep_margin[p] > 0) || gap > 0)
            continue;
        *all = false;
        s->keep_margin[p] +=
            2 * (s->keep_margin[p] - gap) + 1e-6 * fabs((double)score[s->keep_target[p]]);
        if (s->keep_slot[p] >= 0)
            s->demand.margin[s->keep_slot[p]] = s->keep_margin[p];
    }
done:
    nm_free(scores);
    return rc;
}

/* A keep point need not have a larger margin than the repair points are asked for. */
static void cap_keep_margins(struct job *j)
{
    nm_search *s = j->search;
    double most = 0;

    for (int64_t p = 0; p < s->n_repair; p++)
        most = fmax(most, s->demand.margin[p]);
    for (int64_t p = 0; p < s->n_keep; p++)
        s->keep_margin[p] = fmin(s->keep_margin[p], most);
}

/* -- the outer loop: search, round, judge ------------------------------------------------ */

static nm_status report_conflict(struct job *j, nm_err *err)
{
    nm_repair_report *r = j->report;
    const nm_search *s = j->search;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&r->conflict, (size_t)s->n_repair, sizeof *r->conflict, err));
    NM_TRY(nm_alloc(&r->conflict_keep, (size_t)s->n_keep, sizeof *r->conflict_keep, err));
    for (int64_t p = 0; s->conflict && p < s->n_repair; p++)
        if (s->conflict[p])
            r->conflict[r->n_conflict++] = p;
    for (int64_t p = 0; s->conflict && p < s->n_keep; p++)
        if (s->keep_slot[p] >= 0 && s->conflict[s->keep_slot[p]])
            r->conflict_keep[r->n_conflict_keep++] = p;
done:
    return rc;
}

static nm_status search_once(struct job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_repair_report *r = j->report;
    double start = nm_now();
    nm_status rc = nm_search_run(j->search, outcome, err);

    r->s_solve += nm_now() - start;
    r->solver_rounds += j->search->rounds;
    r->linearisations += j->search->linearisations;
    if (rc != NM_OK)
        return rc;
    (void)snprintf(r->reason, sizeof r->reason, "%s", j->search->reason);
    if (*outcome == NM_SEARCH_INFEASIBLE) {
        r->outcome = NM_INFEASIBLE;
        return report_conflict(j, err);
    }
    return NM_OK;
}

static nm_status repair_loop(struct job *j, bool *passed, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_search_outcome outcome;

    *passed = false;
    set_first_margins(j);
    cap_keep_margins(j);
    for (int i = 0; i < j->opts.max_rounds && !*passed; i++) {
        j->report->judge_rounds = i + 1;
        NM_TRY(search_once(j, &outcome, err));
        if (outcome != NM_SEARCH_FOUND)
            goto done;
        nm_net_free(j->fixed);
        j->fixed = NULL;
        NM_TRY(nm_round_repair(j->net, j->plan, j->params, j->search->delta, j->rounded, &j->fixed,
                               err));
        NM_TRY(judge_in_memory(j, j->fixed, &j->judged, err));
        *passed = raise_margins(j);
        NM_TRY(raise_keep_margins(j, passed, err));
        nm_log(j->ctx, NM_LOG_INFO, "judge round %d: %s", i + 1,
               *passed ? "all points pass" : "margins raised");
    }
    if (!*passed)
        (void)snprintf(j->report->reason, sizeof j->report->reason,
                       "after %d rounds of raised margins some points are still not safe",
                       j->opts.max_rounds);
done:
    return rc;
}

static nm_status write_result(struct job *j, nm_err *err)
{
    double start = nm_now();
    nm_net *read_back = NULL;
    nm_status rc;

    if (!j->path)
        return NM_OK;
    nm_deploy_clear(&j->judged);
    rc = nm_write_judged(j->ctx, j->fixed, j->path, j->task->repair->x, j->target,
                         j->task->repair->n, j->opts.safe, j->judge, first_edited_op(j), &j->judged,
                         &read_back, err);
    nm_deploy_close(j->judge); /* its records may be large */
    j->judge = NULL;
    j->report->s_write = nm_now() - start;
    if (rc != NM_OK)
        return rc;
    nm_net_free(j->fixed);
    j->fixed = read_back;
    return NM_OK;
}

/* -- the report -------------------------------------------------------------------------- */

static nm_status list_layers(struct job *j, nm_err *err)
{
    nm_repair_report *r = j->report;
    nm_status rc = nm_alloc(&r->layers, (size_t)j->net->n_layers, sizeof *r->layers, err);

    for (int i = 0; rc == NM_OK && i < j->net->n_layers; i++)
        if (nm_plan_edits(j->plan, i))
            r->layers[r->n_layers++] = i;
    return rc;
}

static nm_status fill_report(struct job *j, nm_err *err)
{
    nm_repair_report *r = j->report;
    const nm_program_figures *f = &j->search->figures;
    const nm_repair_task *t = j->task;
    double start = nm_now();
    nm_status rc = NM_OK;

    r->n_free = j->params->n;
    r->n_marked = nm_plan_n_marked(j->plan);
    r->rows = f->n_rows;
    r->rows_total = f->n_total;
    r->solver = f->solver ? f->solver : "none";
    r->refined = j->search->refined;
    if (f->solver && r->outcome == NM_REPAIRED) {
        r->objective = f->objective;
        r->lower_bound = f->lower_bound;
        r->gap = fmax(f->objective - f->lower_bound, 0) / fmax(fabs(f->objective), 1e-300);
    }
    for (int64_t p = 0; p < j->search->n_repair; p++)
        r->margin = fmax(r->margin, j->search->demand.margin[p]);
    nm_measure_change(j->rounded, j->params->n, r);
    r->repair = nm_measure_judged(&j->original, &j->judged);
    NM_TRY(list_layers(j, err));
    if (t->keep)
        NM_TRY(nm_measure_points(j->ctx, j->net, j->fixed, t->keep, &r->keep, err));
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, j->fixed, t->test, &r->test, err));
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, j->fixed, t->similar, &r->similar, err));
    r->s_measure = nm_now() - start;
done:
    return rc;
}

/* -- all together ------------------------------------------------------------------------ */

/* Right and safe as it is: the answer is the network itself. */
static bool passes_already(const struct job *j)
{
    double asked = isnan(j->opts.margin) ? 0 : j->opts.margin;

    for (int64_t p = 0; p < j->task->repair->n; p++)
        if (!nm_deploy_passes(&j->original, j->opts.safe, p) || j->original.margin[p] < asked)
            return false;
    return true;
}

/* Last of all: a repair without proofs is one, too. */
static nm_status certify(struct job *j, nm_err *err)
{
    double start = nm_now();
    nm_status rc = NM_OK;

    if (j->report->outcome == NM_REPAIRED)
        rc = nm_search_certify_at(j->search, j->rounded, err);
    if (rc == NM_OK)
        rc = nm_report_certificate(j->search, j->report, err);
    j->report->s_certify = nm_now() - start;
    return rc;
}

static nm_status repair_or_explain(struct job *j, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t a, b;
    bool passed = false;

    NM_TRY(open_search(j, err));
    NM_TRY(judge_in_memory(j, j->net, &j->original, err));
    if (find_twins(j, &a, &b)) {
        NM_TRY(report_twins(j, a, b, err));
    } else if (passes_already(j)) {
        passed = true;
        NM_TRY(nm_round_repair(j->net, j->plan, j->params, j->rounded, j->rounded, &j->fixed, err));
        NM_TRY(judge_in_memory(j, j->fixed, &j->judged, err));
    } else {
        NM_TRY(repair_loop(j, &passed, err));
    }
    if (passed) {
        NM_TRY(write_result(j, err));
        j->report->outcome = NM_REPAIRED;
        j->report->reason[0] = '\0';
    } else {
        nm_net_free(j->fixed);
        j->fixed = NULL;
        nm_deploy_clear(&j->judged);
        memset(j->rounded, 0, (size_t)j->params->n * sizeof *j->rounded);
    }
    NM_TRY(fill_report(j, err));
    NM_TRY(certify(j, err));
done:
    return rc;
}

static void close_job(struct job *j)
{
    nm_search_close(j->search);
    nm_params_free(j->params);
    nm_free(j->rounded);
    nm_net_free(j->fixed);
    nm_deploy_close(j->judge);
    nm_deploy_clear(&j->original);
    nm_deploy_clear(&j->judged);
}

/* Running out of time is an outcome, not a failure; what was found so far stays: a file that was
   written is a repair, whatever could not be measured any more. */
static nm_status time_is_up(struct job *j, nm_err *err)
{
    (void)snprintf(j->report->reason, sizeof j->report->reason, "time limit reached%s",
                   j->report->outcome == NM_REPAIRED ? " while measuring" : "");
    *err = (nm_err){0};
    return NM_OK;
}

nm_status nm_repair(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const nm_repair_task *task,
                    const nm_repair_opts *opts, const char *path, nm_net **fixed,
                    nm_repair_report *report, nm_err *err)
{
    nm_err local = {0};
    struct job j = {.ctx = ctx,
                    .net = net,
                    .plan = plan,
                    .task = task,
                    .opts = *opts,
                    .path = path,
                    .target = task->targets ? task->targets : task->repair->labels,
                    .report = report};
    nm_status rc = NM_OK;

    err = err ? err : &local;
    if (fixed)
        *fixed = NULL;
    memset(report, 0, sizeof *report);
    report->outcome = NM_LIMIT;
    report->objective = report->lower_bound = report->gap = NAN;
    report->solver = "none";
    report->test = report->similar = (nm_accuracy_report){.before = NAN, .after = NAN};
    if (opts->method == NM_METHOD_APRNN)
        j.opts.pins = NM_PINS_ALL;
    NM_TRY(check_opts(&j, err));
    NM_TRY(check_task(&j, err));
    NM_TRY(check_writable(path, err));
    rc = repair_or_explain(&j, err);
    if (rc == NM_E_LIMIT)
        rc = time_is_up(&j, err);
    if (rc == NM_OK && fixed) {
        *fixed = j.fixed;
        j.fixed = NULL;
    }
done:
    close_job(&j);
    if (rc != NM_OK)
        nm_repair_report_free(report);
    return rc;
}

void nm_repair_report_free(nm_repair_report *report)
{
    nm_free(report->layers);
    nm_free(report->conflict);
    nm_free(report->conflict_keep);
    for (int i = 0; report->certificates && i < report->n_certificates; i++)
        nm_certificate_clear(&report->certificates[i]);
    nm_free(report->certificates);
    report->certificates = NULL;
    report->n_certificates = 0;
    report->layers = NULL;
    report->conflict = report->conflict_keep = NULL;
    report->n_layers = 0;
    report->n_conflict = report->n_conflict_keep = 0;
}
