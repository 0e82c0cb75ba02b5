#include "repair/layerwise.h"

#include <cblas.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"
#include "repair/layerwise_solve.h"

/* Shares of the step that would reach the goal if the network were linear, in the order tried. */
static const double steps[] = {1, 0.5, 0.75, 0.25, 1.5, 0.125};
enum { N_STEPS = sizeof steps / sizeof *steps };

/* The best that a range of layers has come to. */
typedef struct best_so_far {
    bool any, holds;
    double loss, norm;
    nm_changes changes;
} best_so_far;

/* What the whole search has found. */
typedef struct search {
    nm_lw *lw;
    best_so_far found; /* holds, if any */
    int64_t least_missed;
} search;

static nm_status repair(search *s, int lo, int hi, const nm_lw_goal *goal, int depth, nm_err *err);

/* -- trace -------------------------------------------------------------------------------- */

static void trace(const nm_lw *lw, const char *format, ...) NM_PRINTF(2, 3);

static void trace(const nm_lw *lw, const char *format, ...)
{
    char line[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(line, sizeof line, format, args);
    va_end(args);
    nm_log(lw->ctx, lw->level <= 1 ? NM_LOG_INFO : NM_LOG_DEBUG, "layerwise: %*s%s", 2 * lw->level,
           "", line);
}

/* -- candidates --------------------------------------------------------------------------- */

static bool is_better(const best_so_far *a, const best_so_far *b)
{
    if (!b->any || a->holds != b->holds)
        return !b->any || a->holds;
    return a->holds ? a->norm < b->norm : a->loss < b->loss;
}

/* The present changes, as an answer to the goal. */
static nm_status rate(search *s, const nm_lw_goal *goal, best_so_far *now, nm_err *err)
{
    const double negligible = 1e-18;
    nm_lw *lw = s->lw;
    double size = 0;
    bool reachable;
    nm_status rc = NM_OK;

    *now = (best_so_far){.any = true, .norm = nm_lw_norm(lw)};
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

static nm_status keep(search *s, const best_so_far *now, best_so_far *best, nm_err *err)
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

/* Compares the present changes with the best of the range, and if they are a repair with the best
   repair of all. */
static nm_status consider(search *s, const nm_lw_goal *goal, best_so_far *best, best_so_far *now,
                          nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(rate(s, goal, now, err));
    if (is_better(now, best))
        NM_TRY(keep(s, now, best, err));
    if (!goal->wish && now->holds && is_better(now, &s->found))
        NM_TRY(keep(s, now, &s->found, err));
done:
    return rc;
}

/* -- gradients as wishes ------------------------------------------------------------------ */

/* A place where the range can be cut: behind edit b. */
typedef struct cut {
    int b;
    double need;  /* size of the change that the whole step would need there */
    double *z;    /* [n x size] values ... */
    double *step; /* ... and what takes them to the goal, to first order */
} cut;

/* The change per unit of output that inputs like these allow, by the norm of the repair. */
static double leverage(const nm_lw *lw, int b, int64_t p)
{
    const nm_edit *e = &lw->edits->at[b];
    int v = lw->net->ops[e->op].in[0];
    int64_t size = lw->net->values[v].size;
    const double *a = lw->at->val[v] + p * size;
    double share = e->weight >= 0 ? (double)e->form.n_in / (double)size : 0;
    double bias = e->bias >= 0 ? 1 : 0;

    if (lw->opts.norm == NM_NORM_L2)
        return sqrt(share * cblas_ddot((int)size, a, 1, a, 1) + bias);
    if (lw->opts.norm == NM_NORM_L1)
        return fmax(e->weight >= 0 ? fabs(a[cblas_idamax((int)size, a, 1)]) : 0, bias);
    return share * cblas_dasum((int)size, a, 1) + bias;
}

static double needed(const nm_lw *lw, int b, int64_t p, const double *step, int64_t size)
{
    double by = leverage(lw, b, p), largest = fabs(step[cblas_idamax((int)size, step, 1)]);

    if (by == 0)
        return INFINITY;
    if (lw->opts.norm == NM_NORM_L2)
        return cblas_dnrm2((int)size, step, 1) / by;
    return (lw->opts.norm == NM_NORM_L1 ? cblas_dasum((int)size, step, 1) : largest) / by;
}

/* alpha of point p: along the gradient G of the loss L = |e|^2, e shrinks by |G|^2 alpha / (2 |e|)
   to first order, so that alpha = 2 L / |G|^2 would bring it to 0 if e pointed along the change. */
static nm_status make_cut(const nm_lw *lw, const nm_lw_goal *goal, int b, cut *c, nm_err *err)
{
    int out = nm_lw_out(lw, b);
    int64_t size = lw->net->values[out].size;
    size_t all = (size_t)(lw->n * size);
    nm_status rc = NM_OK;

    *c = (cut){.b = b};
    NM_TRY(nm_memdup(&c->z, lw->at->val[out], all, sizeof *c->z, err));
    NM_TRY(nm_memdup(&c->step, lw->adjoint->val[out], all, sizeof *c->step, err));
    for (int64_t p = 0; p < lw->n; p++) {
        double *step = c->step + p * size, loss = nm_lw_loss(lw, goal, p);
        double squares = cblas_ddot((int)size, step, 1, step, 1);
        double alpha = squares > 0 ? 2 * loss / squares : 0;

        if (loss > 0 && !(squares > 0))
            c->need = INFINITY; /* nothing here moves this point */
        for (int64_t k = 0; k < size; k++)
            step[k] *= -alpha;
        if (alpha > 0)
            c->need = fmax(c->need, needed(lw, b, p, step, size));
    }
done:
    return rc;
}

static void free_cuts(cut *cuts, int n)
{
    for (int i = 0; i < n; i++) {
        nm_free(cuts[i].z);
        nm_free(cuts[i].step);
    }
    nm_free(cuts);
}

/* The cuts of a range, least needed change first, at most `breadth` of them. */
static nm_status list_cuts(nm_lw *lw, const nm_lw_goal *goal, int lo, int hi, cut **out, int *n,
                           nm_err *err)
{
    cut *cuts = NULL;
    int most = lw->opts.breadth;
    nm_status rc = NM_OK;

    *n = 0;
    NM_TRY(nm_lw_gradients(lw, goal, lo, err));
    NM_TRY(nm_alloc(&cuts, (size_t)most + 1, sizeof *cuts, err));
    for (int b = lo; b < hi || (b == hi && nm_lw_out(lw, hi) != goal->value); b++) {
        cut c;
        int at = *n;

        rc = make_cut(lw, goal, b, &c, err);
        for (; at > 0 && cuts[at - 1].need > c.need; at--)
            cuts[at] = cuts[at - 1];
        cuts[at] = c;
        *n = *n < most ? *n + 1 : most;
        if (*n == most) {
            nm_free(cuts[most].z);
            nm_free(cuts[most].step);
            cuts[most] = (cut){0};
        }
        if (rc != NM_OK)
            goto done;
    }
    while (*n > 0 && !isfinite(cuts[*n - 1].need)) {
        --*n;
        nm_free(cuts[*n].z);
        nm_free(cuts[*n].step);
        cuts[*n] = (cut){0};
    }
done:
    if (rc != NM_OK)
        free_cuts(cuts, cuts ? most + 1 : 0);
    *out = rc == NM_OK ? cuts : NULL;
    return rc;
}

static nm_status wish_of(const nm_lw *lw, const cut *c, double share, double **out, nm_err *err)
{
    int64_t n = lw->n * lw->net->values[nm_lw_out(lw, c->b)].size;
    nm_status rc = nm_memdup(out, c->z, (size_t)n, sizeof **out, err);

    if (rc == NM_OK)
        cblas_daxpy((int)n, share, c->step, 1, *out, 1);
    return rc;
}

/* -- one layer ---------------------------------------------------------------------------- */

/* A layer with more of the network behind it: a few steps along the gradient, each solved for the
   whole change. */
static nm_status last_layer_by_steps(search *s, int b, const nm_lw_goal *goal, nm_err *err)
{
    enum { MOST = 6 };
    nm_lw *lw = s->lw;
    best_so_far now;
    cut c = {0};
    double *wish = NULL;
    nm_status rc = NM_OK;

    for (int i = 0; i < MOST; i++) {
        NM_TRY(nm_lw_gradients(lw, goal, b, err));
        NM_TRY(make_cut(lw, goal, b, &c, err));
        NM_TRY(wish_of(lw, &c, 1 + 0.1 * i, &wish, err));
        NM_TRY(nm_lw_solve_wish(lw, b, wish, goal->value, err));
        NM_TRY(rate(s, goal, &now, err));
        if (now.holds || !isfinite(now.loss))
            break;
        nm_free(wish);
        nm_free(c.z);
        nm_free(c.step);
        wish = NULL;
        c = (cut){0};
    }
done:
    nm_free(wish);
    nm_free(c.z);
    nm_free(c.step);
    return rc;
}

/* All that is left is edit b. After nm_lw_aim(). */
static nm_status last_layer(search *s, int b, const nm_lw_goal *goal, nm_err *err)
{
    nm_lw *lw = s->lw;
    double *wish = NULL;
    bool done = false;
    nm_status rc = NM_OK;

    if (goal->wish)
        return nm_lw_solve_wish(lw, b, goal->wish, goal->value, err);
    if (nm_lw_out(lw, b) != goal->value)
        return last_layer_by_steps(s, b, goal, err);
    NM_TRY(nm_memdup(&wish, lw->near, (size_t)(lw->n * lw->n_scores), sizeof *wish, err));
    NM_TRY(nm_lw_solve_scores(lw, b, &done, err));
    if (!done)
        NM_TRY(nm_lw_solve_wish(lw, b, wish, goal->value, err));
done:
    nm_free(wish);
    return rc;
}

/* -- a range of layers -------------------------------------------------------------------- */

/* One candidate: the part before the cut by a share of the step, the part after by what is left. */
static nm_status try_cut(search *s, int lo, int hi, const nm_lw_goal *goal, const cut *c,
                         double share, int depth, const nm_changes *entry, best_so_far *best,
                         double *norm, nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_goal before = {.value = nm_lw_out(lw, c->b), .below_is_below = lw->below[c->b]};
    double *wish = NULL;
    best_so_far now;
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_set(lw, entry, lo, hi, goal->value, err));
    NM_TRY(wish_of(lw, c, share, &wish, err));
    before.wish = wish;
    lw->level++;
    rc = repair(s, lo, c->b, &before, depth - 1, err);
    if (rc == NM_OK)
        rc = nm_lw_forward(lw, c->b, goal->value, err);
    if (rc == NM_OK && c->b < hi)
        rc = repair(s, c->b + 1, hi, goal, depth - 1, err);
    lw->level--;
    NM_TRY(rc);
    NM_TRY(consider(s, goal, best, &now, err));
    *norm = now.holds ? now.norm : INFINITY;
    trace(lw, "cut behind layer %d, step %.4g: change %.4g, %s", lw->edits->at[c->b].layer, share,
          now.norm, now.holds ? "holds" : "misses");
done:
    nm_free(wish);
    return rc;
}

/* All shares of a step at one cut; outermost, a few more around the best. */
static nm_status try_steps(search *s, int lo, int hi, const nm_lw_goal *goal, const cut *c,
                           int depth, const nm_changes *entry, best_so_far *best, nm_err *err)
{
    double least = INFINITY, at = 1, norm;
    nm_status rc = NM_OK;

    for (int i = 0; i < N_STEPS; i++) {
        NM_TRY(try_cut(s, lo, hi, goal, c, steps[i], depth, entry, best, &norm, err));
        if (norm < least) {
            least = norm;
            at = steps[i];
        }
    }
    for (double ratio = 1.25; s->lw->level == 0 && isfinite(least) && ratio > 1.02;
         ratio = sqrt(ratio)) {
        double middle = at;

        for (int side = 0; side < 2; side++) {
            double share = side == 0 ? middle * ratio : middle / ratio;

            NM_TRY(try_cut(s, lo, hi, goal, c, share, depth, entry, best, &norm, err));
            if (norm < least) {
                least = norm;
                at = share;
            }
        }
    }
done:
    return rc;
}

static nm_status repair_by_cuts(search *s, int lo, int hi, const nm_lw_goal *goal, int depth,
                                nm_err *err)
{
    nm_lw *lw = s->lw;
    best_so_far best = {0}, now;
    nm_changes entry = {0};
    cut *cuts = NULL;
    int n_cuts = 0;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_changes_new(lw->base, &entry, err));
    NM_TRY(nm_changes_copy(lw->base, &lw->now, 0, lw->base->n_layers - 1, &entry, err));
    NM_TRY(list_cuts(lw, goal, lo, hi, &cuts, &n_cuts, err));
    NM_TRY(last_layer(s, hi, goal, err));
    NM_TRY(consider(s, goal, &best, &now, err));
    trace(lw, "layer %d alone: change %.4g, %s", lw->edits->at[hi].layer, now.norm,
          now.holds ? "holds" : "misses");
    for (int i = 0; i < n_cuts; i++)
        NM_TRY(try_steps(s, lo, hi, goal, &cuts[i], depth, &entry, &best, err));
    NM_TRY(nm_lw_set(lw, &best.changes, lo, hi, goal->value, err));
    NM_TRY(nm_lw_aim(lw, goal, &reachable, err));
done:
    free_cuts(cuts, cuts ? n_cuts : 0);
    nm_changes_clear(&entry);
    nm_changes_clear(&best.changes);
    return rc;
}

