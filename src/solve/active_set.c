/* l2 by the least-distance problem of active_set.h: the driver. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/active_set.h"
#include "solve/bound.h"
#include "tensor/dense.h"

static bool can(const nm_master_spec *spec)
{
    return spec->norm == NM_NORM_L2;
}

static void close_active_set(void *state)
{
    nm_active_set *s = state;

    nm_ldp_free(&s->ldp);
    nm_free(s->origins);
    nm_free(s->d);
    nm_free(s->v);
    nm_free(s->residual);
    nm_free(s->y);
    nm_free(s->boxed);
    nm_free(s->stored);
    nm_free(s->place);
    nm_free(s);
}

/* -- the rows of the least-distance problem ---------------------------------------------- */

static nm_status room_for_origins(nm_active_set *s, int64_t count, nm_err *err)
{
    return nm_realloc(&s->origins, (size_t)(s->ldp.m + count), sizeof *s->origins, err);
}

static nm_status take_over_new_rows(nm_active_set *s, nm_err *err)
{
    int64_t count = s->rows->m - s->n_seen;
    nm_status rc = NM_OK;

    if (count == 0)
        return NM_OK;
    NM_TRY(room_for_origins(s, count, err));
    NM_TRY(nm_realloc(&s->stored, (size_t)(s->spec->n_terms + s->rows->m), sizeof *s->stored, err));
    for (int64_t i = 0; i < count; i++)
        s->origins[s->ldp.m + i] = (nm_origin){.from = NM_FROM_ROW, .index = s->n_seen + i};
    NM_TRY(nm_active_set_take_over(s, count, err));
    s->n_seen += count;
done:
    return rc;
}

static bool breaks_bound(const nm_active_set *s, int64_t j, bool upper)
{
    double slack_wanted = 1e-14 * fabs(s->d[j]);

    if (s->boxed[2 * j + upper])
        return false;
    return upper ? s->spec->hi && s->d[j] > s->spec->hi[j] + slack_wanted
                 : s->spec->lo && s->d[j] < s->spec->lo[j] - slack_wanted;
}

/* Bounds broken by d become rows. *added = their number. */
static nm_status take_over_broken_bounds(nm_active_set *s, int64_t *added, nm_err *err)
{
    int64_t count = 0;
    nm_status rc = NM_OK;

    for (int64_t j = 0; j < s->spec->n; j++)
        count += breaks_bound(s, j, false) || breaks_bound(s, j, true);
    *added = count;
    NM_TRY(room_for_origins(s, count, err));
    if (count > 0 && nm_active_set_has_factors(s) && !s->place)
        NM_TRY(nm_factor_places(s->rows->factors.space, s->spec->n, &s->place, err));
    nm_origin *next = s->origins + s->ldp.m;
    for (int64_t j = 0; j < s->spec->n; j++) {
        bool upper = breaks_bound(s, j, true);

        if (upper || breaks_bound(s, j, false))
            *next++ = (nm_origin){.from = upper ? NM_FROM_UPPER : NM_FROM_LOWER, .index = j};
    }
    NM_TRY(nm_active_set_take_over(s, count, err));
    s->n_bounds += count;
    for (int64_t i = s->ldp.m - count; i < s->ldp.m; i++)
        s->boxed[2 * s->origins[i].index + (s->origins[i].from == NM_FROM_UPPER)] = true;
done:
    return rc;
}

