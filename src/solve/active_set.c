/* l2: min |v|_2, v = (d, C d + c0), as a least-distance problem in v (solve/ldp.h).
 *
 * Terms become equalities -C d + v' = c0 in the wider space of v; each has a unit column of its
 * own, so they never depend on each other. Bounds become rows +-e_j once the solution breaks them:
 * most never do. All rows are scaled to length 1. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"
#include "solve/ldp.h"
#include "tensor/dense.h"

typedef enum source { FROM_TERM, FROM_ROW, FROM_LOWER, FROM_UPPER } source;

/* What a row of the least-distance problem stands for. */
typedef struct origin {
    source from;
    int64_t index; /* of the term, the row, or the unknown */
    double scale;  /* 1 / length */
} origin;

typedef struct active_set {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    nm_ldp ldp;
    origin *origins;  /* [ldp.m] */
    int64_t n_seen;   /* rows taken over */
    int64_t n_bounds; /* bounds taken over */
    double *d;        /* [n] */
    double *v;        /* [n_terms] the free unknowns that equal C d + c0 */
    double *residual; /* [ldp capacity] */
    double *y;        /* [rows.m] */
    bool *boxed;      /* [n][2] the lower, upper bound is a row already */
    double *stored;   /* [n_terms + rows.m] a number for each of them, with factors ... */
    int64_t *place;   /* ... then [n] where each unknown stands in the space */
} active_set;

static bool can(const nm_master_spec *spec)
{
    return spec->norm == NM_NORM_L2;
}

static void close_active_set(void *state)
{
    active_set *s = state;

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

/* The part of row o over d is sign times a row of C or A. */
static double sign_of(const origin *o)
{
    return o->from == FROM_TERM ? -1 : 1;
}

/* That row, without factors. */
static const double *stored(const active_set *s, const origin *o)
{
    return (o->from == FROM_TERM ? s->spec->terms : s->rows->a) + o->index * s->spec->n;
}

static bool has_factors(const active_set *s)
{
    return s->rows->factors.space != NULL;
}

/* Where the number of a stored row is in s->stored. */
static double *slot(const active_set *s, const origin *o)
{
    return s->stored + (o->from == FROM_TERM ? 0 : s->spec->n_terms) + o->index;
}

static bool is_bound(const origin *o)
{
    return o->from == FROM_LOWER || o->from == FROM_UPPER;
}

static double bound_sign(const origin *o)
{
    return o->from == FROM_LOWER ? 1 : -1;
}

/* Coefficient j of the row of A or C behind o. */
static double stored_entry(const active_set *s, const origin *o, int64_t j)
{
    const nm_factors *f = o->from == FROM_TERM ? s->spec->term_factors : &s->rows->factors;

    return has_factors(s) ? nm_factors_entry(f, o->index, s->place[j]) : stored(s, o)[j];
}

/* Product of two rows of which one is a bound. */
static double bound_product(const active_set *s, const origin *bound, const origin *other)
{
    if (is_bound(other))
        return bound->index == other->index ? bound_sign(bound) * bound_sign(other) : 0;
    return bound_sign(bound) * sign_of(other) * other->scale * stored_entry(s, other, bound->index);
}

/* Products of a batch of new stored rows, unscaled, with all terms and all rows. */
typedef struct products {
    int64_t first; /* the batch: rows first .. of the least-distance problem */
    int64_t count;
    double *with_terms; /* [count x n_terms] */
    double *with_rows;  /* [count x rows.m] */
} products;

/* The same from the factors. */
static nm_status multiply_factored_batch(const active_set *s, products *p, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    const origin *o = &s->origins[p->first];
    nm_factors list = nm_factors_slice(
        o->from == FROM_TERM ? s->spec->term_factors : &s->rows->factors, o->index, p->count);
    nm_groups batch = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_groups_make(&list, NULL, NULL, &batch, err));
    if (s->spec->n_terms > 0)
        NM_TRY(nm_groups_products(threads, false, &batch, s->spec->term_groups, NULL, p->with_terms,
                                  s->spec->n_terms, err));
    if (s->rows->m > 0)
        NM_TRY(nm_groups_products(threads, false, &batch, &s->rows->groups, NULL, p->with_rows,
                                  s->rows->m, err));
done:
    nm_groups_free(&batch);
    return rc;
}

