#include "repair/elastic_proven.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/conflicts.h"
#include "repair/misses.h"

enum { MAX_EXACT_TESTS = 60, MAX_RETRIES = 16 };

/* Tests only ask whether there is a solution. */
static const double LOOSE_GAP = 1;

/* -- opening ---------------------------------------------------------------------------------- */

/* Whether there is a solution does not depend on the norm. Linear programs have bounds by nature,
 * while the inner products of `least` make rows of them: measured on 100 digits with bounds of
 * 0.05, 1 s against 45 s. */
static void choose_tests(nm_elastic *e)
{
    enum { MANY_UNKNOWNS = 100000 };
    const nm_search *s = e->search;
    bool bounded = isfinite(s->plan->lo) || isfinite(s->plan->hi);

    e->loose = *e->opts;
    e->loose.gap = LOOSE_GAP;
    e->loose.refine = NM_REFINE_OFF;
    e->engine = s->engine;
    if (s->engine == &nm_engine_least && (!bounded || s->params->n > MANY_UNKNOWNS))
        return;
    e->engine = &nm_engine_explicit;
    e->loose.norm = NM_NORM_LINF;
    e->loose.norm_includes_outputs = false;
}

nm_status nm_elastic_open(nm_search *search, const nm_repair_opts *opts, const float *x,
                          nm_elastic **out, nm_err *err)
{
    size_t n = (size_t)search->n_repair;
    nm_elastic *e = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&e, 1, sizeof *e, err));
    *e = (nm_elastic){
        .search = search, .opts = opts, .n = search->n_repair, .max_tests = MAX_EXACT_TESTS};
    choose_tests(e);
    NM_TRY(nm_alloc(&e->margin, n, sizeof *e->margin, err));
    NM_TRY(nm_alloc(&e->out, n, sizeof *e->out, err));
    NM_TRY(nm_alloc(&e->stuck, n, sizeof *e->stuck, err));
    NM_TRY(nm_alloc(&e->best, (size_t)search->params->n, sizeof *e->best, err));
    NM_TRY(nm_twins_find(search, x, &e->twins, err));
    *out = e;
    e = NULL;
done:
    nm_elastic_close(e);
    return rc;
}

void nm_elastic_close(nm_elastic *e)
{
    if (!e)
        return;
    for (int64_t i = 0; i < e->n_conflicts; i++) {
        nm_conflict_clear(&e->conflicts[i]);
        nm_certificate_clear(&e->certificates[i]);
    }
    nm_free(e->conflicts);
    nm_free(e->certificates);
    nm_twins_clear(&e->twins);
    nm_free(e->margin);
    nm_free(e->out);
    nm_free(e->stuck);
    nm_free(e->best);
    nm_free(e);
}

/* -- which points take part ------------------------------------------------------------------- */

int64_t nm_elastic_count_in(const nm_elastic *e)
{
    int64_t n = 0;

    for (int64_t p = 0; p < e->n; p++)
        n += !e->out[p];
    return n;
}

/* Margins may have been raised since the last run. No point can have an infinite one. */
static void note_margins(nm_elastic *e)
{
    for (int64_t p = 0; p < e->n; p++) {
        if (e->search->demand.margin[p] > -INFINITY)
            e->margin[p] = e->search->demand.margin[p];
        if (!isfinite(e->margin[p]))
            e->stuck[p] = e->out[p] = true;
    }
}

static void ask_margins(nm_elastic *e)
{
    for (int64_t p = 0; p < e->n; p++)
        e->search->demand.margin[p] = e->out[p] ? -INFINITY : e->margin[p];
}

void nm_elastic_leave_out_stuck(nm_elastic *e)
{
    for (int64_t p = 0; p < e->n; p++)
        e->out[p] = e->stuck[p];
}

/* -- points that are not reached -------------------------------------------------------------- */

typedef struct lag {
    int64_t point;
    double missing;
} lag;

static int by_missing(const void *a, const void *b)
{
    const lag *x = a, *y = b;

    if (x->missing != y->missing)
        return x->missing > y->missing ? -1 : 1;
    return x->point < y->point ? -1 : x->point > y->point;
}

/* How far each point was from its margin in the original network. */
static double missing_before(const nm_elastic *e, int64_t p)
{
    const nm_search *s = e->search;
    int64_t n = s->net->values[s->net->scores].size;

    return e->margin[p] - nm_smallest_gap_f64(s->original_scores + p * n, n, s->demand.target[p]);
}

