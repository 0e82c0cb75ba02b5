/* The driver: data in, search, judge, file out, measurements. */
#include "netmend/repair.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/order.h"
#include "net/op.h"
#include "repair/certificate.h"
#include "repair/conflicts.h"
#include "repair/judge.h"
#include "repair/layerwise_job.h"
#include "repair/minimal_job.h"
#include "repair/repair_job.h"
#include "repair/wish.h"

/* -- judging ----------------------------------------------------------------------------- */

int nm_job_first_op(const struct nm_job *j)
{
    int first = j->net->n_ops;

    for (int i = 0; i < j->params->n_blocks; i++) {
        int op = j->net->layers[j->params->blocks[i].layer].op;

        first = op < first ? op : first;
    }
    return first;
}

/* What the operators before the edited ones give is computed once for all rounds. */
nm_status nm_job_judge(struct nm_job *j, const nm_net *net, nm_deploy *out, nm_err *err)
{
    double start = nm_now();
    nm_status rc = NM_OK;

    nm_deploy_clear(out);
    if (!j->judge)
        rc = nm_deploy_open(j->ctx, j->net, j->task->repair->x, j->target, j->task->repair->n,
                            nm_job_first_op(j), true, NM_DEPLOY_MEMORY, &j->judge, err);
    if (rc == NM_OK)
        rc = nm_deploy_run(j->judge, net, out, err);
    j->report->s_judge += nm_now() - start;
    return rc;
}

/* What passed well keeps its bounds for now: they move little from round to round, and many points
   take long. */
nm_status nm_job_judge_next(struct nm_job *j, const nm_net *net, nm_err *err)
{
    enum { MANY = 500 };
    nm_deploy *judged = &j->judged;
    double start = nm_now(), *enough = NULL;
    nm_status rc = NM_OK;

    if (j->elastic || judged->n < MANY)
        return nm_job_judge(j, net, judged, err);
    NM_TRY(nm_alloc(&enough, (size_t)judged->n, sizeof *enough, err));
    for (int64_t p = 0; p < judged->n; p++)
        enough[p] = nm_deploy_passes(judged, j->opts.safe, p)
                        ? 1.05 * nm_deploy_bound(judged, j->opts.safe, p)
                        : (double)INFINITY;
    NM_TRY(nm_deploy_run_again(j->judge, net, enough, judged, err));
    j->report->s_judge += nm_now() - start;
done:
    nm_free(enough);
    return rc;
}

nm_status nm_job_judge_rest(struct nm_job *j, nm_err *err)
{
    double start = nm_now();
    nm_status rc = nm_deploy_run_rest(j->judge, j->fixed, &j->judged, err);

    j->report->s_judge += nm_now() - start;
    return rc;
}

/* -- opening ----------------------------------------------------------------------------- */

static nm_status find_blur(const struct nm_job *j, double *blur, nm_err *err)
{
    size_t n = (size_t)j->original.n;
    double *bounds = NULL;
    nm_status rc = nm_alloc(&bounds, n, sizeof *bounds, err);

    if (rc != NM_OK)
        return rc;
    for (size_t p = 0; p < n; p++)
        bounds[p] = nm_deploy_bound(&j->original, j->opts.safe, (int64_t)p);
    *blur = nm_median(bounds, j->original.n);
    nm_free(bounds);
    return NM_OK;
}

static nm_status open_search(struct nm_job *j, nm_err *err)
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
                           .n_reference = reference->n,
                           .own_reference = reference != t->repair && !j->opts.elastic,
                           .reference_labels = reference == t->repair ? NULL : reference->labels};
    double start;
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(j->plan, &j->params, err));
    NM_TRY(nm_job_judge(j, j->net, &j->original, err));
    NM_TRY(find_blur(j, &data.blur, err));
    start = nm_now();
    NM_TRY(nm_alloc(&j->rounded, (size_t)j->params->n, sizeof *j->rounded, err));
    NM_TRY(nm_search_open(j->ctx, j->net, j->plan, j->params, &j->opts, &data, &j->search, err));
    NM_TRY(nm_job_check_finite(j, err));
    NM_TRY(nm_job_check_pinnable(j, err));
    j->report->s_prepare = nm_now() - start;
done:
    return rc;
}

/* -- the outer loop: search, round, judge ------------------------------------------------ */

void nm_job_bring_home(struct nm_job *j)
{
    j->report->stopped = j->granted = true;
    nm_ctx_grant(j->ctx, true);
    (void)snprintf(j->search->reason, sizeof j->search->reason,
                   "time limit reached or interrupted; the best change found until then");
}

static nm_status search_by_method(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    if (j->opts.method == NM_METHOD_LAYERWISE || j->opts.method == NM_METHOD_MULTILAYER)
        return nm_job_layerwise(j, outcome, err);
    if (j->opts.method == NM_METHOD_MINIMAL)
        return nm_job_minimal(j, outcome, err);
    return j->elastic ? nm_elastic_run(j->elastic, outcome, err)
                      : nm_search_run(j->search, outcome, err);
}