static nm_status open_active_set(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                                 void **state, nm_err *err)
{
    nm_active_set *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    *s = (nm_active_set){.ctx = ctx, .spec = spec, .rows = rows};
    NM_TRY(nm_alloc(&s->d, (size_t)spec->n, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->v, (size_t)spec->n_terms, sizeof *s->v, err));
    NM_TRY(nm_alloc(&s->boxed, 2 * (size_t)spec->n, sizeof *s->boxed, err));
    NM_TRY(room_for_origins(s, spec->n_terms, err));
    if (nm_active_set_has_factors(s))
        NM_TRY(nm_alloc(&s->stored, (size_t)spec->n_terms, sizeof *s->stored, err));
    for (int64_t k = 0; k < spec->n_terms; k++)
        s->origins[k] = (nm_origin){.from = NM_FROM_TERM, .index = k};
    NM_TRY(nm_active_set_take_over(s, spec->n_terms, err));
    s->ldp.n_equal = spec->n_terms;
done:
    if (rc != NM_OK)
        close_active_set(s);
    else
        *state = s;
    return rc;
}

/* -- back to d --------------------------------------------------------------------------- */

/* d += what the weights in s->stored say. */
static void combine_stored(nm_active_set *s)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    nm_rows_transposed_times(threads, &terms, s->stored, s->d);
    nm_rows_transposed_times(threads, s->rows, s->stored + s->spec->n_terms, s->d);
}

/* (d, v) = R' weights. */
static void combine(nm_active_set *s, const double *weights)
{
    int n = (int)s->spec->n;

    memset(s->d, 0, (size_t)n * sizeof *s->d);
    if (nm_active_set_has_factors(s))
        memset(s->stored, 0, (size_t)(s->spec->n_terms + s->rows->m) * sizeof *s->stored);
    memset(s->v, 0, (size_t)s->spec->n_terms * sizeof *s->v);
    for (int64_t i = 0; i < s->ldp.m; i++) {
        const nm_origin *o = &s->origins[i];
        double sign = nm_origin_sign(o), weight = weights[i] * o->scale;

        if (weight == 0)
            continue;
        if (nm_origin_is_bound(o)) {
            s->d[o->index] += nm_origin_bound_sign(o) * weight;
            continue;
        }
        if (nm_active_set_has_factors(s))
            *nm_active_set_slot(s, o) = sign * weight;
        else
            cblas_daxpy(n, sign * weight, nm_active_set_stored(s, o), 1, s->d, 1);
        if (o->from == NM_FROM_TERM)
            s->v[o->index] += weight;
    }
    if (nm_active_set_has_factors(s))
        combine_stored(s);
}

/* s->stored = C d, A d. */
static void evaluate_stored(nm_active_set *s)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    nm_rows_times(threads, &terms, s->d, s->stored);
    nm_rows_times(threads, s->rows, s->d, s->stored + s->spec->n_terms);
}

/* Value of row i of the least-distance problem at (d, v), after evaluate_stored() if there are
 * factors. */
static double value_of(const nm_active_set *s, int64_t i)
{
    const nm_origin *o = &s->origins[i];
    if (nm_origin_is_bound(o))
        return nm_origin_bound_sign(o) * s->d[o->index];
    double value = nm_origin_sign(o) *
                   (nm_active_set_has_factors(s)
                        ? *nm_active_set_slot(s, o)
                        : cblas_ddot((int)s->spec->n, nm_active_set_stored(s, o), 1, s->d, 1));
    return o->scale * (o->from == NM_FROM_TERM ? value + s->v[o->index] : value);
}

/* (d, v) = R' weights, with the weights of the active rows corrected until these rows take the
 * values `wanted` [m] (NULL = 0): the Gram matrix alone gives up half the digits when rows are
 * nearly dependent. */
static void combine_refined(nm_active_set *s, double *weights, const double *wanted)
{
    enum { ROUNDS = 2 };
    const nm_ldp *ldp = &s->ldp;

    combine(s, weights);
    for (int round = 0; round < ROUNDS; round++) {
        if (nm_active_set_has_factors(s))
            evaluate_stored(s);
        for (int64_t p = 0; p < ldp->n_active; p++) {
            int64_t i = ldp->active[p];

            s->residual[p] = (wanted ? wanted[i] : 0) - value_of(s, i);
        }
        nm_ldp_solve_active(ldp, s->residual);
        for (int64_t p = 0; p < ldp->n_active; p++)
            weights[ldp->active[p]] += s->residual[p];
        combine(s, weights);
    }
}

