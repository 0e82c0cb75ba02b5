#include "repair/elastic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/misses.h"
#include "solve/hitting.h"

enum { MAX_EXACT_TESTS = 60, MAX_RETRIES = 16 };

/* Memory touched by one search for a hitting set: a fraction of a second. */
static const int64_t HITTING_WORK = 200000000;

/* Tests only ask whether there is a solution. */
static const double LOOSE_GAP = 1;

/* -- opening --------------------------------------------------------------------------------- */

nm_status nm_elastic_open(nm_search *search, const nm_repair_opts *opts, const float *x,
                          nm_elastic **out, nm_err *err)
{
    size_t n = (size_t)search->n_repair;
    nm_elastic *e = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&e, 1, sizeof *e, err));
    *e = (nm_elastic){.search = search, .opts = opts, .loose = *opts, .n = search->n_repair,
                      .max_tests = MAX_EXACT_TESTS};
    e->loose.gap = LOOSE_GAP;
    e->loose.refine = NM_REFINE_OFF;
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

static void clear_conflict(nm_conflict_report *conflict)
{
    nm_free(conflict->points);
    nm_free(conflict->keep);
}

void nm_elastic_close(nm_elastic *e)
{
    if (!e)
        return;
    for (int64_t i = 0; i < e->n_conflicts; i++) {
        clear_conflict(&e->conflicts[i]);
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

/* -- which points take part ------------------------------------------------------------------ */

static int64_t count_in(const nm_elastic *e)
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

static void leave_out_stuck(nm_elastic *e)
{
    for (int64_t p = 0; p < e->n; p++)
        e->out[p] = e->stuck[p];
}

/* -- conflicts ------------------------------------------------------------------------------- */

static nm_status push_conflict(nm_elastic *e, nm_conflict_report *conflict, nm_err *err)
{
    nm_status rc = NM_OK;

    if (e->n_conflicts == e->room) {
        int64_t room = e->room ? 2 * e->room : 32;

        rc = nm_realloc(&e->conflicts, (size_t)room, sizeof *e->conflicts, err);
        if (rc == NM_OK)
            rc = nm_realloc(&e->certificates, (size_t)room, sizeof *e->certificates, err);
        if (rc == NM_OK)
            e->room = room;
    }
    if (rc != NM_OK) {
        clear_conflict(conflict);
        return rc;
    }
    e->certificates[e->n_conflicts] = (nm_certificate){0};
    e->conflicts[e->n_conflicts++] = *conflict;
    return NM_OK;
}

static nm_status push_twins(nm_elastic *e, int64_t a, int64_t b, int64_t keep, nm_err *err)
{
    nm_conflict_report c = {.kind = NM_CONFLICT_TWINS};
    nm_status rc = nm_alloc(&c.points, 2, sizeof *c.points, err);

    if (rc == NM_OK)
        rc = nm_alloc(&c.keep, 1, sizeof *c.keep, err);
    if (rc != NM_OK) {
        clear_conflict(&c);
        return rc;
    }
    c.points[c.n_points++] = a;
    if (b >= 0)
        c.points[c.n_points++] = b;
    else
        c.keep[c.n_keep++] = keep;
    return push_conflict(e, &c, err);
}

/* Disjoint pairs of twins among the points that take part. */
static nm_status find_twins(nm_elastic *e, nm_err *err)
{
    const int64_t *target = e->search->demand.target;
    bool *used = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&used, e->out, (size_t)e->n, sizeof *used, err));
    for (int64_t p = 0; p < e->n; p++) {
        int64_t twin = used[p] ? -1 : nm_twins_against(&e->twins, target, used, p);

        if (used[p] || (twin < 0 && e->twins.keep[p] < 0))
            continue;
        if (e->twins.keep[p] >= 0)
            twin = -1;
        NM_TRY(twin < 0 ? push_twins(e, p, -1, e->twins.keep[p], err)
                        : push_twins(e, twin, p, -1, err));
        used[p] = true;
        if (twin >= 0)
            used[twin] = true;
    }
done:
    nm_free(used);
    return rc;
}

/* The conflict that the last search proved. *taken is false where there is none that counts: with
 * keep points behind activations, whose pieces nothing holds, the program is not exact. */
