#include "repair/conflicts.h"

#include <stdio.h>

#include "base/mem.h"
#include "repair/certificate.h"

void nm_conflict_clear(nm_conflict_report *conflict)
{
    nm_free(conflict->points);
    nm_free(conflict->keep);
    *conflict = (nm_conflict_report){0};
}

nm_status nm_conflict_take(const nm_search *s, nm_conflict_report *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_conflict_report){.kind = NM_CONFLICT_ROWS};
    NM_TRY(nm_alloc(&out->points, (size_t)s->n_repair, sizeof *out->points, err));
    NM_TRY(nm_alloc(&out->keep, (size_t)s->n_keep, sizeof *out->keep, err));
    for (int64_t p = 0; s->conflict && p < s->n_repair; p++)
        if (s->conflict[p])
            out->points[out->n_points++] = p;
    for (int64_t k = 0; s->conflict && k < s->n_keep; k++)
        if (s->keep_slot[k] >= 0 && s->conflict[s->keep_slot[k]])
            out->keep[out->n_keep++] = k;
    if (out->n_keep > 0 && !s->active->affine)
        out->n_points = 0;
done:
    return rc;
}

nm_status nm_report_main_conflict(const nm_conflict_report *c, nm_repair_report *r, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&r->conflict, c->points, (size_t)c->n_points, sizeof *r->conflict, err));
    NM_TRY(nm_memdup(&r->conflict_keep, c->keep, (size_t)c->n_keep, sizeof *c->keep, err));
    r->n_conflict = c->n_points;
    r->n_conflict_keep = c->n_keep;
done:
    return rc;
}

/* The only conflict of an infeasible repair; taken over. */
static nm_status report_conflict(const nm_search *s, nm_conflict_report *c, nm_repair_report *r,
                                 nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_report_main_conflict(c, r, err));
    NM_TRY(nm_alloc(&r->conflicts, 1, sizeof *r->conflicts, err));
    r->conflicts[0] = *c;
    r->n_conflicts = 1;
    *c = (nm_conflict_report){0};
    r->outcome = NM_INFEASIBLE;
    r->repairable_at_most = s->n_repair - 1;
done:
    return rc;
}

nm_status nm_report_proof(const nm_search *s, nm_repair_report *r, nm_err *err)
{
    nm_conflict_report c;
    nm_status rc = nm_conflict_take(s, &c, err);

    if (rc == NM_OK && c.n_points > 0)
        rc = report_conflict(s, &c, r, err);
    else if (rc == NM_OK)
        (void)snprintf(r->reason, sizeof r->reason,
                       "the program seems to have no solution, but there is no proof");
    nm_conflict_clear(&c);
    return rc;
}

/* The first pair of twins, -1 if there is none. @param b  a keep point where *keep */
static int64_t find_pair(const nm_search *s, const nm_twins *twins, int64_t *b, bool *keep)
{
    for (int64_t p = 0; p < s->n_repair; p++) {
        int64_t twin = nm_twins_against(twins, s->demand.target, NULL, p);

        *keep = twin < 0;
        *b = twin < 0 ? twins->keep[p] : p;
        if (*b >= 0)
            return twin < 0 ? p : twin;
    }
    return -1;
}

nm_status nm_report_twin_points(const nm_search *s, const nm_twins *twins, bool certify,
                                nm_repair_report *r, bool *found, nm_err *err)
{
    nm_conflict_report c = {.kind = NM_CONFLICT_TWINS};
    bool keep;
    int64_t b, a = find_pair(s, twins, &b, &keep);
    nm_status rc = NM_OK;

    *found = a >= 0;
    if (!*found)
        return NM_OK;
    NM_TRY(nm_alloc(&c.points, 2, sizeof *c.points, err));
    NM_TRY(nm_alloc(&c.keep, 1, sizeof *c.keep, err));
    c.points[c.n_points++] = a;
    if (keep)
        c.keep[c.n_keep++] = b;
    else
        c.points[c.n_points++] = b;
    (void)snprintf(r->reason, sizeof r->reason,
                   "points %lld and %lld%s reach the edited layer as the same numbers but have "
                   "labels %lld and %lld",
                   (long long)a, (long long)b, keep ? " of the keep set" : "",
                   (long long)s->demand.target[a],
                   (long long)(keep ? s->keep_target[b] : s->demand.target[b]));
    if (certify && !keep)
        NM_TRY(nm_report_twins(a, b, r, err));
    NM_TRY(report_conflict(s, &c, r, err));
done:
    nm_conflict_clear(&c);
    return rc;
}
