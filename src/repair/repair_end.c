/* How a repair ends: candidates, the file, the report; also when the end comes early. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/conflicts.h"
#include "repair/judge_some.h"
#include "repair/measure.h"
#include "repair/misses.h"
#include "repair/repair_job.h"

/* -- candidates -------------------------------------------------------------------------- */

/* The points that a candidate repairs. */
int64_t nm_job_count_repaired(struct nm_job *j, const nm_deploy *judged)
{
    double asked = isnan(j->opts.margin) ? 0 : j->opts.margin;

    if (judged->n == 0) {
        memset(j->passes, 0, (size_t)j->task->repair->n * sizeof *j->passes);
        memset(j->right, 0, (size_t)j->task->repair->n * sizeof *j->right);
        return 0;
    }
    return nm_judge_points(judged, j->opts.safe, j->elastic ? j->elastic->out : NULL, asked,
                           j->passes, j->right);
}

/* Of an elastic repair the best candidate counts, which need not be the last one. A candidate that
   breaks keep points is none. */
void nm_job_note_candidate(struct nm_job *j, const double *delta)
{
    int64_t n = j->keeps ? nm_job_count_repaired(j, &j->judged) : 0;

    if (n <= j->n_checked)
        return;
    j->n_checked = n;
    memcpy(j->checked, delta, (size_t)j->params->n * sizeof *delta);
}

nm_status nm_job_make_candidate(struct nm_job *j, const double *delta, nm_err *err)
{
    nm_status rc = NM_OK;

    nm_net_free(j->fixed);
    j->fixed = NULL;
    NM_TRY(nm_round_repair(j->net, j->plan, j->params, delta, j->rounded, &j->fixed, err));
    NM_TRY(nm_job_judge_next(j, j->fixed, err));
done:
    return rc;
}

/* -- the report -------------------------------------------------------------------------- */

static nm_status fill_report(struct nm_job *j, nm_err *err)
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
    r->shifted = j->search->shifted;
    if (f->solver && !j->off_path && (r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY)) {
        r->objective = f->objective;
        r->lower_bound = f->lower_bound;
        if (!isnan(f->objective)) /* sums of steps claim nothing */
            r->gap = fmax(f->objective - f->lower_bound, 0) / fmax(fabs(f->objective), 1e-300);
    }
    if (j->search->metric) {
        r->damping_in = j->search->damping_in;
        r->damping_out = j->opts.damping_out;
    }
    for (int64_t p = 0; p < j->search->n_repair; p++)
        r->margin = fmax(r->margin, j->search->demand.margin[p]);
    nm_measure_change(j->rounded, j->params->n, r);
    r->repair = nm_measure_judged(&j->original, &j->judged);
    NM_TRY(nm_measure_layers(j->net, j->plan, r, err));
    if (r->stopped) /* no time to measure */
        goto done;
    if (t->keep)
        NM_TRY(nm_measure_points(j->ctx, j->net, j->fixed, t->keep, &r->keep, err));
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, j->fixed, t->test, &r->test, err));
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, j->fixed, t->similar, &r->similar, err));
    r->s_measure = nm_now() - start;
done:
    return rc;
}

/* Last of all: a repair without proofs is one, too. */
static nm_status certify(struct nm_job *j, nm_err *err)
{
    double start = nm_now();
    nm_status rc = NM_OK;

    if (j->report->stopped || j->off_path || j->report->outcome == NM_PARTLY ||
        (j->elastic && j->report->outcome == NM_INFEASIBLE)) /* those are there already */
        return NM_OK;
    if (j->opts.method == NM_METHOD_MINIMAL && !nm_search_is_exact(j->search))
        return NM_OK; /* multipliers of one program do not show what a search tree shows */
    if (j->report->outcome == NM_REPAIRED)
        rc = nm_search_certify_at(j->search, j->rounded, err);
    if (rc == NM_OK)
        rc = nm_report_certificate(j->search, j->report, err);
    j->report->s_certify = nm_now() - start;
    return rc;
}