static nm_status take_conflict(nm_elastic *e, bool *taken, nm_err *err)
{
    nm_search *s = e->search;
    nm_conflict_report c = {.kind = NM_CONFLICT_ROWS};
    nm_status rc = NM_OK;

    *taken = false;
    NM_TRY(nm_alloc(&c.points, (size_t)e->n, sizeof *c.points, err));
    NM_TRY(nm_alloc(&c.keep, (size_t)s->n_keep, sizeof *c.keep, err));
    for (int64_t p = 0; s->conflict && p < e->n; p++)
        if (s->conflict[p] && !e->out[p])
            c.points[c.n_points++] = p;
    for (int64_t k = 0; s->conflict && k < s->n_keep; k++)
        if (s->keep_slot[k] >= 0 && s->conflict[s->keep_slot[k]])
            c.keep[c.n_keep++] = k;
    if (c.n_points > 0 && (c.n_keep == 0 || s->active->affine)) {
        *taken = true;
        rc = push_conflict(e, &c, err);
        c = (nm_conflict_report){0};
        if (rc == NM_OK && s->certificate.kind == NM_CERTIFIED_INFEASIBLE) {
            e->certificates[e->n_conflicts - 1] = s->certificate;
            s->certificate = (nm_certificate){0};
        }
    }
done:
    clear_conflict(&c);
    return rc;
}

static bool is_met(const nm_elastic *e, const nm_conflict_report *c)
{
    for (int64_t i = 0; i < c->n_points; i++)
        if (e->out[c->points[i]])
            return true;
    return false;
}

/* A known conflict among the points that take part, -1 if there is none. */
static int64_t known_conflict(const nm_elastic *e)
{
    for (int64_t i = 0; i < e->n_conflicts; i++)
        if (!is_met(e, &e->conflicts[i]))
            return i;
    return -1;
}

/* The smallest set known to meet the conflicts, those left out not counted if `open`.
 *  @param least  out: a bound on how small it could be */
static nm_status meet_conflicts(nm_elastic *e, bool open, bool *hit, int64_t *least, nm_err *err)
{
    nm_family family = {.n_elements = e->n};
    int64_t *start = NULL, *member = NULL, n = 0;
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < e->n_conflicts; i++)
        n += e->conflicts[i].n_points;
    NM_TRY(nm_alloc(&start, (size_t)e->n_conflicts + 1, sizeof *start, err));
    NM_TRY(nm_alloc(&member, (size_t)n, sizeof *member, err));
    n = 0;
    for (int64_t i = 0; i < e->n_conflicts; i++) {
        const nm_conflict_report *c = &e->conflicts[i];

        if (open && is_met(e, c))
            continue;
        memcpy(member + n, c->points, (size_t)c->n_points * sizeof *member);
        n += c->n_points;
        start[++family.n_sets] = n;
    }
    family.start = start;
    family.member = member;
    rc = nm_hitting_set(&family, HITTING_WORK, hit, least, err);
done:
    nm_free(start);
    nm_free(member);
    return rc;
}

/* -- points that are not reached ----------------------------------------------------------------- */

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

    return e->margin[p] - nm_smallest_gap(s->original_scores + p * n, n, s->demand.target[p]);
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
    int64_t n, in = count_in(e);
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
           (long long)n, (long long)count_in(e));
done:
    nm_free(list);
    return rc;
}

/* -- one search --------------------------------------------------------------------------------- */

static void remember_found(nm_elastic *e)
{
    const nm_search *s = e->search;
    int64_t in = count_in(e);

    if (in >= e->n_best) {
        memcpy(e->best, s->delta, (size_t)s->params->n * sizeof *e->best);
        e->n_best = in;
    }
}

/* Searches for the points that take part. What stands in the way otherwise is known afterwards: a
 * conflict more, or points that are stuck (and out already). */
static nm_status try_points(nm_elastic *e, bool loose, bool *found, nm_err *err)
{
    nm_search *s = e->search;
    nm_search_outcome outcome = NM_SEARCH_GAVE_UP;
    int64_t known = e->n_conflicts;
    bool taken = false;
    nm_status rc = NM_OK;

    *found = false;
    ask_margins(e);
    NM_TRY(find_twins(e, err));
    if (e->n_conflicts > known)
        goto done;
    s->opts = loose ? &e->loose : e->opts;
    rc = nm_search_run(s, &outcome, err);
    s->opts = e->opts;
    e->rounds += s->rounds;
    e->linearisations += s->linearisations;
    if (rc != NM_OK)
        goto done;
    *found = outcome == NM_SEARCH_FOUND;
    if (*found)
        remember_found(e);
    else if (outcome == NM_SEARCH_INFEASIBLE)
        NM_TRY(take_conflict(e, &taken, err));
    if (!*found && !taken)
        NM_TRY(leave_laggards(e, err));
    nm_progress(s->ctx, "leaving out", e->n - count_in(e), e->n, (double)e->n_conflicts);
    nm_log(s->ctx, NM_LOG_INFO, "elastic: %lld of %lld points %s, %lld conflicts known",
           (long long)count_in(e), (long long)e->n, *found ? "can be repaired" : "cannot",
           (long long)e->n_conflicts);
done:
    return rc;
}