static double length_of_v(const nm_active_set *s)
{
    return hypot(cblas_dnrm2((int)s->spec->n, s->d, 1),
                 cblas_dnrm2((int)s->spec->n_terms, s->v, 1));
}

/* y over the caller's rows = factor * scale * weights. */
static void export_multipliers(nm_active_set *s, const double *weights, double factor)
{
    for (int64_t i = 0; i < s->ldp.m; i++) {
        if (s->origins[i].from == NM_FROM_ROW)
            s->y[s->origins[i].index] = fmax(0, factor * s->origins[i].scale * weights[i]);
    }
}

static void report_infeasible(nm_active_set *s, nm_master_result *out)
{
    const nm_rows *rows = s->rows;

    combine_refined(s, s->ldp.ray, NULL);
    export_multipliers(s, s->ldp.ray, 1);
    if (nm_farkas_excess(s->spec, rows, s->y) > 0) {
        out->outcome = NM_MASTER_INFEASIBLE;
        out->y = s->y;
    }
}

static nm_status report_solution(nm_active_set *s, nm_master_result *out, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    double length = length_of_v(s), violation, *x;
    nm_status rc = nm_alloc(&x, (size_t)s->spec->n_terms, sizeof *x, err);

    if (rc != NM_OK)
        return rc;
    nm_clip_to_box(s->spec, s->d);
    double per_length = length > 0 ? 1 / length : 0;
    export_multipliers(s, s->ldp.y, per_length);
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        x[k] = s->v[k] * per_length;
    NM_TRY(nm_master_norm(threads, s->spec, s->d, &out->objective, err));
    NM_TRY(nm_dual_bound(threads, s->spec, s->rows, s->y, x, length, &out->lower_bound, err));
    NM_TRY(nm_rows_violation(threads, s->rows, s->d, &violation, err));
    if (violation <= 1e-9 && isfinite(out->objective)) {
        out->outcome = NM_MASTER_SOLVED;
        out->d = s->d;
        out->y = s->y;
    }
done:
    nm_free(x);
    return rc;
}

static nm_status solve(void *state, nm_master_result *out, nm_err *err)
{
    enum { MAX_BOUNDS = 2000 }; /* the Gram matrix is dense: beyond, a linear program is better */
    nm_active_set *s = state;
    nm_ldp_outcome outcome = NM_LDP_STALLED;
    int64_t broken = 1, start = s->ldp.iterations;
    nm_status rc = NM_OK;

    NM_TRY(take_over_new_rows(s, err));
    NM_TRY(nm_realloc(&s->y, (size_t)s->rows->m, sizeof *s->y, err));
    memset(s->y, 0, (size_t)s->rows->m * sizeof *s->y);
    while (broken > 0) {
        NM_TRY(nm_ldp_solve(&s->ldp, s->ctx, &outcome, err));
        NM_TRY(nm_realloc(&s->residual, (size_t)s->ldp.capacity, sizeof *s->residual, err));
        if (outcome != NM_LDP_SOLVED)
            break;
        combine_refined(s, s->ldp.y, s->ldp.h);
        NM_TRY(take_over_broken_bounds(s, &broken, err));
        if (s->n_bounds > MAX_BOUNDS) {
            outcome = NM_LDP_STALLED;
            break;
        }
    }
    *out = (nm_master_result){.outcome = NM_MASTER_FAILED, .iterations = s->ldp.iterations - start};
    if (outcome == NM_LDP_INFEASIBLE)
        report_infeasible(s, out);
    if (outcome == NM_LDP_SOLVED)
        rc = report_solution(s, out, err);
done:
    return rc;
}

const nm_master_kind nm_master_active_set = {
    .name = "active-set",
    .can = can,
    .open = open_active_set,
    .solve = solve,
    .close = close_active_set,
};