/* What is known after an elastic search, whether or not it found something. */
static nm_status report_elastic(struct nm_job *j, nm_err *err)
{
    nm_repair_report *r = j->report;
    nm_status rc = NM_OK;

    if (!j->elastic)
        return NM_OK;
    NM_TRY(nm_elastic_report(j->elastic, j->passes, j->right, r, err));
    if (r->outcome == NM_LIMIT && r->repairable_at_most == 0) {
        r->outcome = NM_INFEASIBLE;
        (void)snprintf(r->reason, sizeof r->reason,
                       "no change within the plan satisfies any of the points, not even alone");
        rc = nm_report_main_conflict(&r->conflicts[0], r, err);
    } else if (r->outcome == NM_LIMIT && !r->stopped) {
        (void)snprintf(r->reason, sizeof r->reason, "no change was found for any of the points");
    } else if (r->outcome == NM_PARTLY && !r->stopped) {
        (void)snprintf(r->reason, sizeof r->reason, "%s",
                       r->repairable_at_most == j->search->n_repair - r->n_unrepaired
                           ? "more is proven to be impossible"
                           : "more may be possible");
    }
done:
    return rc;
}

/* The best candidate of an elastic repair comes back where the last one repairs fewer. */
static nm_status choose_candidate(struct nm_job *j, int64_t *repaired, nm_err *err)
{
    nm_status rc = NM_OK;

    *repaired = j->keeps && j->fixed ? nm_job_count_repaired(j, &j->judged) : 0;
    if (*repaired == j->task->repair->n && nm_deploy_any_stale(&j->judged)) {
        NM_TRY(nm_job_judge_rest(j, err));
        *repaired = nm_job_count_repaired(j, &j->judged);
    }
    if (*repaired >= j->n_checked)
        return NM_OK;
    NM_TRY(nm_job_make_candidate(j, j->checked, err));
    j->off_path = true;
    *repaired = nm_job_count_repaired(j, &j->judged);
done:
    return rc;
}

/* Only the points that pass in memory have to pass in the file. */
static nm_status write_result(struct nm_job *j, nm_err *err)
{
    double start = nm_now();
    nm_net *read_back = NULL;
    nm_status rc;

    if (!j->path)
        return NM_OK;
    rc = nm_write_judged(j->ctx, j->fixed, j->path, j->task->repair->x, j->target,
                         j->task->repair->n, j->passes, j->opts.safe, &j->judged, &read_back, err);
    nm_deploy_close(j->judge); /* its records may be large */
    j->judge = NULL;
    j->report->s_write = nm_now() - start;
    if (rc != NM_OK)
        return rc;
    nm_net_free(j->fixed);
    j->fixed = read_back;
    return NM_OK;
}

/* Writes the candidate if there is one: `fixed`, as judged in `judged`. */
nm_status nm_job_settle(struct nm_job *j, nm_err *err)
{
    int64_t n = j->task->repair->n, repaired;
    nm_status rc = NM_OK;

    NM_TRY(choose_candidate(j, &repaired, err));
    if (repaired == n || (j->elastic && repaired > 0)) {
        NM_TRY(write_result(j, err));
        j->report->outcome = repaired == n ? NM_REPAIRED : NM_PARTLY;
        if (!j->report->stopped)
            j->report->reason[0] = '\0';
    } else {
        nm_net_free(j->fixed);
        j->fixed = NULL;
        (void)nm_job_count_repaired(j, &j->original);
        nm_deploy_clear(&j->judged);
        memset(j->rounded, 0, (size_t)j->params->n * sizeof *j->rounded);
    }
    NM_TRY(report_elastic(j, err));
    NM_TRY(fill_report(j, err));
    NM_TRY(certify(j, err));
done:
    return rc;
}

/* -- stopped early --------------------------------------------------------------------------- */

