#include "solve/projection.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/ldp.h"

double nm_polytope_excess(const nm_polytope *p, int64_t n, const double *y)
{
    double worst = -INFINITY;

    for (int64_t i = 0; i < p->n_rows; i++) {
        double sum = -p->d[i];

        for (int64_t k = 0; k < n; k++)
            sum += p->c[i * n + k] * y[k];
        if (!(sum <= worst)) /* what is no number is an excess, too */
            worst = sum;
    }
    return worst;
}

bool nm_union_holds(const nm_union *u, int64_t n, const double *y)
{
    for (int64_t i = 0; i < u->n_pieces; i++)
        if (nm_polytope_excess(&u->pieces[i], n, y) <= 0)
            return true;
    return false;
}

/* -- one polytope ------------------------------------------------------------------------- */

/* Rows as the least-distance method wants them, for x = z - y: unit length, R x >= h.
   @return how many; -1 if a row 0 . y <= d < 0 excludes everything */
static int64_t scale_rows(const nm_polytope *p, int64_t n, const double *y, double *r, double *h)
{
    int64_t m = 0;

    for (int64_t i = 0; i < p->n_rows; i++) {
        const double *c = p->c + i * n;
        double length = cblas_dnrm2((int)n, c, 1);

        if (length == 0 && p->d[i] < 0)
            return -1;
        if (length == 0)
            continue;
        for (int64_t k = 0; k < n; k++)
            r[m * n + k] = -c[k] / length;
        h[m] = -p->d[i] / length - cblas_ddot((int)n, r + m * n, 1, y, 1);
        m++;
    }
    return m;
}

static nm_status solve_rows(const nm_ctx *ctx, int64_t m, int64_t n, const double *r,
                            const double *h, double *x, nm_ldp_outcome *outcome, nm_err *err)
{
    nm_ldp ldp = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_ldp_grow(&ldp, m, err));
    memcpy(ldp.h, h, (size_t)m * sizeof *h);
    for (int64_t i = 0; i < m; i++)
        for (int64_t k = 0; k < m; k++)
            ldp.k[i * ldp.capacity + k] = cblas_ddot((int)n, r + i * n, 1, r + k * n, 1);
    NM_TRY(nm_ldp_solve(&ldp, ctx, outcome, err));
    for (int64_t i = 0; *outcome == NM_LDP_SOLVED && i < m; i++)
        cblas_daxpy((int)n, ldp.y[i], r + i * n, 1, x, 1);
done:
    nm_ldp_free(&ldp);
    return rc;
}

nm_status nm_project_polytope(const nm_ctx *ctx, const nm_polytope *p, int64_t n, const double *y,
                              double *z, nm_nearest *out, nm_err *err)
{
    nm_ldp_outcome outcome = NM_LDP_SOLVED;
    double *r = NULL, *h = NULL, *x = NULL;
    int64_t m;
    nm_status rc = NM_OK;

    *out = (nm_nearest){.piece = -1, .distance = INFINITY, .unique = true, .runner_up = INFINITY};
    NM_TRY(nm_alloc(&r, (size_t)p->n_rows, (size_t)n * sizeof *r, err));
    NM_TRY(nm_alloc(&h, (size_t)p->n_rows, sizeof *h, err));
    NM_TRY(nm_alloc(&x, (size_t)n, sizeof *x, err));
    m = scale_rows(p, n, y, r, h);
    if (m > 0)
        NM_TRY(solve_rows(ctx, m, n, r, h, x, &outcome, err));
    if (m < 0 || outcome == NM_LDP_INFEASIBLE) {
        out->outcome = NM_NEAREST_EMPTY;
        out->n_empty = 1;
    } else if (outcome == NM_LDP_STALLED) {
        out->outcome = NM_NEAREST_UNKNOWN;
    } else {
        for (int64_t k = 0; k < n; k++)
            z[k] = y[k] + x[k];
        out->piece = 0;
        out->distance = cblas_dnrm2((int)n, x, 1);
    }
done:
    nm_free(r);
    nm_free(h);
    nm_free(x);
    return rc;
}

/* -- a union ------------------------------------------------------------------------------ */

static double distance(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t k = 0; k < n; k++)
        sum = hypot(sum, a[k] - b[k]);
    return sum;
}

/* A point of piece i joins the others. Points nearer to each other than `same` are one point. */
static void take_piece(nm_nearest *out, int64_t i, const nm_nearest *got, const double *point,
                       double same, int64_t n, double *z)
{
    bool other = out->piece >= 0 && distance(point, z, n) > same;

    if (got->distance < out->distance) {
        if (other)
            out->runner_up = out->distance;
        out->distance = got->distance;
        out->piece = i;
        memcpy(z, point, (size_t)n * sizeof *z);
    } else if (other) {
        out->runner_up = fmin(out->runner_up, got->distance);
    }
}

nm_status nm_project_union(const nm_ctx *ctx, const nm_union *u, int64_t n, const double *y,
                           double *z, nm_nearest *out, nm_err *err)
{
    const double rounding = 1e-9;
    double same = rounding * (1 + cblas_dnrm2((int)n, y, 1)), *point = NULL;
    bool unknown = false;
    nm_status rc = NM_OK;

    *out = (nm_nearest){.piece = -1, .distance = INFINITY, .runner_up = INFINITY};
    NM_TRY(nm_alloc(&point, (size_t)n, sizeof *point, err));
    for (int64_t i = 0; i < u->n_pieces; i++) {
        nm_nearest got;

        NM_TRY(nm_project_polytope(ctx, &u->pieces[i], n, y, point, &got, err));
        unknown = unknown || got.outcome == NM_NEAREST_UNKNOWN;
        out->n_empty += got.n_empty;
        if (got.outcome == NM_NEAREST_FOUND)
            take_piece(out, i, &got, point, same, n, z);
    }
    out->outcome = out->piece >= 0 ? NM_NEAREST_FOUND
                   : unknown       ? NM_NEAREST_UNKNOWN
                                   : NM_NEAREST_EMPTY;
    out->unique = !(out->runner_up <= out->distance + same);
done:
    nm_free(point);
    return rc;
}
