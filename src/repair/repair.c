/* The driver: data in, search, judge, file out, measurements. */
#include "netmend/repair.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/net_file.h"
#include "net/op.h"
#include "repair/certificate.h"
#include "repair/elastic.h"
#include "repair/judge_some.h"
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
    nm_twins twins;
    nm_elastic *elastic;  /* NULL: all points or none */
    bool *passes, *right; /* [repair->n] by `judged` */
    bool keeps;           /* keep points are right in the last candidate */
    double *checked;      /* [params->n] elastic: the change that repaired the most points so far */
    int64_t n_checked;    /* how many */
    bool off_path;        /* the candidate is not what the last program minimised */
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
static bool find_twins(const struct job *j, nm_conflict_report *c)
{
    for (int64_t p = 0; p < j->task->repair->n; p++) {
        int64_t twin = nm_twins_against(&j->twins, j->target, NULL, p);

        if (twin < 0 && j->twins.keep[p] < 0)
            continue;
        c->n_points = c->n_keep = 0;
        if (twin >= 0)
            c->points[c->n_points++] = twin;
        c->points[c->n_points++] = p;
        if (twin < 0)
            c->keep[c->n_keep++] = j->twins.keep[p];
        return true;
    }
    return false;
}

/* The conflict of an infeasible task stands in the list of conflicts, too. */
static nm_status copy_conflict(const nm_conflict_report *c, nm_repair_report *r, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&r->conflict, c->points, (size_t)c->n_points, sizeof *r->conflict, err));
    NM_TRY(nm_memdup(&r->conflict_keep, c->keep, (size_t)c->n_keep, sizeof *c->keep, err));
    r->n_conflict = c->n_points;
    r->n_conflict_keep = c->n_keep;
done:
    return rc;
}

static nm_status new_conflict(struct job *j, nm_conflict_kind kind, nm_err *err)
{
    nm_repair_report *r = j->report;
    nm_conflict_report *c = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&r->conflicts, 1, sizeof *r->conflicts, err));
    c = r->conflicts;
    r->n_conflicts = 1;
    c->kind = kind;
    NM_TRY(nm_alloc(&c->points, (size_t)j->task->repair->n, sizeof *c->points, err));
    NM_TRY(nm_alloc(&c->keep, (size_t)j->search->n_keep + 1, sizeof *c->keep, err));
done:
    return rc;
}

static nm_status report_twins(struct job *j, bool *found, nm_err *err)
{
    nm_repair_report *r = j->report;
    nm_conflict_report *c;
    int64_t a, b;
    nm_status rc = NM_OK;

    NM_TRY(new_conflict(j, NM_CONFLICT_TWINS, err));
    c = r->conflicts;
    *found = find_twins(j, c);
    if (!*found) {
        r->n_conflicts = 0;
        nm_free(c->points);
        nm_free(c->keep);
        goto done;
    }
    r->outcome = NM_INFEASIBLE;
    r->repairable_at_most = j->task->repair->n - 1;
    a = c->points[0];
    b = c->n_keep > 0 ? c->keep[0] : c->points[1];
    (void)snprintf(r->reason, sizeof r->reason,
                   "points %lld and %lld%s reach the edited layer as the same numbers but have "
                   "labels %lld and %lld",
                   (long long)a, (long long)b, c->n_keep > 0 ? " of the keep set" : "",
                   (long long)j->target[a],
                   (long long)(c->n_keep > 0 ? j->task->keep->labels[b] : j->target[b]));
    NM_TRY(copy_conflict(c, r, err));
    if (j->opts.certify && c->n_keep == 0)
        NM_TRY(nm_report_twins(a, b, r, err));
done:
    return rc;
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

/* Bounds move with the weights: a little more than the present one saves rounds. In deep nets,
   whose rigorous bounds hold second-order terms, they move more. */
static double margin_reserve(const nm_deploy *deploy, int64_t p)
{
    return deploy->rigorous[p] > 1.2 * deploy->first_order[p] ? 1.3 : 1.1;
}

/* With the function norm, points become right by some share of how sure the network usually is: the
   reference data see to it that this costs little, and points like them profit (MNIST in fog). */
static const double function_margin = 0.045;

/* The smallest margin that can pass: a little above what deployment may take away. */
static void set_first_margins(struct job *j)
{
    double asked =
        isnan(j->opts.margin) ? function_margin * j->search->typical_gap : j->opts.margin;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double bound = nm_deploy_bound(&j->original, j->opts.safe, p);

        /* Without a bound to exceed, the margin must still survive the rounding of the weights. */
        if (j->opts.safe == NM_SAFE_NONE && isnan(j->opts.margin))
            bound = j->original.probable[p];
        j->search->demand.margin[p] = fmax(asked, margin_reserve(&j->original, p) * bound);
    }
}

