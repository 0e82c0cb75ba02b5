/* The driver of passes. Each pass is an ordinary repair of a few points from the last accepted
 * network; what counts at the end is measured on the whole repair set. */
#include "netmend/strategy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/rng.h"
#include "netmend/eval.h"
#include "problem/plan.h"
#include "repair/judge.h"
#include "repair/strategy_end.h"

struct passes {
    nm_ctx *ctx;
    const nm_net *net; /* original */
    const nm_plan *plan;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const nm_strategy_opts *how;
    const int64_t *target;
    nm_strategy_report *out;
    nm_net *current, *best; /* NULL: the original */
    nm_standing original, at, best_at;
    int64_t *order; /* [n] of the repair points in this round */
    bool *asked;    /* [n] to be repaired in this pass */
    bool *fixed;    /* [n] right since a pass repaired them */
    int64_t next;
    int pass, idle; /* passes so far, and since the best one */
    bool undone;    /* the last pass lost too much */
};

/* -- batches ----------------------------------------------------------------------------------- */

static void shuffle(struct passes *s, uint64_t round)
{
    nm_rng rng = {.seed = s->how->seed, .stream = 0x57a7 + round};
    int64_t n = s->task->repair->n;

    for (int64_t i = 0; i < n; i++)
        s->order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)nm_rng_below(&rng, (uint64_t)i + 1), kept = s->order[i];

        s->order[i] = s->order[j];
        s->order[j] = kept;
    }
}

/* The next batch; a new round begins where all points had their turn. */
static const int64_t *next_batch(struct passes *s, int64_t *n)
{
    int64_t all = s->task->repair->n, left;

    if (s->next >= all) {
        s->next = 0;
        shuffle(s, (uint64_t)s->pass);
    }
    left = all - s->next;
    *n = s->how->batch < left ? s->how->batch : left;
    s->next += *n;
    return s->order + s->next - *n;
}

static int passes_asked(const struct passes *s)
{
    int64_t all = s->task->repair->n;

    return s->how->passes > 0 ? s->how->passes : (int)((all + s->how->batch - 1) / s->how->batch);
}

/* -- the task of one pass ---------------------------------------------------------------------- */

/* Which points a pass is to repair: the batch and, accumulated, what earlier passes repaired, so
   that it stays right and safe. @return how many */
static int64_t list_asked(struct passes *s, const int64_t *batch, int64_t n, int64_t *list)
{
    int64_t all = s->task->repair->n, m = n;

    memset(s->asked, 0, (size_t)all * sizeof *s->asked);
    for (int64_t i = 0; i < n; i++) {
        s->asked[batch[i]] = true;
        list[i] = batch[i];
    }
    for (int64_t p = 0; s->how->strategy == NM_STRATEGY_ACCUMULATED && p < all; p++)
        if (s->fixed[p] && !s->asked[p]) {
            s->asked[p] = true;
            list[m++] = p;
        }
    return m;
}

/* Accumulated: repair points that are right by themselves join the keep points. */
static nm_status make_keep(const struct passes *s, nm_points *out, nm_err *err)
{
    const nm_points *set = s->task->repair, *keep = s->task->keep;
    int64_t n_in = set->n_in, n_keep = keep ? keep->n : 0, m = n_keep;
    float *x = NULL;
    int64_t *labels = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, (size_t)(n_keep + set->n), (size_t)n_in * sizeof *x, err));
    NM_TRY(nm_alloc(&labels, (size_t)(n_keep + set->n), sizeof *labels, err));
    for (int64_t i = 0; i < n_keep; i++)
        labels[i] = keep->labels[i];
    if (n_keep > 0)
        memcpy(x, keep->x, (size_t)(n_keep * n_in) * sizeof *x);
    for (int64_t p = 0; p < set->n; p++) {
        if (!s->at.right[p] || s->asked[p])
            continue;
        memcpy(x + m * n_in, set->x + p * n_in, (size_t)n_in * sizeof *x);
        labels[m++] = s->target[p];
    }
    if (m > 0)
        NM_TRY(nm_points_from_arrays(x, m, n_in, labels, out, err));
done:
    nm_free(x);
    nm_free(labels);
    return rc;
}