/* Changes edits lo .. hi so that the goal is met, or nearly. Afterwards values up to the goal's are
   up to date. */
static nm_status repair(search *s, int lo, int hi, const nm_lw_goal *goal, int depth, nm_err *err)
{
    nm_lw *lw = s->lw;
    best_so_far now;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(lw->ctx, err));
    NM_TRY(nm_lw_aim(lw, goal, &reachable, err));
    if (!reachable)
        goto done;
    NM_TRY(rate(s, goal, &now, err));
    trace(lw, "layers %d to %d: distance %.4g from what is %s", lw->edits->at[lo].layer,
          lw->edits->at[hi].layer, sqrt(now.loss), goal->wish ? "wished" : "asked");
    if (now.holds)
        goto done;
    if (depth <= 0 || (lo == hi && nm_lw_out(lw, hi) == goal->value))
        NM_TRY(last_layer(s, hi, goal, err));
    else
        NM_TRY(repair_by_cuts(s, lo, hi, goal, depth, err));
done:
    return rc;
}

/* -- the end ------------------------------------------------------------------------------ */

/* The change is scaled down as far as it still does. */
static nm_status shorten(search *s, nm_err *err)
{
    enum { HALVINGS = 10 };
    nm_lw *lw = s->lw;
    nm_lw_goal whole = nm_lw_whole(lw);
    int last = lw->edits->n - 1;
    double lo = 0, hi = 1;
    nm_changes full = {0}, part = {0};
    best_so_far now, ignored = {.any = true, .holds = true};
    nm_status rc = NM_OK;

    NM_TRY(nm_changes_new(lw->base, &full, err));
    NM_TRY(nm_changes_new(lw->base, &part, err));
    NM_TRY(nm_changes_copy(lw->base, &s->found.changes, 0, full.n_layers - 1, &full, err));
    for (int i = 0; i < HALVINGS; i++) {
        double share = 0.5 * (lo + hi);

        NM_TRY(nm_changes_copy(lw->base, &full, 0, full.n_layers - 1, &part, err));
        nm_changes_scale(lw->base, &part, share);
        NM_TRY(nm_lw_set(lw, &part, 0, last, lw->net->scores, err));
        NM_TRY(consider(s, &whole, &ignored, &now, err));
        *(now.holds ? &hi : &lo) = share;
    }
done:
    nm_changes_clear(&full);
    nm_changes_clear(&part);
    return rc;
}

