#include "repair/certificate.h"

#include <stdlib.h>

#include "base/mem.h"

void nm_certificate_clear(nm_certificate *certificate)
{
    nm_free(certificate->rows);
    *certificate = (nm_certificate){0};
}

static int by_point(const void *a, const void *b)
{
    const nm_certificate_row *ra = a, *rb = b;

    if (ra->keep != rb->keep)
        return ra->keep ? 1 : -1;
    if (ra->point != rb->point)
        return ra->point < rb->point ? -1 : 1;
    if (ra->op != rb->op)
        return ra->op < rb->op ? -1 : 1;
    return ra->k < rb->k ? -1 : ra->k > rb->k;
}

/* Keep points behind the active points that are no repair points: [active points - n_repair]. */
static nm_status keep_points(const nm_search *s, int64_t **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, (size_t)(s->active->at->n - s->n_repair), sizeof **out, err);

    for (int64_t p = 0; rc == NM_OK && p < s->n_keep; p++)
        if (s->keep_slot[p] >= 0)
            (*out)[s->keep_slot[p] - s->n_repair] = p;
    return rc;
}

/* The row with its name in the task, and what it asks for. */
static nm_certificate_row name_row(const nm_search *s, const nm_row_id *row, const int64_t *keep,
                                   double y)
{
    bool is_keep = row->point >= s->n_repair;

    return (nm_certificate_row){.keep = is_keep,
                                .point = is_keep ? keep[row->point - s->n_repair] : row->point,
                                .op = row->kind == NM_ROW_PIN ? row->op : -1,
                                .k = row->k,
                                .margin = s->demand.margin[row->point],
                                .y = y};
}

nm_status nm_certify_program(const nm_search *s, void *program, bool infeasible,
                             nm_certificate *out, nm_err *err)
{
    int64_t n, *keep = NULL;
    nm_row_id *rows = NULL;
    double *y = NULL;
    nm_status rc = NM_OK;

    if (!s->opts->certify)
        return NM_OK;
    NM_TRY(keep_points(s, &keep, err));
    NM_TRY(s->engine->multipliers(program, infeasible, &rows, &y, &n, err));
    NM_TRY(nm_alloc(&out->rows, (size_t)n, sizeof *out->rows, err));
    out->kind = infeasible ? NM_CERTIFIED_INFEASIBLE : NM_CERTIFIED_OPTIMUM;
    for (int64_t r = 0; r < n; r++)
        if (y[r] > 0)
            out->rows[out->n_rows++] = name_row(s, &rows[r], keep, y[r]);
    qsort(out->rows, (size_t)out->n_rows, sizeof *out->rows, by_point);
done:
    nm_free(keep);
    nm_free(rows);
    nm_free(y);
    return rc;
}

nm_status nm_report_add_certificate(nm_certificate *certificate, nm_repair_report *r,
                                    nm_err *err)
{
    nm_status rc =
        nm_realloc(&r->certificates, (size_t)r->n_certificates + 1, sizeof *r->certificates, err);

    if (rc != NM_OK)
        return rc;
    r->certificates[r->n_certificates++] = *certificate;
    *certificate = (nm_certificate){0};
    return NM_OK;
}

nm_status nm_report_certificate(nm_search *s, nm_repair_report *r, nm_err *err)
{
    nm_certified wanted =
        r->outcome == NM_INFEASIBLE ? NM_CERTIFIED_INFEASIBLE : NM_CERTIFIED_OPTIMUM;

    if (s->certificate.n_rows == 0 || s->certificate.kind != wanted ||
        (r->outcome != NM_INFEASIBLE && r->outcome != NM_REPAIRED))
        return NM_OK;
    return nm_report_add_certificate(&s->certificate, r, err);
}

nm_status nm_report_twins(int64_t a, int64_t b, nm_repair_report *r, nm_err *err)
{
    nm_certificate twins = {.kind = NM_CERTIFIED_TWINS, .n_rows = 2};
    nm_status rc = nm_alloc(&twins.rows, 2, sizeof *twins.rows, err);

    if (rc != NM_OK)
        return rc;
    twins.rows[0] = (nm_certificate_row){.point = a, .op = -1, .k = -1};
    twins.rows[1] = (nm_certificate_row){.point = b, .op = -1, .k = -1};
    rc = nm_report_add_certificate(&twins, r, err);
    nm_certificate_clear(&twins);
    return rc;
}
