/* The keep set in a search: evaluated from afar in float32, and point by point in double where a
 * change would break it. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/search.h"

/* A keep point has to stay right, no more: a little above what float32 could turn around. */
static double keep_margin(double gap, float score)
{
    return fmin(0.5 * gap, 1e-3 * (1 + fabs((double)score)));
}

/* Keep points that are wrong from the start are not bound to anything. */
nm_status nm_search_open_keep(nm_search *s, nm_err *err)
{
    nm_status rc = NM_OK;
    float *scores = NULL;
    size_t n = (size_t)s->n_keep;

    NM_TRY(nm_alloc(&s->keep_margin, n, sizeof *s->keep_margin, err));
    NM_TRY(nm_alloc(&s->keep_slot, n, sizeof *s->keep_slot, err));
    NM_TRY(nm_alloc(&scores, n, (size_t)nm_search_n_scores(s) * sizeof *scores, err));
    NM_TRY(nm_crowd_new(s->ctx, s->net, s->params, s->keep_x, s->n_keep, &s->keep, err));
    NM_TRY(nm_crowd_scores(s->ctx, s->keep, s->delta, scores, err));
    for (int64_t p = 0; p < s->n_keep; p++) {
        double gap = nm_decision_gap_f32(scores + p * nm_search_n_scores(s), nm_search_n_scores(s),
                                         s->keep_target[p], s->demand.least);

        s->keep_slot[p] = -1;
        s->keep_margin[p] =
            gap > 0 ? keep_margin(gap, scores[p * nm_search_n_scores(s) + s->keep_target[p]])
                    : -INFINITY;
    }
done:
    nm_free(scores);
    return rc;
}

/* The points in double, up to the edited layers: what steers from afar may be float32, rows not. */
static nm_status append_exactly(nm_search *s, const int64_t *points, int64_t n, nm_err *err)
{
    int64_t n_in = s->net->values[s->net->input].size, *all = NULL;
    float *x = NULL;
    nm_tail *tail = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, (size_t)n, (size_t)n_in * sizeof *x, err));
    NM_TRY(nm_alloc(&all, (size_t)n, sizeof *all, err));
    for (int64_t i = 0; i < n; i++) {
        memcpy(x + i * n_in, s->keep_x + points[i] * n_in, (size_t)n_in * sizeof *x);
        all[i] = i;
    }
    NM_TRY(nm_tail_new(s->ctx, s->net, s->params, x, n, true, &tail, err));
    NM_TRY(nm_tail_append(s->active, tail, all, n, err));
done:
    nm_tail_free(tail);
    nm_free(x);
    nm_free(all);
    return rc;
}

nm_status nm_search_promote(nm_search *s, const nm_misses *m, int64_t *promoted, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t *points = NULL, n = 0, first = s->active->at->n;

    NM_TRY(nm_alloc(&points, (size_t)m->n_keep, sizeof *points, err));
    for (int64_t i = 0; i < m->n_keep; i++)
        if (s->keep_slot[m->keep[i]] < 0)
            points[n++] = m->keep[i];
    *promoted = n;
    if (n == 0)
        goto done;
    NM_TRY(nm_search_grow_demand(s, first + n, err));
    NM_TRY(append_exactly(s, points, n, err));
    for (int64_t i = 0; i < n; i++) {
        s->keep_slot[points[i]] = first + i;
        s->demand.target[first + i] = s->keep_target[points[i]];
        s->demand.margin[first + i] = s->keep_margin[points[i]];
    }
    NM_TRY(nm_tail_move(s->ctx, s->active, s->active->delta, err));
done:
    nm_free(points);
    return rc;
}
