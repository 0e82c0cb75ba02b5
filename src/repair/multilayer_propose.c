#include "repair/multilayer_propose.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/layerwise_cuts.h"
#include "repair/layerwise_solve.h"

nm_status nm_ml_values_new(const nm_lw *lw, nm_ml_values *v, nm_err *err)
{
    size_t n = (size_t)lw->edits->n;
    nm_status rc = nm_alloc(&v->cut, n, sizeof *v->cut, err);

    return rc == NM_OK ? nm_alloc(&v->wish, n, sizeof *v->wish, err) : rc;
}

void nm_ml_values_clear(const nm_lw *lw, nm_ml_values *v)
{
    for (int b = 0; v->wish && b < lw->edits->n; b++)
        nm_free(v->wish[b]);
    nm_free(v->wish);
    nm_free(v->cut);
    *v = (nm_ml_values){0};
}

/* -- values of one cut ------------------------------------------------------------------------ */

static int64_t size_at(const nm_ml *m, int b)
{
    const nm_lw *lw = m->search->lw;

    return lw->n * lw->net->values[nm_lw_out(lw, b)].size;
}

/* What a step of 1 means behind edit b: how far the best values are from the original ones; where
   they are the same, a tenth of their size. */
static double scale_of(const nm_ml *m, int b, const double *wish)
{
    const double *z = m->origin[b];
    double far = 0, size = 0;

    for (int64_t k = 0; k < size_at(m, b); k++) {
        far = fmax(far, fabs(wish[k] - z[k]));
        size = fmax(size, fabs(z[k]));
    }
    return far > 0 ? far : 0.1 * size;
}

/* Present values and a share of the step; *useless where no step moves every point. */
static nm_status gradient_wish(nm_ml *m, int b, double share, bool *useless, nm_err *err)
{
    nm_lw *lw = m->search->lw;
    nm_lw_cut cut = {0};
    bool reachable;
    nm_status rc = NM_OK;

    NM_TRY(nm_lw_aim(lw, m->whole, &reachable, err));
    NM_TRY(nm_lw_gradients(lw, m->whole, b, err));
    NM_TRY(nm_lw_cut_make(lw, m->whole, b, &cut, err));
    *useless = !isfinite(cut.need);
    nm_free(m->next.wish[b]);
    m->next.wish[b] = NULL;
    if (!*useless)
        NM_TRY(nm_lw_cut_wish(lw, &cut, share, &m->next.wish[b], err));
done:
    nm_lw_cut_clear(&cut);
    return rc;
}

static void shake(nm_ml *m, const nm_ml_move *move, int b, double *wish)
{
    double by = move->by * scale_of(m, b, wish);

    if (move->how == NM_ML_SHIFT)
        wish[move->at] += by;
    for (int64_t k = 0; move->how == NM_ML_NOISE && k < size_at(m, b); k++)
        wish[k] += by * nm_rng_normal(&m->rng);
    for (int64_t k = 0; move->how == NM_ML_STRETCH && k < size_at(m, b); k++)
        wish[k] += move->by * (wish[k] - m->origin[b][k]);
}

/* Fills m->next.wish[b]. */
static nm_status make_wish(nm_ml *m, int b, bool *useless, nm_err *err)
{
    nm_lw *lw = m->search->lw;
    const nm_ml_move *move = &m->move[b];
    const double *from =
        m->now.cut[b] && m->now.wish[b] ? m->now.wish[b] : lw->at->val[nm_lw_out(lw, b)];
    nm_status rc;

    *useless = false;
    if (move->how == NM_ML_GRADIENT)
        return gradient_wish(m, b, move->by, useless, err);
    nm_free(m->next.wish[b]);
    rc = nm_memdup(&m->next.wish[b], from, (size_t)size_at(m, b), sizeof *from, err);
    if (rc == NM_OK)
        shake(m, move, b, m->next.wish[b]);
    return rc;
}

/* -- one proposal ----------------------------------------------------------------------------- */

/* Parts that cost as much as the best repair are not worth the others. */
static bool is_too_much(const nm_ml *m)
{
    return m->search->found.any && nm_lw_norm(m->search->lw) >= m->search->found.norm;
}

/* From front to back; afterwards values up to the scores are up to date.
   @param all  false: given up on the way */
static nm_status solve_parts(nm_ml *m, bool *all, nm_err *err)
{
    nm_lw *lw = m->search->lw;
    bool reachable, useless;
    nm_status rc = NM_OK;

    *all = false;
    NM_TRY(nm_lw_set(lw, NULL, 0, m->last, lw->net->scores, err));
    for (int b = 0; b < m->last; b++) {
        m->next.cut[b] = m->move[b].cut;
        if (!m->next.cut[b])
            continue;
        NM_TRY(make_wish(m, b, &useless, err));
        m->next.cut[b] = !useless;
        if (useless)
            continue;
        NM_TRY(nm_lw_solve_wish(lw, b, m->next.wish[b], lw->net->scores, err));
        if (is_too_much(m))
            goto done;
    }
    NM_TRY(nm_lw_aim(lw, m->whole, &reachable, err));
    if (nm_lw_missed(lw) > 0)
        NM_TRY(nm_lw_last_layer(m->search, m->last, m->whole, err));
    *all = true;
done:
    return rc;
}

/* @param better  by enough to be told */
static void trace(const nm_ml *m, const nm_lw_best *now, bool better)
{
    const nm_lw *lw = m->search->lw;
    char where[128] = "";
    size_t at = 0;

    for (int b = 0; b < m->last && at + 16 < sizeof where; b++)
        if (m->next.cut[b])
            at += (size_t)snprintf(where + at, sizeof where - at, "%s%d", at ? ", " : "",
                                   lw->edits->at[b].layer);
    nm_log(lw->ctx, better ? NM_LOG_INFO : NM_LOG_DEBUG,
           "multilayer: proposal %lld (%s), cut behind %s: change %.6g, %s%s",
           (long long)m->n_proposals, m->kind, at ? where : "no layer", now->norm,
           now->holds ? "holds" : "misses", better ? "; the best so far" : "");
}

nm_status nm_ml_try(nm_ml *m, bool *better, nm_err *err)
{
    nm_lw_best before = *m->best, now;
    bool all;
    nm_status rc = NM_OK;

    *better = false;
    m->n_proposals++;
    NM_TRY(nm_ctx_check(m->search->lw->ctx, err));
    NM_TRY(solve_parts(m, &all, err));
    if (!all)
        return NM_OK;
    NM_TRY(nm_lw_consider(m->search, m->whole, m->best, &now, err));
    *better = m->best->holds != before.holds || m->best->norm != before.norm ||
              m->best->loss != before.loss;
    trace(m, &now, *better && !(before.holds && now.norm > before.norm * (1 - NM_ML_WORTH)));
    if (*better) {
        nm_ml_values old = m->now;

        m->now = m->next;
        m->next = old;
    }
done:
    return rc;
}