/* Asks more of every point that did not pass. @return whether all passed */
static bool raise_margins(struct job *j)
{
    bool all = true;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double *margin = &j->search->demand.margin[p];
        double bound = nm_deploy_bound(&j->judged, j->opts.safe, p);

        if (*margin == -INFINITY) /* left out */
            continue;
        if (nm_deploy_passes(&j->judged, j->opts.safe, p))
            continue;
        all = false;
        /* What rounding took away is given twice; bounds grow with the margins that exceed them. */
        *margin = fmax(*margin, 1.02 * bound) + 2 * fmax(*margin - j->judged.margin[p], 0) +
                  0.5 * fmax(bound - *margin, 0) + 1e-3 * bound;
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

/* A proof names its points; with keep points behind activations, whose pieces nothing holds, the
   program is not exact and proves nothing. */
static nm_status report_conflict(struct job *j, nm_err *err)
{
    nm_repair_report *r = j->report;
    const nm_search *s = j->search;
    nm_conflict_report *c;
    nm_status rc = NM_OK;

    NM_TRY(new_conflict(j, NM_CONFLICT_ROWS, err));
    c = r->conflicts;
    for (int64_t p = 0; s->conflict && p < s->n_repair; p++)
        if (s->conflict[p])
            c->points[c->n_points++] = p;
    for (int64_t p = 0; s->conflict && p < s->n_keep; p++)
        if (s->keep_slot[p] >= 0 && s->conflict[s->keep_slot[p]])
            c->keep[c->n_keep++] = p;
    if (c->n_points == 0 || (c->n_keep > 0 && !s->active->affine)) {
        r->n_conflicts = 0;
        nm_free(c->points);
        nm_free(c->keep);
        (void)snprintf(r->reason, sizeof r->reason,
                       "the program seems to have no solution, but there is no proof");
        goto done;
    }
    r->outcome = NM_INFEASIBLE;
    r->repairable_at_most = s->n_repair - 1;
    NM_TRY(copy_conflict(c, r, err));
done:
    return rc;
}

static nm_status search_once(struct job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_repair_report *r = j->report;
    double start = nm_now();
    nm_status rc = j->elastic ? nm_elastic_run(j->elastic, outcome, err)
                              : nm_search_run(j->search, outcome, err);

    r->s_solve += nm_now() - start;
    r->solver_rounds += j->search->rounds;
    r->linearisations += j->search->linearisations;
    if (rc != NM_OK)
        return rc;
    (void)snprintf(r->reason, sizeof r->reason, "%s", j->search->reason);
    return *outcome == NM_SEARCH_INFEASIBLE && !j->elastic ? report_conflict(j, err) : NM_OK;
}

/* The points that a candidate repairs. */
static int64_t count_repaired(struct job *j, const nm_deploy *judged)
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
static void note_candidate(struct job *j, const double *delta)
{
    int64_t n = j->keeps ? count_repaired(j, &j->judged) : 0;

    if (n <= j->n_checked)
        return;
    j->n_checked = n;
    memcpy(j->checked, delta, (size_t)j->params->n * sizeof *delta);
}

static nm_status make_candidate(struct job *j, const double *delta, nm_err *err)
{
    nm_status rc = NM_OK;

    nm_net_free(j->fixed);
    j->fixed = NULL;
    NM_TRY(nm_round_repair(j->net, j->plan, j->params, delta, j->rounded, &j->fixed, err));
    NM_TRY(judge_in_memory(j, j->fixed, &j->judged, err));
done:
    return rc;
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
        NM_TRY(make_candidate(j, j->search->delta, err));
        *passed = raise_margins(j);
        j->keeps = true;
        NM_TRY(raise_keep_margins(j, &j->keeps, err));
        *passed = *passed && j->keeps;
        if (j->elastic)
            note_candidate(j, j->search->delta);
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

/* Only the points that pass in memory have to pass in the file. */
static nm_status write_result(struct job *j, nm_err *err)
{
    double start = nm_now();
    nm_net *read_back = NULL;
    nm_status rc;

    if (!j->path)
        return NM_OK;
    nm_deploy_clear(&j->judged);
    rc = nm_write_judged(j->ctx, j->fixed, j->path, j->task->repair->x, j->target,
                         j->task->repair->n, j->passes, j->opts.safe, j->judge, first_edited_op(j),
                         &j->judged, &read_back, err);
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
    if (f->solver && !j->off_path && (r->outcome == NM_REPAIRED || r->outcome == NM_PARTLY)) {
        r->objective = f->objective;
        r->lower_bound = f->lower_bound;
        if (!isnan(f->objective)) /* sums of steps claim nothing */
            r->gap = fmax(f->objective - f->lower_bound, 0) / fmax(fabs(f->objective), 1e-300);
    }
    for (int64_t p = 0; p < j->search->n_repair; p++)
        r->margin = fmax(r->margin, j->search->demand.margin[p]);
    nm_measure_change(j->rounded, j->params->n, r);
    r->repair = nm_measure_judged(&j->original, &j->judged);
    NM_TRY(list_layers(j, err));
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

    if (j->report->stopped || j->off_path || j->report->outcome == NM_PARTLY ||
        (j->elastic && j->report->outcome == NM_INFEASIBLE)) /* those are there already */
        return NM_OK;
    if (j->report->outcome == NM_REPAIRED)
        rc = nm_search_certify_at(j->search, j->rounded, err);
    if (rc == NM_OK)
        rc = nm_report_certificate(j->search, j->report, err);
    j->report->s_certify = nm_now() - start;
    return rc;
}

/* What is known after an elastic search, whether or not it found something. */
static nm_status report_elastic(struct job *j, nm_err *err)
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
        rc = copy_conflict(&r->conflicts[0], r, err);
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
static nm_status choose_candidate(struct job *j, int64_t *repaired, nm_err *err)
{
    nm_status rc = NM_OK;

    *repaired = j->keeps && j->fixed ? count_repaired(j, &j->judged) : 0;
    if (*repaired >= j->n_checked)
        return NM_OK;
    NM_TRY(make_candidate(j, j->checked, err));
    j->off_path = true;
    *repaired = count_repaired(j, &j->judged);
done:
    return rc;
}

/* Writes the candidate if there is one: `fixed`, as judged in `judged`. */
static nm_status settle(struct job *j, nm_err *err)
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
        (void)count_repaired(j, &j->original);
        nm_deploy_clear(&j->judged);
        memset(j->rounded, 0, (size_t)j->params->n * sizeof *j->rounded);
    }
    NM_TRY(report_elastic(j, err));
    NM_TRY(fill_report(j, err));
    NM_TRY(certify(j, err));
done:
    return rc;
}

