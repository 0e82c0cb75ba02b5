#include "repair/goals_job.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/search.h"

static nm_status open_goals(const struct nm_job *j, nm_job_goals *g, nm_err *err)
{
    const nm_search *s = j->search;
    int64_t n_in = nm_net_n_in(j->net);
    nm_status rc = NM_OK;

    *g = (nm_job_goals){.n = s->active->at->n};
    NM_TRY(nm_alloc(&g->x, (size_t)g->n, (size_t)n_in * sizeof *g->x, err));
    memcpy(g->x, j->task->repair->x, (size_t)(s->n_repair * n_in) * sizeof *g->x);
    for (int64_t p = 0; p < s->n_keep; p++)
        if (s->keep_slot[p] >= 0)
            memcpy(g->x + s->keep_slot[p] * n_in, s->keep_x + p * n_in,
                   (size_t)n_in * sizeof *g->x);
    NM_TRY(nm_label_goals_new(s->demand.target, s->demand.margin, g->n, nm_search_n_scores(s),
                              &g->labels, err));
done:
    return rc;
}

static void close_goals(nm_job_goals *g)
{
    nm_free(g->x);
    nm_label_goals_clear(&g->labels);
}

/* Some of many, evenly spaced: the others will show if they still matter. */
static void thin_out(nm_misses *m, int64_t most)
{
    if (m->n_keep <= most)
        return;
    for (int64_t i = 0; i < most; i++)
        m->keep[i] = m->keep[i * m->n_keep / most];
    m->n_keep = most;
}

/* Makes keep points active that the present change breaks. */
static nm_status promote_broken(struct nm_job *j, int64_t *promoted, nm_err *err)
{
    enum { MOST = 100 }; /* a round */
    nm_misses misses = {0};
    nm_status rc = NM_OK;

    *promoted = 0;
    if (j->search->n_keep == 0)
        return NM_OK;
    NM_TRY(nm_misses_new(j->search, &misses, err));
    NM_TRY(nm_misses_find(j->search, j->search->delta, &misses, err));
    thin_out(&misses, MOST);
    NM_TRY(nm_search_promote(j->search, &misses, promoted, err));
done:
    nm_misses_clear(&misses);
    return rc;
}

static void say_keep_stands_in_the_way(nm_search *s)
{
    char why[sizeof s->reason];

    (void)snprintf(why, sizeof why, "%s", s->reason);
    (void)snprintf(s->reason, sizeof s->reason,
                   "with %lld keep points that must stay right: %.180s",
                   (long long)(s->active->at->n - s->n_repair), why);
}

nm_status nm_job_run_method(struct nm_job *j, nm_job_method method, void *user,
                            nm_search_outcome *outcome, nm_err *err)
{
    nm_search *s = j->search;
    int64_t promoted = 1;
    nm_status rc = NM_OK;

    while (promoted > 0) {
        nm_job_goals goals;

        rc = open_goals(j, &goals, err);
        if (rc == NM_OK)
            rc = method(j, &goals, user, outcome, err);
        close_goals(&goals);
        if (rc != NM_OK)
            return rc;
        if (*outcome != NM_SEARCH_FOUND && s->active->at->n > s->n_repair)
            say_keep_stands_in_the_way(s);
        if (*outcome != NM_SEARCH_FOUND || j->report->stopped)
            return NM_OK;
        NM_TRY(promote_broken(j, &promoted, err));
        if (promoted > 0)
            nm_log(j->ctx, NM_LOG_INFO, "%lld keep points broken, %lld take part now",
                   (long long)promoted, (long long)(s->active->at->n - s->n_repair));
    }
done:
    return rc;
}