/* -- the largest set, where proofs can be had ------------------------------------------------------ */

static void leave_conflicts(nm_elastic *e, int64_t since)
{
    for (int64_t c = since; c < e->n_conflicts; c++)
        for (int64_t i = 0; i < e->conflicts[c].n_points; i++)
            e->out[e->conflicts[c].points[i]] = true;
}

/* The points that take part come in by and by; all points of each conflict on the way leave for
 * good. The conflicts have no common points, so their number is a bound; and they are found in
 * small programs, where most points of large ones may be impossible. */
static nm_status find_disjoint(nm_elastic *e, nm_err *err)
{
    enum { BLOCK = 8 };
    bool *waiting = NULL, found;
    int64_t next = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&waiting, (size_t)e->n, sizeof *waiting, err));
    for (int64_t p = 0; p < e->n; p++) {
        waiting[p] = !e->out[p];
        e->out[p] = true;
    }
    while (next < e->n) {
        int64_t known = e->n_conflicts;

        for (int64_t fresh = 0; next < e->n && fresh < BLOCK; next++)
            if (waiting[next]) {
                e->out[next] = false;
                fresh++;
            }
        for (found = false; !found && count_in(e) > 0; known = e->n_conflicts) {
            NM_TRY(try_points(e, true, &found, err));
            leave_conflicts(e, known);
        }
    }
done:
    nm_free(waiting);
    return rc;
}

static int64_t count_conflicts_of(const nm_elastic *e, int64_t p)
{
    int64_t n = 0;

    for (int64_t c = 0; c < e->n_conflicts; c++)
        for (int64_t i = 0; i < e->conflicts[c].n_points; i++)
            n += e->conflicts[c].points[i] == p;
    return n;
}

/* Of the points of a conflict the one in most conflicts leaves. */
static void leave_most_conflicting(nm_elastic *e, const nm_conflict_report *c)
{
    int64_t worst = c->points[0], most = 0;

    for (int64_t i = 0; i < c->n_points; i++) {
        int64_t n = count_conflicts_of(e, c->points[i]);

        if (n > most) {
            most = n;
            worst = c->points[i];
        }
    }
    e->out[worst] = true;
}

static nm_status shrink_until_found(nm_elastic *e, nm_err *err)
{
    bool found = false;
    nm_status rc = NM_OK;

    while (!found && count_in(e) > 0) {
        int64_t c = known_conflict(e);

        if (c >= 0)
            leave_most_conflicting(e, &e->conflicts[c]);
        else
            NM_TRY(try_points(e, true, &found, err));
    }
done:
    return rc;
}

/* Point p comes back if there is a solution with it; else all is as before. */
static nm_status bring_back_one(nm_elastic *e, int64_t p, nm_err *err)
{
    bool *out = NULL, *stuck = NULL, found = false;
    size_t n = (size_t)e->n;
    int64_t known = e->n_conflicts;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&out, e->out, n, sizeof *out, err));
    NM_TRY(nm_memdup(&stuck, e->stuck, n, sizeof *stuck, err));
    e->out[p] = false;
    if (known_conflict(e) < 0) {
        NM_TRY(try_points(e, true, &found, err));
        stuck[p] = !found && e->n_conflicts == known; /* no solution, no proof */
    }
    if (!found) {
        memcpy(e->out, out, n * sizeof *out);
        memcpy(e->stuck, stuck, n * sizeof *stuck);
    }
done:
    nm_free(out);
    nm_free(stuck);
    return rc;
}

/* Points that left come back one by one where they fit. */
static nm_status bring_back(nm_elastic *e, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < e->n; p++)
        if (e->out[p] && !e->stuck[p])
            NM_TRY(bring_back_one(e, p, err));
done:
    return rc;
}

/* What leaves is the smallest set that meets the known conflicts. *found: the rest has a solution
 * (or is empty); *least: no fewer can leave. */
static nm_status try_smallest(nm_elastic *e, bool loose, bool *found, bool *least, nm_err *err)
{
    bool *hit = NULL;
    int64_t bound, size = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&hit, (size_t)e->n, sizeof *hit, err));
    leave_out_stuck(e);
    NM_TRY(meet_conflicts(e, true, hit, &bound, err));
    for (int64_t p = 0; p < e->n; p++) {
        size += hit[p];
        e->out[p] = hit[p] || e->stuck[p];
    }
    *least = bound == size;
    *found = count_in(e) == 0;
    if (!*found)
        NM_TRY(try_points(e, loose, found, err));
done:
    nm_free(hit);
    return rc;
}