static nm_status open_elastic(struct job *j, nm_err *err)
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

/* No program says anything about points without numbers. */
static nm_status check_finite(const struct job *j, nm_err *err)
{
    const nm_search *s = j->search;
    int64_t n = j->net->values[j->net->scores].size;

    for (int64_t i = 0; i < s->n_repair * n; i++)
        if (!isfinite(s->original_scores[i]))
            return nm_fail(err, NM_E_FORMAT,
                           "repair set: the score of point %lld for class %lld is no finite "
                           "number, expected one",
                           (long long)(i / n), (long long)(i % n));
    for (int64_t p = 0; !j->elastic && p < s->n_repair; p++)
        if (!isfinite(nm_deploy_bound(&j->original, j->opts.safe, p)))
            return nm_fail(err, NM_E_FORMAT,
                           "repair set: point %lld has values that may overflow in float32, "
                           "expected smaller ones or less to be asked of it (safe none)",
                           (long long)p);
    return NM_OK;
}

static nm_status take_original(struct job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    j->keeps = true;
    NM_TRY(make_candidate(j, j->search->delta, err));
done:
    return rc;
}

static nm_status repair_or_explain(struct job *j, nm_err *err)
{
    nm_status rc = NM_OK;
    bool passed = false, twins = false;

    NM_TRY(open_search(j, err));
    NM_TRY(open_elastic(j, err));
    NM_TRY(judge_in_memory(j, j->net, &j->original, err));
    NM_TRY(check_finite(j, err));
    if (!j->elastic)
        NM_TRY(report_twins(j, &twins, err));
    if (twins)
        ;
    else if (passes_already(j))
        NM_TRY(take_original(j, err));
    else
        NM_TRY(repair_loop(j, &passed, err));
    NM_TRY(settle(j, err));
done:
    return rc;
}