static nm_status multiply_batch(const active_set *s, products *p, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    int64_t n = s->spec->n, n_terms = s->spec->n_terms, m = s->rows->m;
    nm_status rc = NM_OK;

    if (p->count == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&p->with_terms, (size_t)(p->count * n_terms), sizeof(double), err));
    NM_TRY(nm_alloc(&p->with_rows, (size_t)(p->count * m), sizeof(double), err));
    if (has_factors(s)) {
        NM_TRY(multiply_factored_batch(s, p, err));
        goto done;
    }
    const double *batch = stored(s, &s->origins[p->first]);
    if (n_terms > 0)
        nm_dense_products(threads, false, p->count, batch, n, n_terms, s->spec->terms, n, n,
                          p->with_terms, n_terms);
    if (m > 0)
        nm_dense_products(threads, false, p->count, batch, n, m, s->rows->a, n, n, p->with_rows, m);
done:
    return rc;
}

/* Product of rows i (of the batch) and j, neither a bound. */
static double stored_product(const active_set *s, const products *p, int64_t i, int64_t j)
{
    const origin *a = &s->origins[i], *b = &s->origins[j];
    double scale = a->scale * b->scale;

    if (b->from == FROM_ROW) {
        double sign = a->from == FROM_TERM ? -1 : 1;
        return sign * scale * p->with_rows[(i - p->first) * s->rows->m + b->index];
    }
    double sign = a->from == FROM_TERM ? 1 : -1;
    return scale * (sign * p->with_terms[(i - p->first) * s->spec->n_terms + b->index] + (i == j));
}

/* Row i of the Gram matrix, left half, mirrored into column i. */
static void fill_gram_row(active_set *s, const products *batch, int64_t i)
{
    nm_ldp *ldp = &s->ldp;
    const origin *o = &s->origins[i];

    for (int64_t j = 0; j <= i; j++) {
        const origin *p = &s->origins[j];
        double value = is_bound(o)   ? bound_product(s, o, p)
                       : is_bound(p) ? bound_product(s, p, o)
                                     : stored_product(s, batch, i, j);

        ldp->k[i * ldp->capacity + j] = value;
        ldp->k[j * ldp->capacity + i] = value;
    }
}

static double target(const active_set *s, const origin *o)
{
    switch (o->from) {
    case FROM_TERM:
        return o->scale * s->spec->offset[o->index];
    case FROM_ROW:
        return o->scale * s->rows->h[o->index];
    case FROM_LOWER:
        return s->spec->lo[o->index];
    default:
        return -s->spec->hi[o->index];
    }
}

/* @param square  of the length of the stored part, from the factors; 0 = not known */
static double inverse_length(const active_set *s, const origin *o, double square)
{
    nm_rows terms = nm_master_terms(s->spec);

    if (is_bound(o))
        return 1;
    double length = square > 0
                        ? sqrt(square)
                        : nm_row_measure(o->from == FROM_TERM ? &terms : s->rows, o->index).length;
    if (o->from == FROM_TERM)
        length = hypot(length, 1);
    return length > 0 ? 1 / length : 1;
}

/* Square of row i of the batch, if its products come from factors: saves a pass over the rows. */
static double known_square(const active_set *s, const products *batch, int64_t i)
{
    const origin *o = &s->origins[i];
    int64_t place = i - batch->first;

    if (batch->count == 0 || !has_factors(s))
        return 0;
    return o->from == FROM_TERM ? batch->with_terms[place * s->spec->n_terms + o->index]
                                : batch->with_rows[place * s->rows->m + o->index];
}

