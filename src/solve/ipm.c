/* linf, linf+l1n, l1 by a dense primal-dual interior point method: the driver. The iterate is
 * described in ipm_state.h, a step in ipm_step.c. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"
#include "solve/ipm_state.h"
#include "solve/polish.h"
#include "tensor/dense.h"

typedef struct ipm_solver {
    nm_ipm ipm;
    int64_t n_marked;        /* rows whose columns are recorded */
    double *d, *x;           /* [n], [n_terms] the answer */
    double *y;               /* [rows.m] */
    double tried;            /* |y| at the last search for a proof of infeasibility */
    nm_master_spec shortest; /* the same rows with norm l2, without bounds and terms ... */
    void *shortest_state;    /* ... and its solver: start points, and proofs when rows contradict */
} ipm_solver;

static bool can(const nm_master_spec *spec)
{
    return spec->norm == NM_NORM_LINF || spec->norm == NM_NORM_LINF_L1N || spec->norm == NM_NORM_L1;
}

/* -- memory ------------------------------------------------------------------------------ */

static double *carve(double **block, int64_t count)
{
    double *part = *block;

    *block += count;
    return part;
}

static void carve_pair(nm_ipm_pair *pair, double **block, int64_t count)
{
    pair->slack = carve(block, count);
    pair->z = carve(block, count);
    pair->want = carve(block, count);
    pair->d_slack = carve(block, count);
    pair->d_z = carve(block, count);
}

static bool has_local(const nm_ipm *ipm, int kind)
{
    const nm_master_spec *spec = ipm->spec;

    switch (kind) {
    case NM_UNDER_T:
        return ipm->has_t && ipm->has_u;
    case NM_OVER_LO:
        return spec->lo != NULL;
    case NM_UNDER_HI:
        return spec->hi != NULL;
    default:
        return true;
    }
}

static nm_status allocate_coords(nm_ipm *ipm, nm_err *err)
{
    enum { PLAIN = 10 };
    int64_t count = ipm->n_coords;
    double *block;
    nm_status rc =
        nm_alloc(&ipm->memory_coords, (size_t)count, (PLAIN + 5 * NM_LOCALS) * sizeof *block, err);

    if (rc != NM_OK)
        return rc;
    block = ipm->memory_coords;
    for (int i = 0; i < NM_LOCALS; i++) {
        if (has_local(ipm, i))
            carve_pair(&ipm->local[i], &block, count);
    }
    ipm->v = carve(&block, count);
    ipm->u = carve(&block, count);
    ipm->dual_v = carve(&block, count);
    ipm->dual_u = carve(&block, count);
    ipm->dv = carve(&block, count);
    ipm->du = carve(&block, count);
    ipm->theta = carve(&block, count);
    ipm->on_t = carve(&block, count);
    ipm->force = carve(&block, count);
    ipm->work = carve(&block, count);
    return NM_OK;
}

/* Arrays over rows and terms, anew when rows have come: each solve starts afresh. */
static nm_status allocate_rows(nm_ipm *ipm, nm_err *err)
{
    enum { PLAIN = 12 };
    int64_t room = ipm->rows->m + ipm->n_terms;
    double *block;
    nm_status rc = NM_OK;

    if (room <= ipm->room)
        return NM_OK;
    room += room / 4 + 16;
    ipm->room = 0;
    nm_free(ipm->memory_rows);
    ipm->memory_rows = NULL;
    NM_TRY(nm_alloc(&ipm->memory_rows, (size_t)room, PLAIN * sizeof *block, err));
    NM_TRY(nm_realloc(&ipm->occupied, (size_t)room, (size_t)nm_ipm_column_blocks(ipm->n), err));
    block = ipm->memory_rows;
    carve_pair(&ipm->row, &block, room);
    ipm->e = carve(&block, room);
    ipm->scale = carve(&block, room);
    ipm->rhs = carve(&block, room);
    ipm->missing = carve(&block, room);
    ipm->d_all = carve(&block, room);
    ipm->coupling = carve(&block, room);
    ipm->products = carve(&block, room);
    ipm->room = room;
done:
    return rc;
}

static void close_ipm(void *state)
{
    ipm_solver *s = state;

    if (s->shortest_state)
        nm_master_active_set.close(s->shortest_state);
    nm_free(s->ipm.memory_coords);
    nm_free(s->ipm.memory_rows);
    nm_free(s->ipm.normal);
    nm_free(s->ipm.occupied);
    nm_ipm_neurons_free(s->ipm.neurons);
    nm_free(s->ipm.scaled);
    nm_groups_free(&s->ipm.groups);
    nm_free(s->d);
    nm_free(s->x);
    nm_free(s->y);
    nm_free(s);
}

