/* What came of an elastic search, in the report. */
#include <math.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/elastic_conflicts.h"

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
    NM_TRY(nm_elastic_meet(e, false, hit, &least, err));
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