/* Takes over `count` new rows whose origins (without scale) stand behind the present ones:
 * all bounds, all terms or all rows in a stretch. */
static nm_status take_over(active_set *s, int64_t count, nm_err *err)
{
    products batch = {.first = s->ldp.m};
    nm_status rc = NM_OK;

    if (count > 0 && !is_bound(&s->origins[batch.first]))
        batch.count = count;
    NM_TRY(multiply_batch(s, &batch, err));
    NM_TRY(nm_ldp_grow(&s->ldp, batch.first + count, err));
    for (int64_t i = batch.first; i < batch.first + count; i++) {
        s->origins[i].scale = inverse_length(s, &s->origins[i], known_square(s, &batch, i));
        s->ldp.h[i] = target(s, &s->origins[i]);
        fill_gram_row(s, &batch, i);
    }
done:
    nm_free(batch.with_terms);
    nm_free(batch.with_rows);
    return rc;
}

static nm_status room_for_origins(active_set *s, int64_t count, nm_err *err)
{
    return nm_realloc(&s->origins, (size_t)(s->ldp.m + count), sizeof *s->origins, err);
}

static nm_status take_over_new_rows(active_set *s, nm_err *err)
{
    int64_t count = s->rows->m - s->n_seen;
    nm_status rc = NM_OK;

    if (count == 0)
        return NM_OK;
    NM_TRY(room_for_origins(s, count, err));
    NM_TRY(nm_realloc(&s->stored, (size_t)(s->spec->n_terms + s->rows->m), sizeof *s->stored, err));
    for (int64_t i = 0; i < count; i++)
        s->origins[s->ldp.m + i] = (origin){.from = FROM_ROW, .index = s->n_seen + i};
    NM_TRY(take_over(s, count, err));
    s->n_seen += count;
done:
    return rc;
}

static bool breaks_bound(const active_set *s, int64_t j, bool upper)
{
    double slack_wanted = 1e-14 * fabs(s->d[j]);

    if (s->boxed[2 * j + upper])
        return false;
    return upper ? s->spec->hi && s->d[j] > s->spec->hi[j] + slack_wanted
                 : s->spec->lo && s->d[j] < s->spec->lo[j] - slack_wanted;
}

/* Bounds broken by d become rows. *added = their number. */
static nm_status take_over_broken_bounds(active_set *s, int64_t *added, nm_err *err)
{
    int64_t count = 0;
    nm_status rc = NM_OK;

    for (int64_t j = 0; j < s->spec->n; j++)
        count += breaks_bound(s, j, false) || breaks_bound(s, j, true);
    *added = count;
    NM_TRY(room_for_origins(s, count, err));
    if (count > 0 && has_factors(s) && !s->place)
        NM_TRY(nm_factor_places(s->rows->factors.space, s->spec->n, &s->place, err));
    origin *next = s->origins + s->ldp.m;
    for (int64_t j = 0; j < s->spec->n; j++) {
        bool upper = breaks_bound(s, j, true);

        if (upper || breaks_bound(s, j, false))
            *next++ = (origin){.from = upper ? FROM_UPPER : FROM_LOWER, .index = j};
    }
    NM_TRY(take_over(s, count, err));
    s->n_bounds += count;
    for (int64_t i = s->ldp.m - count; i < s->ldp.m; i++)
        s->boxed[2 * s->origins[i].index + (s->origins[i].from == FROM_UPPER)] = true;
done:
    return rc;
}

static nm_status open_active_set(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                                 void **state, nm_err *err)
{
    active_set *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    *s = (active_set){.ctx = ctx, .spec = spec, .rows = rows};
    NM_TRY(nm_alloc(&s->d, (size_t)spec->n, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->v, (size_t)spec->n_terms, sizeof *s->v, err));
    NM_TRY(nm_alloc(&s->boxed, 2 * (size_t)spec->n, sizeof *s->boxed, err));
    NM_TRY(room_for_origins(s, spec->n_terms, err));
    if (has_factors(s))
        NM_TRY(nm_alloc(&s->stored, (size_t)spec->n_terms, sizeof *s->stored, err));
    for (int64_t k = 0; k < spec->n_terms; k++)
        s->origins[k] = (origin){.from = FROM_TERM, .index = k};
    NM_TRY(take_over(s, spec->n_terms, err));
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
static void combine_stored(active_set *s)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    nm_rows_transposed_times(threads, &terms, s->stored, s->d);
    nm_rows_transposed_times(threads, s->rows, s->stored + s->spec->n_terms, s->d);
}