/* The points that take part and lag behind, worst first. Where none does (keep points are in the
 * way), all of them by what they missed in the original network. */
static nm_status list_laggards(nm_elastic *e, lag *list, int64_t *n, nm_err *err)
{
    nm_search *s = e->search;
    nm_misses m = {0};
    nm_status rc = NM_OK;

    *n = 0;
    NM_TRY(nm_misses_new(s, &m, err));
    NM_TRY(nm_misses_find(s, s->closest ? s->closest : s->delta, &m, err));
    for (int64_t i = 0; i < m.n_repair; i++) {
        double missing = m.shortfall[m.repair[i]];

        list[(*n)++] = (lag){m.repair[i], isnan(missing) ? INFINITY : missing};
    }
    if (*n == 0)
        for (int64_t p = 0; p < e->n; p++)
            if (!e->out[p])
                list[(*n)++] = (lag){p, fmin(missing_before(e, p), 1e300)};
    qsort(list, (size_t)*n, sizeof *list, by_missing);
    if (m.n_repair == 0 && *n > 1)
        *n = 1;
done:
    nm_misses_clear(&m);
    return rc;
}

/* A search gave up: the points it did not reach leave, of many the worse half (one, where searches
 * are exact and such an end is an accident of numbers), and come back for another try later. */
static nm_status leave_laggards(nm_elastic *e, nm_err *err)
{
    int64_t n, in = nm_elastic_count_in(e);
    lag *list = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&list, (size_t)e->n, sizeof *list, err));
    NM_TRY(list_laggards(e, list, &n, err));
    if (2 * n > in)
        n = (n + 1) / 2;
    if (nm_search_is_exact(e->search))
        n = 1;
    for (int64_t i = 0; i < n; i++)
        e->stuck[list[i].point] = e->out[list[i].point] = true;
    nm_log(e->search->ctx, NM_LOG_INFO, "elastic: %lld points not reached, %lld go on",
           (long long)n, (long long)nm_elastic_count_in(e));
done:
    nm_free(list);
    return rc;
}

/* -- one search ------------------------------------------------------------------------------- */

static void remember_found(nm_elastic *e)
{
    const nm_search *s = e->search;
    int64_t in = nm_elastic_count_in(e);

    if (in >= e->n_best) {
        memcpy(e->best, s->delta, (size_t)s->params->n * sizeof *e->best);
        e->n_best = in;
    }
}

nm_status nm_elastic_try(nm_elastic *e, bool loose, bool *found, nm_err *err)
{
    nm_search *s = e->search;
    const nm_engine *engine = s->engine;
    nm_search_outcome outcome = NM_SEARCH_GAVE_UP;
    int64_t known = e->n_conflicts;
    bool taken = false;
    nm_status rc = NM_OK;

    *found = false;
    ask_margins(e);
    NM_TRY(nm_elastic_find_twins(e, err));
    if (e->n_conflicts > known)
        goto done;
    s->opts = loose ? &e->loose : e->opts;
    s->engine = loose ? e->engine : engine;
    rc = nm_search_run(s, &outcome, err);
    s->opts = e->opts;
    s->engine = engine;
    e->rounds += s->rounds;
    e->linearisations += s->linearisations;
    if (rc != NM_OK)
        goto done;
    *found = outcome == NM_SEARCH_FOUND;
    if (*found)
        remember_found(e);
    else if (outcome == NM_SEARCH_INFEASIBLE)
        NM_TRY(nm_elastic_take_conflict(e, &taken, err));
    if (!*found && !taken)
        NM_TRY(leave_laggards(e, err));
    nm_progress(s->ctx, "leaving out", e->n - nm_elastic_count_in(e), e->n, (double)e->n_conflicts);
    nm_log(s->ctx, NM_LOG_INFO, "elastic: %lld of %lld points %s, %lld conflicts known",
           (long long)nm_elastic_count_in(e), (long long)e->n,
           *found ? "can be repaired" : "cannot", (long long)e->n_conflicts);
done:
    return rc;
}

/* -- once more, from the network that was found ----------------------------------------------- */

