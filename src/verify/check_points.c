/* Are the points right, and stay they right whatever float32 does? */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/tape.h"
#include "verify/check.h"
#include "verify/deploy.h"

/* -- plain evaluation -------------------------------------------------------------------- */

static double margin_of(const double *score, int64_t n, int64_t wanted)
{
    double smallest = INFINITY;

    for (int64_t j = 0; j < n; j++) {
        double gap = score[wanted] - score[j];

        if (isnan(gap))
            return NAN;
        if (j != wanted)
            smallest = fmin(smallest, gap);
    }
    return smallest;
}

nm_status nm_plain_margins(nm_ctx *ctx, const nm_net *net, const nm_points *points, double *margin,
                           nm_err *err)
{
    int64_t chunk = nm_pass_block(net), n_scores = net->values[net->scores].size;
    nm_tape *tape = NULL;
    nm_status rc = NM_OK;

    chunk = chunk < points->n ? chunk : points->n;
    NM_TRY(nm_tape_new(net, chunk, NULL, &tape, err));
    for (int64_t first = 0; first < points->n; first += chunk) {
        tape->n = points->n - first < chunk ? points->n - first : chunk;
        nm_tape_set_input(tape, points->x + first * points->n_in);
        NM_TRY(nm_tape_forward(ctx, tape, NULL, true, err));
        for (int64_t p = 0; p < tape->n; p++)
            margin[first + p] = margin_of(tape->val[net->scores] + p * n_scores, n_scores,
                                          points->labels[first + p]);
    }
done:
    nm_tape_free(tape);
    return rc;
}

/* -- the repair set ---------------------------------------------------------------------- */

static nm_status points_of(const nm_check_state *s, const nm_claim_statement *claimed,
                           nm_points *out, nm_err *err)
{
    const nm_points *all = &s->sets[NM_SET_REPAIR];

    if (all->n == 0)
        return nm_fail(err, NM_E_ARG, "the claim has no repair set");
    if (claimed->points)
        return nm_points_subset(all, claimed->points, claimed->n_points, out, err);
    return nm_points_from_arrays(all->x, all->n, all->n_in, all->labels, out, err);
}

/* Points listed twice would count twice. */
static nm_status check_listed_once(const nm_claim_statement *claimed, nm_err *err)
{
    for (int64_t i = 1; i < claimed->n_points; i++)
        if (claimed->points[i] <= claimed->points[i - 1])
            return nm_fail(err, NM_E_ARG, "points are not listed in ascending order");
    return NM_OK;
}

nm_status nm_measure_repair_set(const nm_check_state *s, nm_claim_statement *out,
                                nm_check_statement *found, nm_err *err)
{
    nm_points points = {0};
    nm_deploy d = {0};
    nm_status rc = NM_OK;

    out->margin = INFINITY;
    out->n_any_order = out->n_first_order = out->n_probable = 0;
    if (!s->fixed)
        NM_THROW(err, NM_E_ARG, "the claim has no repaired network");
    NM_TRY(check_listed_once(out, err));
    NM_TRY(points_of(s, out, &points, err));
    NM_TRY(nm_deploy_check(s->ctx, s->fixed, points.x, points.labels, points.n, true, &d, err));
    for (int64_t p = 0; p < d.n; p++) {
        if (!(d.margin[p] > 0))
            NM_THROW(err, NM_E_ARG, "point %lld is wrong in FIXED: its margin is %.9g",
                     (long long)(out->points ? out->points[p] : p), d.margin[p]);
        out->margin = fmin(out->margin, d.margin[p]);
        out->n_any_order += d.safe[p];
        out->n_first_order += d.safe_first_order[p];
        out->n_probable += d.safe_probable[p];
    }
    found->n = d.n;
done:
    nm_deploy_clear(&d);
    nm_points_free(&points);
    return rc;
}