static void close_job(struct job *j)
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
    nm_deploy_close(j->judge);
    nm_deploy_clear(&j->original);
    nm_deploy_clear(&j->judged);
}

/* -- stopped early --------------------------------------------------------------------------- */

static nm_status check_candidate(struct job *j, const double *delta, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; delta && i < j->params->n; i++)
        if (!(fabs(delta[i]) < 0x1p96)) /* steps that ran away */
            return NM_OK;
    if (!delta)
        return NM_OK;
    NM_TRY(make_candidate(j, delta, err));
    j->keeps = true;
    NM_TRY(raise_keep_margins(j, &j->keeps, err));
    note_candidate(j, delta);
done:
    return rc;
}

/* The changes that an elastic search leaves behind are judged, and the best is written if it is
   better than nothing. */
static nm_status save_best(struct job *j, nm_err *err)
{
    const nm_elastic *e = j->elastic;
    double *last = NULL;
    nm_status rc = NM_OK;

    j->keeps = false;
    if (j->original.n == 0)
        NM_TRY(judge_in_memory(j, j->net, &j->original, err));
    NM_TRY(nm_memdup(&last, j->search->delta, (size_t)j->params->n, sizeof *last, err));
    NM_TRY(check_candidate(j, e->n_best > 0 ? e->best : NULL, err));
    NM_TRY(check_candidate(j, j->search->closest, err));
    NM_TRY(check_candidate(j, last, err));
    if (j->n_checked <= count_repaired(j, &j->original))
        j->n_checked = 0;
    j->keeps = false; /* what counts is the best one */
    NM_TRY(settle(j, err));
done:
    nm_free(last);
    return rc;
}

/* How far the search had come, for the message. */
static nm_status count_reached(const struct job *j, int64_t *right, nm_err *err)
{
    const nm_search *s = j->search;
    int64_t n_scores = j->net->values[j->net->scores].size;
    double *scores = NULL;
    nm_status rc = NM_OK;

    *right = 0;
    NM_TRY(nm_alloc(&scores, (size_t)s->active->at->n, (size_t)n_scores * sizeof *scores, err));
    NM_TRY(nm_tail_scores(j->ctx, s->active, s->delta, scores, err));
    for (int64_t p = 0; p < s->n_repair; p++)
        *right += nm_smallest_gap(scores + p * n_scores, n_scores, j->target[p]) > 0;
done:
    nm_free(scores);
    return rc;
}

/* @param measuring  the file had been written when the end came */
static void say_reached(struct job *j, const char *what, bool measuring)
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
static nm_status stop_early(struct job *j, nm_status stop, nm_err *err)
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
    if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED)
        rc = stop_early(&j, rc, err);
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
    for (int64_t i = 0; i < report->n_conflicts; i++) {
        nm_free(report->conflicts[i].points);
        nm_free(report->conflicts[i].keep);
    }
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
