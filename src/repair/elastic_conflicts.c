#include "repair/elastic_conflicts.h"

#include <string.h>

#include "base/mem.h"
#include "repair/conflicts.h"
#include "solve/hitting.h"

/* Memory touched by one search for a hitting set: a fraction of a second. */
static const int64_t HITTING_WORK = 200000000;

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
        nm_conflict_clear(conflict);
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
        nm_conflict_clear(&c);
        return rc;
    }
    c.points[c.n_points++] = a;
    if (b >= 0)
        c.points[c.n_points++] = b;
    else
        c.keep[c.n_keep++] = keep;
    return push_conflict(e, &c, err);
}

nm_status nm_elastic_find_twins(nm_elastic *e, nm_err *err)
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

nm_status nm_elastic_take_conflict(nm_elastic *e, bool *taken, nm_err *err)
{
    nm_search *s = e->search;
    nm_conflict_report c;
    nm_status rc = NM_OK;

    NM_TRY(nm_conflict_take(s, &c, err));
    *taken = c.n_points > 0;
    if (!*taken)
        goto done;
    rc = push_conflict(e, &c, err);
    c = (nm_conflict_report){0};
    if (rc == NM_OK && s->certificate.kind == NM_CERTIFIED_INFEASIBLE) {
        e->certificates[e->n_conflicts - 1] = s->certificate;
        s->certificate = (nm_certificate){0};
    }
done:
    nm_conflict_clear(&c);
    return rc;
}

static bool is_met(const nm_elastic *e, const nm_conflict_report *c)
{
    for (int64_t i = 0; i < c->n_points; i++)
        if (e->out[c->points[i]])
            return true;
    return false;
}

int64_t nm_elastic_known_conflict(const nm_elastic *e)
{
    for (int64_t i = 0; i < e->n_conflicts; i++)
        if (!is_met(e, &e->conflicts[i]))
            return i;
    return -1;
}

nm_status nm_elastic_meet(const nm_elastic *e, bool open, bool *hit, int64_t *least, nm_err *err)
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