static nm_status check_level(const nm_claim_statement *found, int64_t n, nm_err *err)
{
    if (found->safe == NM_SAFE_ANY_ORDER && found->n_first_order < n)
        return nm_fail(err, NM_E_ARG, "%lld of %lld points are not safe to first order",
                       (long long)(n - found->n_first_order), (long long)n);
    if (found->safe == NM_SAFE_PROBABLE && found->n_probable < n)
        return nm_fail(err, NM_E_ARG, "%lld of %lld points are not probably safe",
                       (long long)(n - found->n_probable), (long long)n);
    return NM_OK;
}

nm_status nm_check_repair_set(const nm_check_state *s, const nm_claim_statement *claimed,
                              nm_check_statement *out, nm_err *err)
{
    nm_claim_statement found = *claimed;
    nm_status rc = NM_OK;

    NM_TRY(nm_measure_repair_set(s, &found, out, err));
    if (found.margin < claimed->margin)
        NM_THROW(err, NM_E_ARG, "the smallest margin is %.9g, claimed is %.9g", found.margin,
                 claimed->margin);
    if (found.n_any_order < claimed->n_any_order || found.n_first_order < claimed->n_first_order ||
        found.n_probable < claimed->n_probable)
        NM_THROW(err, NM_E_ARG,
                 "safe are %lld points (first order %lld, probably %lld), claimed are %lld (%lld, "
                 "%lld)",
                 (long long)found.n_any_order, (long long)found.n_first_order,
                 (long long)found.n_probable, (long long)claimed->n_any_order,
                 (long long)claimed->n_first_order, (long long)claimed->n_probable);
    NM_TRY(check_level(&found, out->n, err));
    nm_confirm(out, out->n, "%lld points right by %.3g or more, %lld safe in any float32 order",
               (long long)out->n, claimed->margin, (long long)found.n_any_order);
done:
    return rc;
}

/* -- the keep set ------------------------------------------------------------------------ */

nm_status nm_measure_keep_set(const nm_check_state *s, int64_t *n_right, int64_t *n_kept,
                              nm_err *err)
{
    const nm_points *keep = &s->sets[NM_SET_KEEP];
    double *before = NULL, *after = NULL;
    nm_status rc = NM_OK;

    *n_right = *n_kept = 0;
    if (keep->n == 0 || !s->fixed)
        return nm_fail(err, NM_E_ARG, "the claim has no %s", s->fixed ? "keep set" : "network");
    NM_TRY(nm_alloc(&before, (size_t)keep->n, sizeof *before, err));
    NM_TRY(nm_alloc(&after, (size_t)keep->n, sizeof *after, err));
    NM_TRY(nm_plain_margins(s->ctx, s->model, keep, before, err));
    NM_TRY(nm_plain_margins(s->ctx, s->fixed, keep, after, err));
    for (int64_t p = 0; p < keep->n; p++) {
        *n_right += before[p] > 0;
        *n_kept += before[p] > 0 && after[p] > 0;
    }
done:
    nm_free(before);
    nm_free(after);
    return rc;
}

nm_status nm_check_keep_set(const nm_check_state *s, const nm_claim_statement *claimed,
                            nm_check_statement *out, nm_err *err)
{
    int64_t n_right, n_kept;
    nm_status rc = nm_measure_keep_set(s, &n_right, &n_kept, err);

    if (rc != NM_OK)
        return rc;
    if (n_right != claimed->n_right || n_kept < claimed->n_kept)
        return nm_fail(err, NM_E_ARG,
                       "%lld points are right in MODEL and %lld of these in FIXED, claimed are "
                       "%lld and %lld",
                       (long long)n_right, (long long)n_kept, (long long)claimed->n_right,
                       (long long)claimed->n_kept);
    nm_confirm(out, s->sets[NM_SET_KEEP].n,
               "%lld of %lld points are right in MODEL, and %s%lld of these in FIXED",
               (long long)n_right, (long long)s->sets[NM_SET_KEEP].n,
               n_kept == n_right ? "all " : "", (long long)n_kept);
    return NM_OK;
}