static nm_status make_repair(struct passes *s, const int64_t *batch, int64_t n, nm_points *out,
                             nm_err *err)
{
    int64_t *list = NULL, m;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&list, (size_t)s->task->repair->n, sizeof *list, err));
    m = list_asked(s, batch, n, list);
    NM_TRY(nm_points_subset(s->task->repair, list, m, out, err));
    if (!out->labels)
        NM_TRY(nm_alloc(&out->labels, (size_t)m, sizeof *out->labels, err));
    for (int64_t i = 0; i < m; i++)
        out->labels[i] = s->target[list[i]];
done:
    nm_free(list);
    return rc;
}

/* One repair from the present network. */
static nm_status repair_batch(struct passes *s, const int64_t *batch, int64_t n, bool elastic,
                              nm_net **fixed, nm_repair_report *report, nm_err *err)
{
    const nm_net *from = s->current ? s->current : s->net;
    const nm_repair_task *t = s->task;
    nm_repair_opts opts = *s->opts;
    nm_repair_task task = {0};
    nm_points points = {0}, keep = {0}, all = *t->repair;
    nm_plan *plan = NULL;
    nm_status rc = NM_OK;

    all.labels = NULL; /* as in a single repair: what is asked may be something else */
    opts.elastic = elastic;
    opts.certify = false;
    NM_TRY(nm_plan_move(s->plan, from, s->how->bounds_from_pass ? NULL : s->net, &plan, err));
    NM_TRY(make_repair(s, batch, n, &points, err));
    task.repair = &points;
    task.keep = t->keep;
    task.reference = t->reference ? t->reference : t->keep ? t->keep : &all;
    if (s->how->strategy == NM_STRATEGY_ACCUMULATED) {
        NM_TRY(make_keep(s, &keep, err));
        task.keep = keep.n > 0 ? &keep : NULL;
    }
    NM_TRY(nm_repair(s->ctx, from, plan, &task, &opts, NULL, fixed, report, err));
done:
    nm_points_free(&points);
    nm_points_free(&keep);
    nm_plan_free(plan);
    return rc;
}

/* -- accepting --------------------------------------------------------------------------------- */

static nm_status new_entry(struct passes *s, nm_pass_report **out, nm_err *err)
{
    nm_strategy_report *r = s->out;
    nm_status rc = NM_OK;

    if (r->n_passes == r->room) {
        rc = nm_realloc(&r->passes, (size_t)(2 * r->room + 16), sizeof *r->passes, err);
        if (rc != NM_OK)
            return rc;
        r->room = 2 * r->room + 16;
    }
    *out = &r->passes[r->n_passes++];
    **out = (nm_pass_report){.pass = s->pass, .drawdown_points = NAN, .accuracy = NAN};
    return NM_OK;
}

static void fill_standing(nm_pass_report *entry, const nm_standing *at, const nm_standing *original)
{
    entry->set_right = at->n_right;
    entry->keep_right = at->keep_right;
    entry->accuracy = at->accuracy;
    entry->drawdown_points = nm_standing_drawdown(original, at);
}

/* Points of accuracy lost where passes are judged or, if that is more, on the test set: the limit
 * is a promise about what the report measures. Which network is best is decided without the test
 * set. */
static double most_lost(const struct passes *s, const nm_pass_report *entry, const char **where)
{
    double test = 100 * (s->original.accuracy - entry->accuracy);

    *where = test > entry->drawdown_points ? " on the test set" : "";
    return fmax(entry->drawdown_points, test);
}

/* The network goes on from `fixed` (taken over), unless it lost too much. */
static nm_status consider(struct passes *s, nm_net *fixed, nm_pass_report *entry, nm_err *err)
{
    nm_standing now = {0};
    const char *where;
    double lost;
    nm_status rc = nm_standing_of(s->ctx, fixed, s->task, s->target, &now, err);

    if (rc != NM_OK) {
        nm_net_free(fixed);
        return rc;
    }
    fill_standing(entry, &now, &s->original);
    lost = most_lost(s, entry, &where);
    if (lost > s->how->max_drawdown) {
        s->undone = true;
        (void)snprintf(entry->reason, sizeof entry->reason,
                       "undone: %.2f points lost%s, more than %.2f", lost, where,
                       s->how->max_drawdown);
        nm_net_free(fixed);
        nm_standing_clear(&now);
        return NM_OK;
    }
    entry->accepted = true;
    if (s->current != s->best)
        nm_net_free(s->current);
    s->current = fixed;
    nm_standing_clear(&s->at);
    s->at = now;
    for (int64_t p = 0; p < s->task->repair->n; p++)
        s->fixed[p] = s->at.right[p] && (s->asked[p] || s->fixed[p]);
    if (nm_standing_is_better(&s->at, &s->best_at)) {
        if (s->best != s->current)
            nm_net_free(s->best);
        s->best = s->current;
        s->idle = -1;
        s->out->best = s->out->n_passes - 1;
        s->best_at.n_right = s->at.n_right;
        s->best_at.judged = s->at.judged;
    }
    return NM_OK;
}