static nm_status choose_proven(nm_elastic *e, nm_err *err)
{
    bool found = false, least = false;
    nm_status rc = NM_OK;

    leave_out_stuck(e);
    NM_TRY(find_disjoint(e, err));
    for (int i = 0; i < e->max_tests && !found; i++)
        NM_TRY(try_smallest(e, true, &found, &least, err));
    if (found && least)
        goto done;
    if (!found) {
        leave_out_stuck(e);
        NM_TRY(shrink_until_found(e, err));
    }
    NM_TRY(bring_back(e, err));
done:
    return rc;
}

/* -- once more, from the network that was found --------------------------------------------------- */

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
    NM_TRY(find_twins(e, err));
    *found = known_conflict(e) < 0;
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
            NM_TRY(bring_back_one(e, p, err));
        }
    NM_TRY(try_points(e, false, found, err));
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

/* -- all together --------------------------------------------------------------------------------- */

static nm_status find_largest(nm_elastic *e, nm_search_outcome *outcome, nm_err *err)
{
    bool exact = nm_search_is_exact(e->search), found = false, least;
    nm_status rc = NM_OK;

    NM_TRY(try_points(e, false, &found, err));
    while (!found && count_in(e) > 0) {
        if (exact)
            NM_TRY(choose_proven(e, err));
        if (!exact)
            NM_TRY(try_smallest(e, false, &found, &least, err));
        else if (count_in(e) > 0)
            NM_TRY(try_points(e, false, &found, err));
    }
    *outcome = count_in(e) > 0       ? NM_SEARCH_FOUND
               : count_stuck(e) == 0 ? NM_SEARCH_INFEASIBLE
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

/* -- what came of it -------------------------------------------------------------------------------- */

/* The conflict that says most about point p: one of which it is the only point left out. */
static int64_t conflict_of(const nm_repair_report *r, const bool *passes, int64_t p)
{
    int64_t best = -1, least = INT64_MAX;

    for (int64_t c = 0; c < r->n_conflicts; c++) {
        const nm_conflict_report *conflict = &r->conflicts[c];
        int64_t others = 0;
        bool holds = false;

        for (int64_t i = 0; i < conflict->n_points; i++) {
            holds = holds || conflict->points[i] == p;
            others += conflict->points[i] != p && !passes[conflict->points[i]];
        }
        if (holds && others < least) {
            least = others;
            best = c;
        }
    }
    return best;
}

static nm_unrepaired explain(const nm_elastic *e, const nm_repair_report *r, const bool *passes,
                             bool right, int64_t p)
{
    nm_unrepaired u = {.point = p, .conflict = conflict_of(r, passes, p)};

    if (u.conflict >= 0 && !e->stuck[p])
        u.why = NM_LEFT_CONFLICT;
    else if (!isfinite(e->margin[p]))
        u.why = NM_LEFT_OVERFLOW;
    else if (right)
        u.why = NM_LEFT_NOT_SAFE;
    else
        u.why = r->stopped ? NM_LEFT_STOPPED : NM_LEFT_NOT_REACHED;
    if (u.why != NM_LEFT_CONFLICT)
        u.conflict = -1;
    return u;
}

/* Statements of a claim, where claims are wanted. */
static nm_status report_certificates(nm_elastic *e, nm_repair_report *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; e->opts->certify && rc == NM_OK && i < e->n_conflicts; i++) {
        const nm_conflict_report *c = &e->conflicts[i];

        if (c->kind == NM_CONFLICT_TWINS && c->n_keep == 0)
            rc = nm_report_twins(c->points[0], c->points[1], r, err);
        else if (e->certificates[i].n_rows > 0)
            rc = nm_report_add_certificate(&e->certificates[i], r, err);
    }
    return rc;
}

nm_status nm_elastic_report(nm_elastic *e, const bool *passes, const bool *right,
                            nm_repair_report *r, nm_err *err)
{
    bool *hit = NULL;
    int64_t least;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&hit, (size_t)e->n, sizeof *hit, err));
    NM_TRY(meet_conflicts(e, false, hit, &least, err));
    r->repairable_at_most = e->n - least;
    NM_TRY(report_certificates(e, r, err));
    r->conflicts = e->conflicts;
    r->n_conflicts = e->n_conflicts;
    e->conflicts = NULL;
    for (int64_t i = 0; i < e->n_conflicts; i++)
        nm_certificate_clear(&e->certificates[i]);
    e->n_conflicts = e->room = 0;
    NM_TRY(nm_alloc(&r->unrepaired, (size_t)e->n, sizeof *r->unrepaired, err));
    for (int64_t p = 0; p < e->n; p++)
        if (!passes[p])
            r->unrepaired[r->n_unrepaired++] = explain(e, r, passes, right[p], p);
done:
    nm_free(hit);
    return rc;
}
