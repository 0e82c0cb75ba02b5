/* The largest set that can be repaired, where proofs of conflicts can be had. */
#include "repair/elastic_proven.h"

#include <string.h>

#include "base/mem.h"

static void leave_conflicts(nm_elastic *e, int64_t since)
{
    for (int64_t c = since; c < e->n_conflicts; c++)
        for (int64_t i = 0; i < e->conflicts[c].n_points; i++)
            e->out[e->conflicts[c].points[i]] = true;
}

/* The points that take part come in by and by (twice as many where all went well, few after a
 * conflict); all points of each conflict on the way leave for good. The conflicts have no common
 * points, so their number is a bound; and they are found in small programs, where most points of
 * large ones may be impossible. */
static nm_status find_disjoint(nm_elastic *e, nm_err *err)
{
    bool *waiting = NULL, found;
    int64_t next = 0, block = NM_FEW_POINTS;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&waiting, (size_t)e->n, sizeof *waiting, err));
    for (int64_t p = 0; p < e->n; p++) {
        waiting[p] = !e->out[p];
        e->out[p] = true;
    }
    while (next < e->n) {
        int64_t known = e->n_conflicts, before = known;

        for (int64_t fresh = 0; next < e->n && fresh < block; next++)
            if (waiting[next]) {
                e->out[next] = false;
                fresh++;
            }
        for (found = false; !found && nm_elastic_count_in(e) > 0; known = e->n_conflicts) {
            NM_TRY(nm_elastic_try(e, true, &found, err));
            leave_conflicts(e, known);
        }
        block = e->n_conflicts == before ? 2 * block : NM_FEW_POINTS;
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

    while (!found && nm_elastic_count_in(e) > 0) {
        int64_t c = nm_elastic_known_conflict(e);

        if (c >= 0)
            leave_most_conflicting(e, &e->conflicts[c]);
        else
            NM_TRY(nm_elastic_try(e, true, &found, err));
    }
done:
    return rc;
}

nm_status nm_elastic_bring_back_one(nm_elastic *e, int64_t p, nm_err *err)
{
    bool *out = NULL, *stuck = NULL, found = false;
    size_t n = (size_t)e->n;
    int64_t known = e->n_conflicts;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&out, e->out, n, sizeof *out, err));
    NM_TRY(nm_memdup(&stuck, e->stuck, n, sizeof *stuck, err));
    e->out[p] = false;
    if (nm_elastic_known_conflict(e) < 0) {
        NM_TRY(nm_elastic_try(e, true, &found, err));
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
            NM_TRY(nm_elastic_bring_back_one(e, p, err));
done:
    return rc;
}

nm_status nm_elastic_try_smallest(nm_elastic *e, bool loose, bool *found, bool *least, nm_err *err)
{
    bool *hit = NULL;
    int64_t bound, size = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&hit, (size_t)e->n, sizeof *hit, err));
    nm_elastic_leave_out_stuck(e);
    NM_TRY(nm_elastic_meet(e, true, hit, &bound, err));
    for (int64_t p = 0; p < e->n; p++) {
        size += hit[p];
        e->out[p] = hit[p] || e->stuck[p];
    }
    *least = bound == size;
    *found = nm_elastic_count_in(e) == 0;
    if (!*found)
        NM_TRY(nm_elastic_try(e, loose, found, err));
done:
    nm_free(hit);
    return rc;
}

nm_status nm_elastic_choose_proven(nm_elastic *e, nm_err *err)
{
    bool found = false, least = false;
    nm_status rc = NM_OK;

    nm_elastic_leave_out_stuck(e);
    NM_TRY(find_disjoint(e, err));
    if (e->n_conflicts == 0)
        goto done;
    for (int i = 0; i < e->max_tests && !found; i++)
        NM_TRY(nm_elastic_try_smallest(e, true, &found, &least, err));
    if (found && least)
        goto done;
    if (!found) {
        nm_elastic_leave_out_stuck(e);
        NM_TRY(shrink_until_found(e, err));
    }
    NM_TRY(bring_back(e, err));
done:
    return rc;
}