/* (d, v) = R' weights. */
static void combine(active_set *s, const double *weights)
{
    int n = (int)s->spec->n;

    memset(s->d, 0, (size_t)n * sizeof *s->d);
    if (has_factors(s))
        memset(s->stored, 0, (size_t)(s->spec->n_terms + s->rows->m) * sizeof *s->stored);
    memset(s->v, 0, (size_t)s->spec->n_terms * sizeof *s->v);
    for (int64_t i = 0; i < s->ldp.m; i++) {
        const origin *o = &s->origins[i];
        double sign = sign_of(o), weight = weights[i] * o->scale;

        if (weight == 0)
            continue;
        if (is_bound(o)) {
            s->d[o->index] += bound_sign(o) * weight;
            continue;
        }
        if (has_factors(s))
            *slot(s, o) = sign * weight;
        else
            cblas_daxpy(n, sign * weight, stored(s, o), 1, s->d, 1);
        if (o->from == FROM_TERM)
            s->v[o->index] += weight;
    }
    if (has_factors(s))
        combine_stored(s);
}

/* s->stored = C d, A d. */
static void evaluate_stored(active_set *s)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    nm_rows_times(threads, &terms, s->d, s->stored);
    nm_rows_times(threads, s->rows, s->d, s->stored + s->spec->n_terms);
}

/* Value of row i of the least-distance problem at (d, v), after evaluate_stored() if there are
 * factors. */
static double value_of(const active_set *s, int64_t i)
{
    const origin *o = &s->origins[i];
    if (is_bound(o))
        return bound_sign(o) * s->d[o->index];
    double value =
        sign_of(o) *
        (has_factors(s) ? *slot(s, o) : cblas_ddot((int)s->spec->n, stored(s, o), 1, s->d, 1));
    return o->scale * (o->from == FROM_TERM ? value + s->v[o->index] : value);
}

/* (d, v) = R' weights, with the weights of the active rows corrected until these rows take the
 * values `wanted` [m] (NULL = 0): the Gram matrix alone gives up half the digits when rows are
 * nearly dependent. */
static void combine_refined(active_set *s, double *weights, const double *wanted)
{
    enum { ROUNDS = 2 };
    const nm_ldp *ldp = &s->ldp;

    combine(s, weights);
    for (int round = 0; round < ROUNDS; round++) {
        if (has_factors(s))
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

static double length_of_v(const active_set *s)
{
    return hypot(cblas_dnrm2((int)s->spec->n, s->d, 1),
                 cblas_dnrm2((int)s->spec->n_terms, s->v, 1));
}

/* y over the caller's rows = factor * scale * weights. */
static void export_multipliers(active_set *s, const double *weights, double factor)
{
    for (int64_t i = 0; i < s->ldp.m; i++) {
        if (s->origins[i].from == FROM_ROW)
            s->y[s->origins[i].index] = fmax(0, factor * s->origins[i].scale * weights[i]);
    }
}

static void report_infeasible(active_set *s, nm_master_result *out)
{
    const nm_rows *rows = s->rows;

    combine_refined(s, s->ldp.ray, NULL);
    export_multipliers(s, s->ldp.ray, 1);
    if (nm_farkas_excess(s->spec, rows, s->y) > 0) {
        out->outcome = NM_MASTER_INFEASIBLE;
        out->y = s->y;
    }
}

static nm_status report_solution(active_set *s, nm_master_result *out, nm_err *err)
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
    active_set *s = state;
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