static nm_status search_once(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_repair_report *r = j->report;
    double start = nm_now();
    nm_status rc = search_by_method(j, outcome, err);

    r->s_solve += nm_now() - start;
    r->solver_rounds += j->search->rounds;
    r->linearisations += j->search->linearisations;
    if (rc != NM_OK)
        return rc;
    (void)snprintf(r->reason, sizeof r->reason, "%s", j->search->reason);
    return *outcome == NM_SEARCH_INFEASIBLE && !j->elastic ? nm_report_proof(j->search, r, err)
                                                           : NM_OK;
}

/* Margins without end come of weights so large that float32 may overflow. */
static bool asks_too_much(struct nm_job *j)
{
    for (int64_t p = 0; p < j->task->repair->n; p++)
        if (j->search->demand.margin[p] == INFINITY) {
            (void)snprintf(j->report->reason, sizeof j->report->reason,
                           "the change would have to be so large that point %lld may overflow in "
                           "float32",
                           (long long)p);
            return true;
        }
    return false;
}

static void forget_conflict(nm_repair_report *r)
{
    for (int64_t i = 0; i < r->n_conflicts; i++)
        nm_conflict_clear(&r->conflicts[i]);
    nm_free(r->conflicts);
    nm_free(r->conflict);
    nm_free(r->conflict_keep);
    r->conflicts = NULL;
    r->conflict = r->conflict_keep = NULL;
    r->n_conflicts = r->n_conflict = r->n_conflict_keep = 0;
    r->outcome = NM_LIMIT;
}

/* Margins that nobody asked for must not be why there is no repair. */
static nm_status search_first(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_status rc = NM_OK;

    j->wished = j->elastic ? 0 : NM_WISHED_MARGIN * j->search->typical_gap;
    nm_job_set_first_margins(j);
    nm_job_cap_keep_margins(j);
    rc = search_once(j, outcome, err);
    if (rc != NM_OK || *outcome == NM_SEARCH_FOUND || !isnan(j->opts.margin) || !(j->wished > 0))
        return rc;
    j->wished = 0;
    forget_conflict(j->report);
    nm_job_set_first_margins(j);
    return search_once(j, outcome, err);
}

/* Where rigorous bounds move away from the margins round after round, the repair ends with what is
   asked of nets for which they are out of reach; the report counts the points that are safe. */
static void settle_for_first_order(struct nm_job *j)
{
    enum { PROVEN_ROUNDS = 10 };

    if (j->report->judge_rounds != PROVEN_ROUNDS + 1 || j->opts.safe != NM_SAFE_ANY_ORDER)
        return;
    j->opts.safe = NM_SAFE_FIRST_ORDER;
    nm_log(j->ctx, NM_LOG_WARNING,
           "rigorous float32 bounds grew with the margins for %d rounds; going on with twice the "
           "first-order bound, and counting as safe what is",
           PROVEN_ROUNDS);
}

static void log_round(const struct nm_job *j, bool passed)
{
    int64_t n_safe = 0;
    double bound = 0, margin = 0;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        n_safe += nm_deploy_passes(&j->judged, j->opts.safe, p);
        bound = fmax(bound, nm_deploy_bound(&j->judged, j->opts.safe, p));
        margin = fmax(margin, j->search->demand.margin[p]);
    }
    nm_log(j->ctx, NM_LOG_INFO,
           "judge round %d: %lld of %lld points safe, bounds up to %.3g%s, margins up to %.3g",
           j->report->judge_rounds, (long long)n_safe, (long long)j->task->repair->n, bound,
           passed ? "" : "; asked from now on", margin);
}

/* One round: search, judge, ask for more. @param on  out: another round may help */
static nm_status repair_round(struct nm_job *j, bool *passed, bool *on, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_search_outcome outcome;
    bool first = j->report->judge_rounds++ == 0;

    *on = false;
    NM_TRY(first ? search_first(j, &outcome, err) : search_once(j, &outcome, err));
    if (outcome != NM_SEARCH_FOUND)
        goto done;
    NM_TRY(nm_job_make_candidate(j, j->search->delta, err));
    settle_for_first_order(j);
    *passed = nm_job_raise_margins(j);
    if (*passed && nm_deploy_any_stale(&j->judged)) {
        NM_TRY(nm_job_judge_rest(j, err));
        *passed = nm_job_raise_margins(j);
    }
    j->keeps = true;
    NM_TRY(nm_job_raise_keep_margins(j, &j->keeps, err));
    *passed = *passed && j->keeps;
    if (!j->elastic && asks_too_much(j))
        goto done;
    if (j->elastic)
        nm_job_note_candidate(j, j->search->delta);
    log_round(j, *passed);
    *on = !*passed;
done:
    return rc;
}

