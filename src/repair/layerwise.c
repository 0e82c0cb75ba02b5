#include "repair/layerwise.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"
#include "repair/layerwise_cuts.h"
#include "repair/layerwise_search.h"

static nm_status repair(nm_lw_search *s, int lo, int hi, const nm_lw_goal *goal, int depth,
                        nm_err *err);

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

/* -- a range of layers -------------------------------------------------------------------- */

/* One candidate: the part before the cut by a share of the step, the part after by what is left. */
static nm_status try_cut(nm_lw_search *s, int lo, int hi, const nm_lw_goal *goal,
                         const nm_lw_cut *c, double share, int depth, const nm_changes *entry,
                         nm_lw_best *best, double *norm, nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_goal before = {.value = nm_lw_out(lw, c->b), .below_is_below = lw->below[c->b]};
    double *wish = NULL;
    nm_lw_best now;
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_set(lw, entry, lo, hi, goal->value, err));
    NM_TRY(nm_lw_cut_wish(lw, c, share, &wish, err));
    before.wish = wish;
    lw->level++;
    rc = repair(s, lo, c->b, &before, depth - 1, err);
    if (rc == NM_OK)
        rc = nm_lw_forward(lw, c->b, goal->value, err);
    if (rc == NM_OK && c->b < hi)
        rc = repair(s, c->b + 1, hi, goal, depth - 1, err);
    lw->level--;
    NM_TRY(rc);
    NM_TRY(nm_lw_consider(s, goal, best, &now, err));
    *norm = now.holds ? now.norm : INFINITY;
    trace(lw, "cut behind layer %d, step %.4g: change %.4g, %s", lw->edits->at[c->b].layer, share,
          now.norm, now.holds ? "holds" : "misses");
done:
    nm_free(wish);
    return rc;
}

/* All shares of a step at one cut; outermost, a few more around the best. */
static nm_status try_steps(nm_lw_search *s, int lo, int hi, const nm_lw_goal *goal,
                           const nm_lw_cut *c, int depth, const nm_changes *entry, nm_lw_best *best,
                           nm_err *err)
{
    double least = INFINITY, at = 1, norm;
    nm_status rc = NM_OK;

    for (int i = 0; i < NM_LW_N_SHARES; i++) {
        NM_TRY(try_cut(s, lo, hi, goal, c, nm_lw_shares[i], depth, entry, best, &norm, err));
        if (norm < least) {
            least = norm;
            at = nm_lw_shares[i];
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

static nm_status repair_by_cuts(nm_lw_search *s, int lo, int hi, const nm_lw_goal *goal, int depth,
                                nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_best best = {0}, now;
    nm_changes entry = {0};
    nm_lw_cut *cuts = NULL;
    int n_cuts = 0;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_changes_new(lw->base, &entry, err));
    NM_TRY(nm_changes_copy(lw->base, &lw->now, 0, lw->base->n_layers - 1, &entry, err));
    NM_TRY(nm_lw_cuts_list(lw, goal, lo, hi, &cuts, &n_cuts, err));
    NM_TRY(nm_lw_last_layer(s, hi, goal, err));
    NM_TRY(nm_lw_consider(s, goal, &best, &now, err));
    trace(lw, "layer %d alone: change %.4g, %s", lw->edits->at[hi].layer, now.norm,
          now.holds ? "holds" : "misses");
    for (int i = 0; i < n_cuts; i++)
        NM_TRY(try_steps(s, lo, hi, goal, &cuts[i], depth, &entry, &best, err));
    NM_TRY(nm_lw_set(lw, &best.changes, lo, hi, goal->value, err));
    NM_TRY(nm_lw_aim(lw, goal, &reachable, err));
done:
    nm_lw_cuts_free(cuts, n_cuts);
    nm_changes_clear(&entry);
    nm_changes_clear(&best.changes);
    return rc;
}

/* Changes edits lo .. hi so that the goal is met, or nearly. Afterwards values up to the goal's are
   up to date. */
static nm_status repair(nm_lw_search *s, int lo, int hi, const nm_lw_goal *goal, int depth,
                        nm_err *err)
{
    nm_lw *lw = s->lw;
    nm_lw_best now;
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(lw->ctx, err));
    NM_TRY(nm_lw_aim(lw, goal, &reachable, err));
    if (!reachable)
        goto done;
    NM_TRY(nm_lw_rate(s, goal, &now, err));
    trace(lw, "layers %d to %d: distance %.4g from what is %s", lw->edits->at[lo].layer,
          lw->edits->at[hi].layer, sqrt(now.loss), goal->wish ? "wished" : "asked");
    if (now.holds)
        goto done;
    if (depth <= 0 || (lo == hi && nm_lw_out(lw, hi) == goal->value))
        NM_TRY(nm_lw_last_layer(s, hi, goal, err));
    else
        NM_TRY(repair_by_cuts(s, lo, hi, goal, depth, err));
done:
    return rc;
}

/* -- all together ------------------------------------------------------------------------- */

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
static nm_status search_in_passes(nm_lw_search *s, const nm_lw_goal *goal, nm_lw_best *best,
                                  void *user, nm_err *err)
{
    enum { PASSES = 5 };
    nm_lw *lw = s->lw;
    nm_lw_best now;
    double loss = INFINITY;
    nm_status rc = NM_OK;

    (void)user;
    for (int i = 0; i < PASSES && !s->found.any && best->loss < loss; i++) {
        loss = best->loss;
        NM_TRY(repair(s, 0, lw->edits->n - 1, goal, lw->opts.depth, err));
        NM_TRY(nm_lw_consider(s, goal, best, &now, err));
    }
done:
    return rc;
}

nm_status nm_layerwise(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x,
                       int64_t n, const nm_union *goal, const nm_layerwise_opts *opts,
                       nm_changes *out, nm_layerwise_report *report, nm_err *err)
{
    return nm_lw_run(ctx, net, plan, x, n, goal, opts, search_in_passes, NULL, out, report, err);
}