static nm_status check_candidate(struct nm_job *j, const double *delta, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; delta && i < j->params->n; i++)
        if (!(fabs(delta[i]) < 0x1p96)) /* steps that ran away */
            return NM_OK;
    if (!delta)
        return NM_OK;
    NM_TRY(nm_job_make_candidate(j, delta, err));
    j->keeps = true;
    NM_TRY(nm_job_raise_keep_margins(j, &j->keeps, err));
    nm_job_note_candidate(j, delta);
done:
    return rc;
}

/* The changes that an elastic search leaves behind are judged, and the best is written if it is
   better than nothing. */
static nm_status save_best(struct nm_job *j, nm_err *err)
{
    const nm_elastic *e = j->elastic;
    double *last = NULL;
    nm_status rc = NM_OK;

    j->keeps = false;
    if (j->original.n == 0)
        NM_TRY(nm_job_judge(j, j->net, &j->original, err));
    NM_TRY(nm_memdup(&last, j->search->delta, (size_t)j->params->n, sizeof *last, err));
    NM_TRY(check_candidate(j, e->n_best > 0 ? e->best : NULL, err));
    NM_TRY(check_candidate(j, j->search->closest, err));
    NM_TRY(check_candidate(j, last, err));
    if (j->n_checked <= nm_job_count_repaired(j, &j->original))
        j->n_checked = 0;
    j->keeps = false; /* what counts is the best one */
    NM_TRY(nm_job_settle(j, err));
done:
    nm_free(last);
    return rc;
}

/* How far the search had come, for the message. */
static nm_status count_reached(const struct nm_job *j, int64_t *right, nm_err *err)
{
    const nm_search *s = j->search;
    int64_t n_scores = j->net->values[j->net->scores].size;
    double *scores = NULL;
    nm_status rc = NM_OK;

    *right = 0;
    NM_TRY(nm_alloc(&scores, (size_t)s->active->at->n, (size_t)n_scores * sizeof *scores, err));
    NM_TRY(nm_tail_scores(j->ctx, s->active, s->delta, scores, err));
    for (int64_t p = 0; p < s->n_repair; p++)
        *right += nm_smallest_gap_f64(scores + p * n_scores, n_scores, j->target[p]) > 0;
done:
    nm_free(scores);
    return rc;
}

/* @param measuring  the file had been written when the end came */
static void say_reached(struct nm_job *j, const char *what, bool measuring)
{
    nm_repair_report *r = j->report;
    nm_err ignored = {0};
    int64_t right;

    if (r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY)
        (void)snprintf(r->reason, sizeof r->reason, "%s%s", what,
                       measuring ? " while measuring" : "");
    else if (j->search && count_reached(j, &right, &ignored) == NM_OK)
        (void)snprintf(r->reason, sizeof r->reason,
                       "%s: the search stood at %lld of %lld points right, nothing was kept", what,
                       (long long)right, (long long)j->search->n_repair);
    else
        (void)snprintf(r->reason, sizeof r->reason, "%s", what);
}

/* Running out of time is an outcome, not a failure; what was found so far stays: a file that was
   written is a repair, whatever could not be measured any more. An interrupt is a failure only if
   nothing was written. */
nm_status nm_job_stop_early(struct nm_job *j, nm_status stop, nm_err *err)
{
    const char *what = stop == NM_E_LIMIT ? "time limit reached" : "interrupted";
    nm_repair_report *r = j->report;
    bool written = r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY;
    nm_status rc = NM_OK;

    *err = (nm_err){0};
    nm_ctx_grant(j->ctx, true);
    r->stopped = true;
    if (!written && j->elastic)
        rc = save_best(j, err);
    say_reached(j, what, written);
    nm_ctx_grant(j->ctx, false);
    written = r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY;
    if (rc == NM_OK && stop == NM_E_CANCELLED && !written)
        return nm_fail(err, NM_E_CANCELLED, "%s", r->reason);
    return rc;
}
