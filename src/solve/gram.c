#include "solve/gram.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

/* Below these, relative to the largest multiplier and to a row's own size, nothing is wrong. */
static const double TINY_MULTIPLIER = 1e-12;
static const double TINY_SLACK = 1e-11;
/* A row whose squared length outside the span of the earlier ones is less adds nothing. */
static const double DEPENDENT = 1e-11;
/* Multipliers so large cancel to noise: the rows of the basis (nearly) contradict each other. */
static const double HOPELESS = 1e10;

/* -- room -------------------------------------------------------------------------------- */

static nm_status widen(nm_gram *g, int64_t capacity, nm_err *err)
{
    double *wide;
    size_t elements;
    nm_status rc;

    if (!nm_mul_size((size_t)capacity, (size_t)capacity, &elements))
        return nm_fail(err, NM_E_NOMEM, "out of memory: products of %lld rows",
                       (long long)capacity);
    rc = nm_alloc(&wide, elements, sizeof *wide, err);
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < g->m; i++)
        memcpy(wide + i * capacity, g->k + i * g->capacity, (size_t)g->m * sizeof *wide);
    nm_free(g->k);
    g->k = wide;
    g->capacity = capacity;
    return NM_OK;
}

nm_status nm_gram_grow(nm_gram *g, int64_t m, nm_err *err)
{
    int64_t wanted = g->capacity + g->capacity / 2;
    int64_t capacity = m > wanted ? m : wanted;
    size_t room = (size_t)capacity;
    nm_status rc = NM_OK;

    if (m > g->capacity) {
        NM_TRY(nm_realloc(&g->h, room, sizeof *g->h, err));
        NM_TRY(nm_realloc(&g->scale, room, sizeof *g->scale, err));
        NM_TRY(nm_realloc(&g->y, room, sizeof *g->y, err));
        NM_TRY(nm_realloc(&g->slack, room, sizeof *g->slack, err));
        NM_TRY(nm_realloc(&g->in, room, sizeof *g->in, err));
        NM_TRY(nm_realloc(&g->work, room, sizeof *g->work, err));
        NM_TRY(nm_realloc(&g->place, room, sizeof *g->place, err));
        NM_TRY(widen(g, capacity, err));
    }
    for (int64_t i = g->m; i < m; i++) {
        g->y[i] = 0;
        g->in[i] = false;
    }
    g->m = m;
done:
    return rc;
}

void nm_gram_take(nm_gram *g, int64_t first)
{
    for (int64_t i = first; i < g->m; i++) {
        double square = g->k[i * (g->capacity + 1)];

        g->scale[i] = square > 0 ? 1 / sqrt(square) : 1;
        g->h[i] *= g->scale[i];
    }
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = i < first ? first : 0; j < g->m; j++)
            g->k[i * g->capacity + j] *= g->scale[i] * g->scale[j];
}

void nm_gram_free(nm_gram *g)
{
    nm_free(g->k);
    nm_free(g->h);
    nm_free(g->scale);
    nm_free(g->y);
    nm_free(g->slack);
    nm_free(g->in);
    nm_free(g->factor);
    nm_free(g->work);
    nm_free(g->place);
    nm_ldp_free(&g->ldp);
    *g = (nm_gram){0};
}

/* -- one basis --------------------------------------------------------------------------- */

/* The basis' part of K, factored. Rows that depend on earlier ones leave the basis.
 * @return false if numbers got out of hand */
static nm_status factor_basis(nm_gram *g, const nm_ctx *ctx, bool *ok, nm_err *err)
{
    int64_t n = 0, kept = 0;
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < g->m; i++)
        if (g->in[i])
            g->place[n++] = i;
    if (n > g->factor_room) {
        NM_TRY(nm_realloc(&g->factor, (size_t)n, (size_t)n * sizeof *g->factor, err));
        g->factor_room = n;
    }
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = 0; q <= p; q++)
            g->factor[p * n + q] = g->k[g->place[p] * g->capacity + g->place[q]];
    *ok = nm_dense_cholesky(nm_ctx_threads(ctx), n, g->factor, n, DEPENDENT) >= 0;
    for (int64_t p = 0; p < n; p++) {
        g->in[g->place[p]] = g->factor[p * (n + 1)] < 1e32;
        kept += g->in[g->place[p]];
    }
    g->n_in = n;
    if (*ok && kept < n) /* once more without them */
        rc = factor_basis(g, ctx, ok, err);
done:
    return rc;
}

/* y of the basis for right side b (by rows), refined once. */
static void solve_basis(nm_gram *g, double *y)
{
    int64_t n = g->n_in;

    for (int64_t p = 0; p < n; p++)
        g->work[p] = g->h[g->place[p]];
    nm_dense_cholesky_solve(n, g->factor, n, g->work);
    memset(y, 0, (size_t)g->m * sizeof *y);
    for (int64_t p = 0; p < n; p++)
        y[g->place[p]] = g->work[p];
}

static void compute_slack(nm_gram *g, int threads)
{
    enum { STRIP = 32 };
    int64_t strips = (g->m + STRIP - 1) / STRIP;

#pragma omp parallel for schedule(static) num_threads(threads) if (g->m > 512)
    for (int64_t s = 0; s < strips; s++) {
        int64_t first = s * STRIP, rows = g->m - first < STRIP ? g->m - first : STRIP;

        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)rows, (int)g->m, 1,
                    g->k + first * g->capacity, (int)g->capacity, g->y, 1, 0, g->slack + first, 1);
    }
    for (int64_t i = 0; i < g->m; i++)
        g->slack[i] -= g->h[i];
}