static nm_status run_batch(struct passes *s, const int64_t *batch, int64_t n, nm_err *err);

/* What is done with a batch that has no repair. */
static nm_status fall_back(struct passes *s, const int64_t *batch, int64_t n, nm_err *err)
{
    nm_status rc;

    if (s->how->on_infeasible != NM_INFEASIBLE_SPLIT || n < 2)
        return NM_OK;
    rc = run_batch(s, batch, n / 2, err);
    return rc == NM_OK ? run_batch(s, batch + n / 2, n - n / 2, err) : rc;
}

static nm_status run_batch(struct passes *s, const int64_t *batch, int64_t n, nm_err *err)
{
    double start = nm_now();
    nm_repair_report report;
    nm_pass_report *entry;
    nm_net *fixed = NULL;
    bool elastic = s->opts->elastic || s->how->on_infeasible == NM_INFEASIBLE_ELASTIC;
    nm_status rc = repair_batch(s, batch, n, elastic, &fixed, &report, err);

    if (rc != NM_OK)
        return rc;
    rc = new_entry(s, &entry, err);
    if (rc == NM_OK) {
        entry->n_batch = n;
        entry->outcome = report.outcome;
        entry->objective = report.objective;
        entry->change_l2 = report.change_l2;
        (void)snprintf(entry->reason, sizeof entry->reason, "%.150s", report.reason);
        fill_standing(entry, &s->at, &s->original);
    }
    nm_repair_report_free(&report);
    if (rc == NM_OK && fixed)
        rc = consider(s, fixed, entry, err);
    else if (rc == NM_OK)
        rc = fall_back(s, batch, n, err);
    if (rc == NM_OK)
        s->out->passes[s->out->n_passes - 1].seconds = nm_now() - start;
    return rc;
}

/* -- the loop ---------------------------------------------------------------------------------- */

static const char *why_stop(const struct passes *s)
{
    if (s->at.n_right == s->task->repair->n)
        return "all points right";
    if (s->undone && s->how->patience == 0)
        return "drawdown";
    if (s->how->patience > 0 && s->idle >= s->how->patience)
        return "patience";
    return s->pass >= passes_asked(s) ? "passes" : NULL;
}

static nm_status run_passes(struct passes *s, nm_err *err)
{
    nm_status rc = NM_OK;

    shuffle(s, 0);
    while (rc == NM_OK && (s->pass == 0 || !(s->out->stopped = why_stop(s)))) {
        int64_t n;
        const int64_t *batch = next_batch(s, &n);

        s->pass++;
        s->undone = false;
        rc = run_batch(s, batch, n, err);
        s->idle++;
        nm_progress(s->ctx, "passes", s->pass, passes_asked(s), s->at.accuracy);
        if (rc == NM_OK)
            rc = nm_ctx_check(s->ctx, err);
    }
    return rc;
}

static nm_status is_safe(const struct passes *s, bool *safe, nm_err *err)
{
    const nm_points *set = s->task->repair;
    nm_deploy judged = {0};
    nm_status rc = nm_deploy_check(s->ctx, s->best, set->x, s->target, set->n, true, &judged, err);

    *safe = rc == NM_OK;
    for (int64_t p = 0; rc == NM_OK && p < set->n; p++)
        *safe = *safe && nm_deploy_passes(&judged, s->opts->safe, p);
    nm_deploy_clear(&judged);
    return rc;
}

/* What later passes kept right need not be as safe as asked: then one last pass over all points,
   which is near where it must go. */
static nm_status make_safe(struct passes *s, nm_err *err)
{
    int64_t all = s->task->repair->n;
    nm_standing seen = s->best_at;
    bool safe = true;
    nm_status rc = NM_OK;

    if (!s->best || s->best_at.n_right < all || s->current != s->best)
        return NM_OK;
    NM_TRY(is_safe(s, &safe, err));
    if (safe)
        return NM_OK;
    shuffle(s, 0);
    s->pass++;
    s->best_at.n_right = -1; /* safe is better than right */
    rc = run_batch(s, s->order, all, err);
    if (s->best_at.n_right < 0)
        s->best_at = seen;
done:
    return rc;
}