static nm_status retry(nm_elastic *e, const bool *back, bool *found, nm_err *err)
{
    nm_search *s = e->search;
    size_t n = (size_t)s->params->n;
    nm_program_figures figures = s->figures;
    nm_search_outcome outcome = NM_SEARCH_GAVE_UP;
    double *from = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&from, s->delta, n, sizeof *from, err));
    for (int64_t p = 0; p < e->n; p++)
        e->out[p] = e->out[p] && !back[p];
    NM_TRY(nm_elastic_find_twins(e, err));
    *found = nm_elastic_known_conflict(e) < 0;
    ask_margins(e);
    if (*found) {
        NM_TRY(nm_search_continue(s, &outcome, err));
        e->rounds += s->rounds;
        e->linearisations += s->linearisations;
        *found = outcome == NM_SEARCH_FOUND;
    }
    for (int64_t p = 0; p < e->n; p++) {
        e->out[p] = e->out[p] || (back[p] && !*found);
        e->stuck[p] = e->stuck[p] && !(back[p] && *found);
    }
    ask_margins(e);
    if (*found) {
        s->answered = true;
        remember_found(e);
    } else {
        memcpy(s->delta, from, n * sizeof *from);
        s->figures = figures;
    }
done:
    nm_free(from);
    return rc;
}

/* All together first, then one by one. */
static nm_status retry_stuck(nm_elastic *e, nm_err *err)
{
    int tries = MAX_RETRIES;
    bool *back = NULL, found = false;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&back, e->stuck, (size_t)e->n, sizeof *back, err));
    for (int64_t p = 0; p < e->n; p++)
        back[p] = back[p] && isfinite(e->margin[p]);
    NM_TRY(retry(e, back, &found, err));
    for (int64_t p = 0; p < e->n && !found && tries > 0; p++) {
        bool one;

        if (!e->stuck[p] || !isfinite(e->margin[p]))
            continue;
        memset(back, 0, (size_t)e->n * sizeof *back);
        back[p] = true;
        tries--;
        NM_TRY(retry(e, back, &one, err));
    }
done:
    nm_free(back);
    return rc;
}

/* Where searches are exact: each one once more with those that can be repaired. */
static nm_status retry_exactly(nm_elastic *e, bool *found, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < e->n; p++)
        if (e->stuck[p] && isfinite(e->margin[p])) {
            e->stuck[p] = false;
            NM_TRY(nm_elastic_bring_back_one(e, p, err));
        }
    NM_TRY(nm_elastic_try(e, false, found, err));
done:
    return rc;
}

static int64_t count_stuck(const nm_elastic *e)
{
    int64_t n = 0;

    for (int64_t p = 0; p < e->n; p++)
        n += e->stuck[p];
    return n;
}

/* -- all together ----------------------------------------------------------------------------- */

static nm_status find_largest(nm_elastic *e, nm_search_outcome *outcome, nm_err *err)
{
    bool exact = nm_search_is_exact(e->search), found = false, least;
    nm_status rc = NM_OK;

    if (!exact || nm_elastic_count_in(e) <= NM_FEW_POINTS || e->n_best > 0)
        NM_TRY(nm_elastic_try(e, false, &found, err));
    while (!found && nm_elastic_count_in(e) > 0) {
        if (exact)
            NM_TRY(nm_elastic_choose_proven(e, err));
        if (!exact)
            NM_TRY(nm_elastic_try_smallest(e, false, &found, &least, err));
        else if (nm_elastic_count_in(e) > 0)
            NM_TRY(nm_elastic_try(e, false, &found, err));
    }
    *outcome = nm_elastic_count_in(e) > 0 ? NM_SEARCH_FOUND
               : count_stuck(e) == 0      ? NM_SEARCH_INFEASIBLE
                                          : NM_SEARCH_GAVE_UP;
    if (*outcome != NM_SEARCH_FOUND || e->retried || count_stuck(e) == 0)
        goto done;
    e->retried = true;
    NM_TRY(exact ? retry_exactly(e, &found, err) : retry_stuck(e, err));
    if (!found)
        rc = find_largest(e, outcome, err);
done:
    return rc;
}

nm_status nm_elastic_run(nm_elastic *e, nm_search_outcome *outcome, nm_err *err)
{
    nm_status rc;

    e->rounds = e->linearisations = 0;
    note_margins(e);
    rc = find_largest(e, outcome, err);
    ask_margins(e);
    e->search->rounds = e->rounds;
    e->search->linearisations = e->linearisations;
    return rc;
}