/* y'K y = y'(slack + h). */
double nm_gram_length(const nm_gram *g)
{
    double square = 0;

    for (int64_t i = 0; i < g->m; i++)
        square += g->y[i] * (g->slack[i] + g->h[i]);
    return sqrt(fmax(square, 0));
}

double nm_gram_bound(const nm_gram *g)
{
    double value = 0, length = nm_gram_length(g);

    for (int64_t i = 0; i < g->m; i++)
        value += g->h[i] * g->y[i];
    return length > 0 ? fmax(value, 0) / length : 0;
}

static bool is_wrong(const nm_gram *g, int64_t i, double largest, double length)
{
    if (g->in[i])
        return g->y[i] < -TINY_MULTIPLIER * largest;
    return g->slack[i] < -TINY_SLACK * (fabs(g->h[i]) + length);
}

/* How many rows are on the wrong side of the basis. */
static int64_t count_wrong(const nm_gram *g, double *largest, double *length)
{
    int64_t wrong = 0;

    *largest = 0;
    *length = nm_gram_length(g);
    for (int64_t i = 0; i < g->m; i++)
        *largest = fmax(*largest, fabs(g->y[i]));
    for (int64_t i = 0; i < g->m; i++)
        wrong += is_wrong(g, i, *largest, *length);
    return wrong;
}

/* -- block principal pivoting --------------------------------------------------------------- */

static double largest_wanted(const nm_gram *g)
{
    double largest = 1;

    for (int64_t i = 0; i < g->m; i++)
        largest = fmax(largest, fabs(g->h[i]));
    return largest;
}

static void start_over(nm_gram *g)
{
    memset(g->y, 0, (size_t)g->m * sizeof *g->y);
    memset(g->in, 0, (size_t)g->m * sizeof *g->in);
}

/* @return whether it came to an end */
static nm_status pivot(nm_gram *g, const nm_ctx *ctx, bool *solved, nm_err *err)
{
    enum { PATIENCE = 4, MOST = 60 };
    int64_t fewest = INT64_MAX;
    int patience = PATIENCE;
    nm_status rc = NM_OK;

    *solved = false;
    for (int round = 0; round < MOST && patience >= 0; round++) {
        double largest, length;
        bool ok;

        NM_TRY(nm_ctx_check(ctx, err));
        NM_TRY(factor_basis(g, ctx, &ok, err));
        if (!ok)
            break;
        solve_basis(g, g->y);
        compute_slack(g, nm_ctx_threads(ctx));
        int64_t wrong = count_wrong(g, &largest, &length);

        g->iterations++;
        if (!(largest < HOPELESS * largest_wanted(g))) {
            start_over(g);
            break;
        }
        if (wrong == 0) {
            *solved = true;
            break;
        }
        patience = wrong < fewest ? PATIENCE : patience - 1;
        fewest = wrong < fewest ? wrong : fewest;
        for (int64_t i = 0; i < g->m; i++)
            if (is_wrong(g, i, largest, length))
                g->in[i] = !g->in[i];
    }
done:
    return rc;
}

/* -- the fallback ---------------------------------------------------------------------------- */

static nm_status one_by_one(nm_gram *g, const nm_ctx *ctx, nm_ldp_outcome *outcome, nm_err *err)
{
    nm_ldp *ldp = &g->ldp;
    nm_status rc = NM_OK;

    ldp->m = ldp->n_active = 0;
    NM_TRY(nm_ldp_grow(ldp, g->m, err));
    for (int64_t i = 0; i < g->m; i++) {
        memcpy(ldp->k + i * ldp->capacity, g->k + i * g->capacity, (size_t)g->m * sizeof *ldp->k);
        ldp->h[i] = g->h[i];
        ldp->y[i] = 0;
        if (g->in[i] && g->y[i] > 0) {
            ldp->y[i] = g->y[i];
            ldp->active[ldp->n_active++] = i;
        }
    }
    NM_TRY(nm_ldp_solve(ldp, ctx, outcome, err));
    g->iterations += ldp->iterations;
    for (int64_t i = 0; i < g->m; i++) {
        g->y[i] = ldp->y[i];
        g->in[i] = ldp->y[i] > 0;
        g->slack[i] = ldp->slack[i];
    }
    if (*outcome == NM_LDP_SOLVED) {
        bool ok;

        NM_TRY(factor_basis(g, ctx, &ok, err)); /* for corrections */
        if (!ok)
            g->n_in = 0;
    }
done:
    return rc;
}

nm_status nm_gram_solve(nm_gram *g, const nm_ctx *ctx, nm_ldp_outcome *outcome, nm_err *err)
{
    bool solved;
    nm_status rc = NM_OK;

    compute_slack(g, nm_ctx_threads(ctx));
    for (int64_t i = 0; i < g->m; i++)
        g->in[i] = g->y[i] > 0 || g->slack[i] < 0;
    NM_TRY(pivot(g, ctx, &solved, err));
    *outcome = NM_LDP_SOLVED;
    if (!solved)
        NM_TRY(one_by_one(g, ctx, outcome, err));
done:
    return rc;
}

void nm_gram_correct(nm_gram *g, const double *residual)
{
    int64_t n = g->n_in;

    for (int64_t p = 0; p < n; p++)
        g->work[p] = residual[g->place[p]] * g->scale[g->place[p]];
    nm_dense_cholesky_solve(n, g->factor, n, g->work);
    for (int64_t p = 0; p < n; p++)
        g->y[g->place[p]] = fmax(g->y[g->place[p]] + g->work[p], 0);
}

void nm_gram_multipliers(const nm_gram *g, double *y)
{
    for (int64_t i = 0; i < g->m; i++)
        y[i] = fmax(g->y[i], 0) * g->scale[i];
}