static nm_status check_how(const nm_strategy_opts *how, nm_err *err)
{
    if (how->batch < 1 || how->passes < 0 || how->patience < 0 || !(how->max_drawdown >= 0))
        return nm_fail(
            err, NM_E_ARG,
            "strategy: batch %lld, passes %d, patience %d, drawdown %g; expected a batch "
            "of 1 or more, nothing below 0",
            (long long)how->batch, how->passes, how->patience, how->max_drawdown);
    return NM_OK;
}

static nm_status open_and_run(struct passes *s, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&s->order, (size_t)s->task->repair->n, sizeof *s->order, err));
    NM_TRY(nm_alloc(&s->asked, (size_t)s->task->repair->n, sizeof *s->asked, err));
    NM_TRY(nm_alloc(&s->fixed, (size_t)s->task->repair->n, sizeof *s->fixed, err));
    NM_TRY(nm_standing_of(s->ctx, s->net, s->task, s->target, &s->original, err));
    NM_TRY(nm_standing_of(s->ctx, s->net, s->task, s->target, &s->at, err));
    s->best_at.n_right = s->original.n_right;
    s->best_at.judged = s->original.judged;
    (void)nm_strategy_judge(s->task, &s->out->judged_on);
    NM_TRY(run_passes(s, err));
    NM_TRY(make_safe(s, err));
done:
    return rc;
}

/* A limit ends the passes; what was accepted before stays. */
static nm_status run_all(struct passes *s, const char *path, nm_net **fixed,
                         nm_repair_report *report, nm_err *err)
{
    nm_end end = {.ctx = s->ctx,
                  .net = s->net,
                  .plan = s->plan,
                  .task = s->task,
                  .opts = s->opts,
                  .target = s->target};
    nm_status rc = open_and_run(s, err);

    if (rc == NM_E_LIMIT || (rc == NM_E_CANCELLED && s->best)) {
        s->out->stopped = rc == NM_E_LIMIT ? "limit" : "interrupted";
        *err = (nm_err){0};
        rc = NM_OK;
    }
    if (rc != NM_OK)
        return rc;
    if (s->out->best >= 0)
        s->out->passes[s->out->best].best = true;
    nm_ctx_grant(s->ctx, true);
    rc = nm_strategy_finish(&end, s->best, s->out, path, fixed, report, err);
    nm_ctx_grant(s->ctx, false);
    return rc;
}

nm_status nm_strategy_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                          const nm_repair_task *task, const nm_repair_opts *opts,
                          const nm_strategy_opts *how, const char *path, nm_net **fixed,
                          nm_repair_report *report, nm_strategy_report *out, nm_err *err)
{
    struct passes s = {.ctx = ctx,
                       .net = net,
                       .plan = plan,
                       .task = task,
                       .opts = opts,
                       .how = how,
                       .target = task->targets ? task->targets : task->repair->labels,
                       .out = out};
    nm_status rc;

    *out = (nm_strategy_report){.best = -1, .stopped = "", .judged_on = ""};
    *report = (nm_repair_report){0};
    if (fixed)
        *fixed = NULL;
    rc = check_how(how, err);
    if (rc != NM_OK)
        return rc;
    if (how->strategy == NM_STRATEGY_FULL)
        return nm_repair(ctx, net, plan, task, opts, path, fixed, report, err);
    if (!s.target)
        return nm_fail(err, NM_E_SHAPE, "the repair set has no labels, expected one per point");
    rc = run_all(&s, path, fixed, report, err);
    if (s.current != s.best)
        nm_net_free(s.current);
    nm_net_free(s.best);
    nm_standing_clear(&s.original);
    nm_standing_clear(&s.at);
    nm_free(s.order);
    nm_free(s.asked);
    nm_free(s.fixed);
    if (rc != NM_OK) {
        nm_strategy_report_free(out);
        nm_repair_report_free(report);
    }
    return rc;
}

void nm_strategy_report_free(nm_strategy_report *report)
{
    nm_free(report->passes);
    *report = (nm_strategy_report){0};
}