void nm_layerwise_effort(const nm_net *net, int64_t n, nm_layerwise_opts *opts)
{
    static const struct {
        double work;
        int depth, breadth;
    } levels[] = {{3e4, 2, 8}, {1e6, 2, 3}, {3e7, 1, 4}, {INFINITY, 1, 2}};
    double work = 0;
    int i = 0;

    for (int k = 0; k < net->n_layers; k++)
        work += (double)net->layers[k].n_weights * (double)n;
    while (work > levels[i].work)
        i++;
    opts->depth = levels[i].depth;
    opts->breadth = levels[i].breadth;
}

/* Where no candidate does, the nearest approach is where the next pass begins. */
static nm_status search_in_passes(search *s, const nm_lw_goal *goal, best_so_far *best, nm_err *err)
{
    enum { PASSES = 5 };
    nm_lw *lw = s->lw;
    best_so_far now;
    double loss = INFINITY;
    nm_status rc = NM_OK;

    for (int i = 0; i < PASSES && !s->found.any && best->loss < loss; i++) {
        loss = best->loss;
        NM_TRY(repair(s, 0, lw->edits->n - 1, goal, lw->opts.depth, err));
        NM_TRY(consider(s, goal, best, &now, err));
    }
done:
    return rc;
}

static nm_status run(search *s, nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_goal whole = nm_lw_whole(lw);
    best_so_far start = {0}, now;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_aim(lw, &whole, &reachable, err));
    if (!reachable) {
        (void)snprintf(lw->report->reason, sizeof lw->report->reason,
                       "what is asked of some point is empty: no outputs satisfy it");
        goto done;
    }
    NM_TRY(consider(s, &whole, &start, &now, err));
    if (now.holds)
        goto done;
    NM_TRY(search_in_passes(s, &whole, &start, err));
    if (s->found.any)
        NM_TRY(shorten(s, err));
done:
    nm_changes_clear(&start.changes);
    return rc;
}

static void fill_report(const search *s, nm_layerwise_report *report)
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

nm_status nm_layerwise(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x,
                       int64_t n, const nm_union *goal, const nm_layerwise_opts *opts,
                       nm_changes *out, nm_layerwise_report *report, nm_err *err)
{
    search s = {.least_missed = n};
    nm_status rc = NM_OK;

    *out = (nm_changes){0};
    *report = (nm_layerwise_report){.norm = INFINITY, .missed = n};
    if (opts->norm == NM_NORM_FUNCTION)
        return nm_fail(err, NM_E_ARG, "norm function, expected linf, l1, l2 or linf+l1n");
    NM_TRY(nm_lw_open(ctx, net, plan, x, n, goal, opts, report, &s.lw, err));
    rc = run(&s, err);
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