static nm_status repair_loop(struct nm_job *j, bool *passed, nm_err *err)
{
    nm_status rc = NM_OK;
    bool on = true;

    *passed = false;
    while (on && j->report->judge_rounds < j->opts.max_rounds)
        NM_TRY(repair_round(j, passed, &on, err));
    if (on)
        (void)snprintf(j->report->reason, sizeof j->report->reason,
                       "after %d rounds of raised margins some points are still not safe",
                       j->opts.max_rounds);
done:
    return rc;
}

/* -- all together ------------------------------------------------------------------------ */

/* Right and safe as it is: the answer is the network itself. */
static bool passes_already(const struct nm_job *j)
{
    double asked = isnan(j->opts.margin) ? 0 : j->opts.margin;

    for (int64_t p = 0; p < j->task->repair->n; p++)
        if (!nm_deploy_passes(&j->original, j->opts.safe, p) || j->original.margin[p] < asked)
            return false;
    return true;
}

static nm_status open_elastic(struct nm_job *j, nm_err *err)
{
    size_t n = (size_t)j->task->repair->n;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&j->passes, n, sizeof *j->passes, err));
    NM_TRY(nm_alloc(&j->right, n, sizeof *j->right, err));
    NM_TRY(nm_alloc(&j->checked, (size_t)j->params->n, sizeof *j->checked, err));
    if (j->opts.elastic)
        NM_TRY(nm_elastic_open(j->search, &j->opts, j->task->repair->x, &j->elastic, err));
    else
        NM_TRY(nm_twins_find(j->search, j->task->repair->x, &j->twins, err));
done:
    return rc;
}

static nm_status take_original(struct nm_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    j->keeps = true;
    NM_TRY(nm_job_make_candidate(j, j->search->delta, err));
done:
    return rc;
}

static nm_status repair_or_explain(struct nm_job *j, nm_err *err)
{
    nm_status rc = NM_OK;
    bool passed = false, twins = false;

    NM_TRY(open_search(j, err));
    NM_TRY(open_elastic(j, err));
    if (!j->elastic)
        NM_TRY(
            nm_report_twin_points(j->search, &j->twins, j->opts.certify, j->report, &twins, err));
    if (twins)
        ;
    else if (passes_already(j))
        NM_TRY(take_original(j, err));
    else
        NM_TRY(repair_loop(j, &passed, err));
    NM_TRY(nm_job_settle(j, err));
done:
    return rc;
}

static void close_job(struct nm_job *j)
{
    nm_elastic_close(j->elastic);
    nm_search_close(j->search);
    nm_params_free(j->params);
    nm_twins_clear(&j->twins);
    nm_free(j->checked);
    nm_free(j->passes);
    nm_free(j->right);
    nm_free(j->rounded);
    nm_net_free(j->fixed);
    nm_net_free(j->as_written);
    nm_deploy_close(j->judge);
    nm_deploy_clear(&j->original);
    nm_deploy_clear(&j->judged);
}

nm_status nm_repair(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const nm_repair_task *task,
                    const nm_repair_opts *opts, const char *path, nm_net **fixed,
                    nm_repair_report *report, nm_err *err)
{
    nm_err local = {0};
    struct nm_job j = {.ctx = ctx,
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
    report->damping_in = report->damping_out = NAN;
    report->objective = report->lower_bound = report->gap = NAN;
    report->solver = "none";
    report->test = report->similar = (nm_accuracy_report){.before = NAN, .after = NAN};
    if (opts->method == NM_METHOD_APRNN)
        j.opts.pins = NM_PINS_ALL;
    NM_TRY(nm_job_check_opts(&j, err));
    NM_TRY(nm_job_check_task(&j, err));
    NM_TRY(nm_job_check_writable(path, err));
    NM_TRY(nm_as_written(net, &j.as_written, err));
    j.net = j.as_written ? j.as_written : net;
    rc = repair_or_explain(&j, err);
    if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED)
        rc = nm_job_stop_early(&j, rc, err);
    if (rc == NM_OK && fixed) {
        *fixed = j.fixed;
        j.fixed = NULL;
    }
done:
    if (j.granted)
        nm_ctx_grant(ctx, false);
    close_job(&j);
    if (rc != NM_OK)
        nm_repair_report_free(report);
    return rc;
}

void nm_repair_report_free(nm_repair_report *report)
{
    for (int64_t i = 0; i < report->n_conflicts; i++)
        nm_conflict_clear(&report->conflicts[i]);
    nm_free(report->conflicts);
    nm_free(report->unrepaired);
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
    report->conflicts = NULL;
    report->unrepaired = NULL;
    report->n_layers = 0;
    report->n_conflict = report->n_conflict_keep = 0;
    report->n_conflicts = report->n_unrepaired = 0;
}