static nm_status open_ipm(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                          void **state, nm_err *err)
{
    nm_dual_ball ball = nm_norm_dual_ball(spec);
    ipm_solver *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    s->ipm = (nm_ipm){.ctx = ctx,
                      .spec = spec,
                      .rows = rows,
                      .n = spec->n,
                      .n_terms = spec->n_terms,
                      .n_coords = spec->n + spec->n_terms,
                      .has_t = ball.budget > 0,
                      .has_u = ball.slope > 0,
                      .weight = ball.slope};
    s->shortest =
        (nm_master_spec){.norm = NM_NORM_L2, .n = spec->n, .gap = spec->gap, .space = spec->space};
    NM_TRY(allocate_coords(&s->ipm, err));
    NM_TRY(nm_alloc(&s->d, (size_t)spec->n, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->x, (size_t)spec->n_terms, sizeof *s->x, err));
done:
    if (rc != NM_OK)
        close_ipm(s);
    else
        *state = s;
    return rc;
}

/* -- the start --------------------------------------------------------------------------- */

/* The shortest d that meets the rows. @param d  out, NULL if it was not found; lent
 * Rows that contradict each other are found here already. */
static nm_status find_start(ipm_solver *s, nm_master_result *out, const double **d, nm_err *err)
{
    const nm_rows *rows = s->ipm.rows;
    nm_master_result shortest;
    nm_status rc = NM_OK;

    *d = NULL;
    if (!s->shortest_state)
        rc = nm_master_active_set.open(s->ipm.ctx, &s->shortest, rows, &s->shortest_state, err);
    if (rc == NM_OK)
        rc = nm_master_active_set.solve(s->shortest_state, &shortest, err);
    if (rc != NM_OK)
        return rc;
    if (shortest.outcome == NM_MASTER_SOLVED)
        *d = shortest.d;
    if (shortest.outcome == NM_MASTER_INFEASIBLE) {
        memcpy(s->y, shortest.y, (size_t)rows->m * sizeof *s->y);
        if (nm_farkas_excess(s->ipm.spec, rows, s->y) > 0)
            *out = (nm_master_result){.outcome = NM_MASTER_INFEASIBLE, .y = s->y};
    }
    return NM_OK;
}

static nm_status start(ipm_solver *s, nm_master_result *out, nm_err *err)
{
    nm_ipm *ipm = &s->ipm;
    const double *d = ipm->reduced ? ipm->reduced->start : NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_realloc(&s->y, (size_t)ipm->rows->m, sizeof *s->y, err));
    if (!ipm->reduced)
        NM_TRY(find_start(s, out, &d, err));
    if (out->outcome == NM_MASTER_INFEASIBLE)
        goto done;
    NM_TRY(allocate_rows(ipm, err));
    ipm->m = ipm->rows->m;
    ipm->n_all = ipm->m + ipm->n_terms;
    ipm->threads = nm_ctx_threads(ipm->ctx);
    nm_ipm_scale_rows(ipm, d);
    if (ipm->rows->factors.space) {
        NM_TRY(nm_ipm_take_factors(ipm, err));
        NM_TRY(nm_ipm_neurons_open(ipm, err));
    } else {
        nm_ipm_mark_columns(ipm, 0);
    }
    nm_ipm_start(ipm, d);
    s->tried = 0;
done:
    return rc;
}

/* -- answers ----------------------------------------------------------------------------- */

static void export_multipliers(ipm_solver *s)
{
    const nm_ipm *ipm = &s->ipm;

    for (int64_t r = 0; r < ipm->m; r++)
        s->y[r] = ipm->scale[r] * ipm->row.z[r];
    for (int64_t k = 0; k < ipm->n_terms; k++)
        s->x[k] = -ipm->e[k];
}

/* Takes the iterate as an answer if it is as good as asked, by our own account. */
static nm_status try_answer(ipm_solver *s, nm_master_result *out, nm_err *err)
{
    const nm_ipm *ipm = &s->ipm;
    bool ok = false;
    nm_status rc = NM_OK;

    export_multipliers(s);
    for (int64_t j = 0; j < ipm->n; j++)
        s->d[j] = ipm->unit * ipm->v[j];
    if (ipm->reduced) {
        out->outcome = NM_MASTER_SOLVED;
        return NM_OK;
    }
    NM_TRY(nm_polish(ipm->ctx, ipm->spec, ipm->rows, s->d, &ok, err));
    NM_TRY(nm_master_norm(ipm->threads, ipm->spec, s->d, &out->objective, err));
    NM_TRY(nm_dual_bound(ipm->threads, ipm->spec, ipm->rows, s->y, s->x, out->objective,
                         &out->lower_bound, err));
    if (ok && nm_relative_gap(out->objective, out->lower_bound) <= ipm->spec->gap) {
        out->outcome = NM_MASTER_SOLVED;
        out->d = s->d;
        out->y = s->y;
        out->x = s->x;
    }
done:
    return rc;
}

