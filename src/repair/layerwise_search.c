#include "repair/layerwise_search.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>

/* -- candidates --------------------------------------------------------------------------- */

static bool is_better(const nm_lw_best *a, const nm_lw_best *b)
{
    if (!b->any || a->holds != b->holds)
        return !b->any || a->holds;
    return a->holds ? a->norm < b->norm : a->loss < b->loss;
}

nm_status nm_lw_rate(nm_lw_search *s, const nm_lw_goal *goal, nm_lw_best *now, nm_err *err)
{
    const double negligible = 1e-18;
    nm_lw *lw = s->lw;
    double size = 0;
    bool reachable;
    nm_status rc = NM_OK;

    *now = (nm_lw_best){.any = true, .norm = nm_lw_norm(lw)};
    lw->report->tried++;
    NM_TRY(nm_lw_aim(lw, goal, &reachable, err));
    for (int64_t p = 0; p < lw->n; p++)
        now->loss += nm_lw_loss(lw, goal, p);
    if (goal->wish) {
        int64_t n = lw->n * lw->net->values[goal->value].size;

        size = cblas_dnrm2((int)n, goal->wish, 1);
        now->holds = now->loss <= negligible * (1 + size * size);
    } else {
        int64_t missed = nm_lw_missed(lw);

        now->holds = missed == 0;
        s->least_missed = missed < s->least_missed ? missed : s->least_missed;
    }
    now->holds = now->holds && isfinite(now->norm);
    if (!isfinite(now->loss))
        now->loss = INFINITY;
done:
    return rc;
}

static nm_status keep(nm_lw_search *s, const nm_lw_best *now, nm_lw_best *best, nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_changes room = best->changes;
    nm_status rc = NM_OK;

    if (!room.weights)
        NM_TRY(nm_changes_new(lw->base, &room, err));
    *best = *now;
    best->changes = room;
    NM_TRY(nm_changes_copy(lw->base, &lw->now, 0, lw->base->n_layers - 1, &best->changes, err));
done:
    return rc;
}

nm_status nm_lw_consider(nm_lw_search *s, const nm_lw_goal *goal, nm_lw_best *best, nm_lw_best *now,
                         nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_rate(s, goal, now, err));
    if (is_better(now, best))
        NM_TRY(keep(s, now, best, err));
    if (!goal->wish && now->holds && is_better(now, &s->found))
        NM_TRY(keep(s, now, &s->found, err));
done:
    return rc;
}

nm_status nm_lw_shorten(nm_lw_search *s, nm_err *err)
{
    enum { HALVINGS = 10 };
    nm_lw *lw = s->lw;
    nm_lw_goal whole = nm_lw_whole(lw);
    int last = lw->edits->n - 1;
    double lo = 0, hi = 1;
    nm_changes full = {0}, part = {0};
    nm_lw_best now, ignored = {.any = true, .holds = true};
    nm_status rc = NM_OK;

    NM_TRY(nm_changes_new(lw->base, &full, err));
    NM_TRY(nm_changes_new(lw->base, &part, err));
    NM_TRY(nm_changes_copy(lw->base, &s->found.changes, 0, full.n_layers - 1, &full, err));
    for (int i = 0; i < HALVINGS; i++) {
        double share = 0.5 * (lo + hi);

        NM_TRY(nm_changes_copy(lw->base, &full, 0, full.n_layers - 1, &part, err));
        nm_changes_scale(lw->base, &part, share);
        NM_TRY(nm_lw_set(lw, &part, 0, last, lw->net->scores, err));
        NM_TRY(nm_lw_consider(s, &whole, &ignored, &now, err));
        *(now.holds ? &hi : &lo) = share;
    }
done:
    nm_changes_clear(&full);
    nm_changes_clear(&part);
    return rc;
}

/* -- all together ------------------------------------------------------------------------- */

static nm_status look_from_here(nm_lw_search *s, nm_lw_look look, void *user, nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_goal whole = nm_lw_whole(lw);
    nm_lw_best start = {0}, now;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_aim(lw, &whole, &reachable, err));
    if (!reachable) {
        (void)snprintf(lw->report->reason, sizeof lw->report->reason,
                       "what is asked of some point is empty: no outputs satisfy it");
        goto done;
    }
    NM_TRY(nm_lw_consider(s, &whole, &start, &now, err));
    if (now.holds)
        goto done;
    NM_TRY(look(s, &whole, &start, user, err));
    if (s->found.any)
        NM_TRY(nm_lw_shorten(s, err));
done:
    nm_changes_clear(&start.changes);
    return rc;
}

static void fill_report(const nm_lw_search *s, nm_layerwise_report *report)
{
    report->found = s->found.any;
    report->norm = s->found.any ? s->found.norm : INFINITY;
    report->missed = s->found.any ? 0 : s->least_missed;
    if (!report->found && !report->reason[0])
        (void)snprintf(report->reason, sizeof report->reason,
                       "%s; the nearest approach missed %lld of %lld points",
                       report->stopped ? "stopped before a change was found"
                                       : "no change was found, which proves nothing",
                       (long long)report->missed, (long long)s->lw->n);
}

nm_status nm_lw_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                    const nm_union *goal, const nm_layerwise_opts *opts, nm_lw_look look,
                    void *user, nm_changes *out, nm_layerwise_report *report, nm_err *err)
{
    nm_lw_search s = {.least_missed = n};
    nm_status rc = NM_OK;

    *out = (nm_changes){0};
    *report = (nm_layerwise_report){.norm = INFINITY, .missed = n};
    if (opts->norm == NM_NORM_FUNCTION)
        return nm_fail(err, NM_E_ARG, "norm function, expected linf, l1, l2 or linf+l1n");
    NM_TRY(nm_lw_open(ctx, net, plan, x, n, goal, opts, report, &s.lw, err));
    rc = look_from_here(&s, look, user, err);
    if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED) {
        report->stopped = true;
        report->cancelled = rc == NM_E_CANCELLED;
        *err = (nm_err){0};
        rc = NM_OK;
    }
    if (rc == NM_OK)
        fill_report(&s, report);
    if (rc == NM_OK && s.found.any) {
        *out = s.found.changes;
        s.found.changes = (nm_changes){0};
    }
done:
    nm_changes_clear(&s.found.changes);
    nm_lw_close(s.lw);
    return rc;
}