/* Is there a proof of infeasibility in multipliers that grow and grow? */
static nm_status try_proof(ipm_solver *s, bool thorough, nm_master_result *out, nm_err *err)
{
    const nm_ipm *ipm = &s->ipm;
    const nm_rows *rows = ipm->rows;
    nm_master_outcome verdict = NM_MASTER_FAILED;
    nm_status rc = NM_OK;

    export_multipliers(s);
    if (nm_farkas_excess(ipm->spec, rows, s->y) > 0)
        verdict = NM_MASTER_INFEASIBLE;
    else if (thorough)
        NM_TRY(nm_find_proof(ipm->ctx, ipm->spec, rows, s->y, &verdict, err));
    if (verdict == NM_MASTER_INFEASIBLE) {
        out->outcome = NM_MASTER_INFEASIBLE;
        out->y = s->y;
    }
done:
    return rc;
}

/* Largest residual of rows and terms against the sizes at hand. */
static double infeasibility(const nm_ipm *ipm)
{
    double worst = 0;

    for (int64_t i = 0; i < ipm->n_all; i++) {
        double size = i < ipm->m ? fabs(ipm->rhs[i]) + fabs(ipm->row.slack[i]) : 0;

        worst = fmax(worst, fabs(ipm->missing[i]) / (1 + size));
    }
    return worst;
}

static bool worth_trying(const nm_ipm *ipm)
{
    double gap = fabs(ipm->primal_value - ipm->dual_value);

    /* What the rows still miss is made up by a polish, at a price of about that much. */
    return gap <= 2 * ipm->spec->gap * fabs(ipm->primal_value) &&
           infeasibility(ipm) < fmax(1e-7, 0.1 * ipm->spec->gap);
}

/* The sum of multipliers, against its value when all is well (about the optimum / h). */
static bool growing(ipm_solver *s)
{
    double sum = cblas_dasum((int)s->ipm.m, s->ipm.row.z, 1);

    if (sum < 1e3 || sum < 30 * s->tried)
        return false;
    s->tried = sum;
    return true;
}

static nm_status iterate(ipm_solver *s, nm_master_result *out, nm_err *err)
{
    enum { MAX_ITERATIONS = 200, MAX_STALLED = 8 };
    nm_ipm *ipm = &s->ipm;
    int stalled = 0;
    bool ok = true;
    nm_status rc = NM_OK;

    for (int i = 0; i < MAX_ITERATIONS && ok && stalled < MAX_STALLED; i++) {
        double length = 0;

        NM_TRY(nm_ctx_check(ipm->ctx, err));
        nm_ipm_measure(ipm);
        nm_log(ipm->ctx, NM_LOG_DEBUG,
               "interior point %d: primal %.10g dual %.10g mu %.2e residual %.2e", i,
               ipm->primal_value, ipm->dual_value, ipm->mu, infeasibility(ipm));
        if (!isfinite(ipm->mu))
            break;
        if (worth_trying(ipm))
            NM_TRY(try_answer(s, out, err));
        else if (!ipm->reduced && growing(s))
            NM_TRY(try_proof(s, false, out, err));
        if (out->outcome != NM_MASTER_FAILED)
            goto done;
        NM_TRY(nm_ipm_step(ipm, &length, &ok, err));
        stalled = length < 1e-3 ? stalled + 1 : 0;
    }
    if (!ipm->reduced)
        NM_TRY(try_proof(s, true, out, err));
done:
    return rc;
}

static nm_status solve(void *state, nm_master_result *out, nm_err *err)
{
    ipm_solver *s = state;
    int64_t before = s->ipm.iterations;
    nm_status rc = NM_OK;

    *out = (nm_master_result){.outcome = NM_MASTER_FAILED};
    NM_TRY(start(s, out, err));
    if (out->outcome == NM_MASTER_FAILED)
        NM_TRY(iterate(s, out, err));
    out->iterations = s->ipm.iterations - before;
done:
    return rc;
}

const nm_master_kind nm_master_ipm = {
    .name = "interior-point",
    .can = can,
    .open = open_ipm,
    .solve = solve,
    .close = close_ipm,
};

/* -- reduced programs ------------------------------------------------------------------------- */

nm_status nm_ipm_solve_reduced(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                               const nm_ipm_reduction *reduced, double *d, double *t, double *y,
                               double *x, bool *ok, nm_err *err)
{
    nm_master_result result = {.outcome = NM_MASTER_FAILED};
    void *state = NULL;
    nm_status rc = NM_OK;

    *ok = false;
    NM_TRY(open_ipm(ctx, spec, rows, &state, err));
    ipm_solver *s = state;
    s->ipm.reduced = reduced;
    NM_TRY(nm_alloc(&s->ipm.scaled, (size_t)spec->n, sizeof *s->ipm.scaled, err));
    NM_TRY(start(s, &result, err));
    NM_TRY(iterate(s, &result, err));
    *ok = result.outcome == NM_MASTER_SOLVED;
    if (*ok) {
        memcpy(d, s->d, (size_t)spec->n * sizeof *d);
        memcpy(y, s->y, (size_t)rows->m * sizeof *y);
        memcpy(x, s->x, (size_t)spec->n_terms * sizeof *x);
        *t = s->ipm.unit * s->ipm.t;
    }
done:
    if (state)
        close_ipm(state);
    return rc;
}
