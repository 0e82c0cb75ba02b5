/* linf and linf+l1n with very many columns: sifting.
 *
 * At multipliers (y, x) of rows and terms let c = A'y - C'x, w the weight of sum |v|. An optimal d
 * has d_j = t where c_j > w, -t where c_j < -w, 0 where |c_j| < w; only the few columns at a kink,
 * |c_j| = w, may be anywhere between. So
 *
 *   sampling  draws columns, near a kink with a higher probability p_j. Each stands for 1 / p_j
 *             columns; all others, and what the drawn ones stand for, follow t by their present
 *             class (a control variate: right multipliers make the sample exact on average). The
 *             small program gives new multipliers, a line search on the proven bound accepts them.
 *   closing   takes the columns nearest to their kinks as they are, lets the others follow t, and
 *             solves exactly. The answer is feasible in the full program; its bound decides.
 *
 * Sampling goes on until fewer columns change class than a sample holds. Where closing does not
 * close the gap (degenerate ties, bounds that bind) the full interior point method takes over.
 * The idea of sifting: Bixby, Gregory, Lustig, Marsten, Shanno, "Very large-scale linear
 * programming: a case study in combining interior point and simplex methods", Oper. Res. 40, 1992.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "solve/bound.h"
#include "solve/ipm_state.h"
#include "solve/polish.h"
#include "solve/sift.h"

/* Columns drawn for each active row; measured 40 .. 100 (fewer: more rounds, more: dearer ones). */
static const double COLUMNS_A_ROW = 60;

/* Below, all columns at once are as fast. */
enum { FEW = 20000 };

static bool can(const nm_master_spec *spec)
{
    return spec->space && spec->n >= FEW &&
           (spec->norm == NM_NORM_LINF || spec->norm == NM_NORM_LINF_L1N);
}

/* -- memory ----------------------------------------------------------------------------------- */

static void free_pulled(nm_pulled *p)
{
    nm_free(p->y);
    nm_free(p->x);
    nm_free(p->c);
    *p = (nm_pulled){0};
}

static void close_sift(void *state)
{
    nm_sift *s = state;

    if (s->shortest_state)
        nm_master_active_set.close(s->shortest_state);
    if (s->full)
        nm_master_ipm.close(s->full);
    free_pulled(&s->now);
    free_pulled(&s->next);
    nm_subset_free(&s->part);
    nm_groups_free(&s->squares);
    nm_free(s->d);
    nm_free(s->work);
    nm_free(s->size);
    nm_free(s->chosen);
    nm_free(s->on_t);
    nm_free(s->scale);
    nm_free(s->weight);
    nm_free(s->start);
    nm_free(s->small_d);
    nm_free(s);
}

static nm_status open_sift(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                           void **state, nm_err *err)
{
    nm_sift *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    *s = (nm_sift){.ctx = ctx, .spec = spec, .rows = rows, .slope = nm_norm_dual_ball(spec).slope};
    s->shortest =
        (nm_master_spec){.norm = NM_NORM_L2, .n = spec->n, .gap = spec->gap, .space = spec->space};
    *state = s;
    return NM_OK;
}

static nm_status room_for_columns(nm_sift *s, nm_err *err)
{
    size_t n = (size_t)s->spec->n, n_terms = (size_t)s->spec->n_terms;
    nm_status rc = NM_OK;

    if (s->chosen)
        return NM_OK;
    NM_TRY(nm_alloc(&s->now.c, n, sizeof(double), err));
    NM_TRY(nm_alloc(&s->next.c, n, sizeof(double), err));
    NM_TRY(nm_alloc(&s->now.x, n_terms, sizeof(double), err));
    NM_TRY(nm_alloc(&s->next.x, n_terms, sizeof(double), err));
    NM_TRY(nm_alloc(&s->d, n, sizeof(double), err));
    NM_TRY(nm_alloc(&s->work, n, sizeof(double), err));
    NM_TRY(nm_alloc(&s->size, n, sizeof *s->size, err));
    NM_TRY(nm_alloc(&s->chosen, n, sizeof *s->chosen, err));
done:
    return rc;
}

/* New rows begin without a multiplier. */
static nm_status room_for_rows(nm_sift *s, nm_err *err)
{
    size_t m = (size_t)s->rows->m;
    nm_status rc = NM_OK;

    NM_TRY(nm_realloc(&s->now.y, m, sizeof(double), err));
    NM_TRY(nm_realloc(&s->next.y, m, sizeof(double), err));
    NM_TRY(nm_realloc(&s->on_t, m + (size_t)s->spec->n_terms, sizeof(double), err));
    for (int64_t r = s->m; r < s->rows->m; r++)
        s->now.y[r] = 0;
    s->m = s->rows->m;
done:
    return rc;
}

/* -- multipliers ------------------------------------------------------------------------------ */

/* The first multipliers: those of the shortest d. */
static nm_status first_multipliers(nm_sift *s, nm_master_result *out, nm_err *err)
{
    nm_master_result shortest;
    double width;
    int64_t active = 0;
    nm_status rc = NM_OK;

    if (!s->shortest_state)
        NM_TRY(nm_master_active_set.open(s->ctx, &s->shortest, s->rows, &s->shortest_state, err));
    NM_TRY(nm_master_active_set.solve(s->shortest_state, &shortest, err));
    if (shortest.outcome == NM_MASTER_INFEASIBLE &&
        nm_farkas_excess(s->spec, s->rows, shortest.y) > 0) {
        memcpy(s->now.y, shortest.y, (size_t)s->rows->m * sizeof(double));
        *out = (nm_master_result){.outcome = NM_MASTER_INFEASIBLE, .y = s->now.y};
        goto done;
    }
    for (int64_t r = 0; r < s->rows->m; r++) {
        s->now.y[r] = shortest.y ? shortest.y[r] : s->rows->h[r] > 0;
        active += s->now.y[r] > 0;
    }
    memset(s->now.x, 0, (size_t)s->spec->n_terms * sizeof(double));
    nm_sift_pull(s, &s->now);
    s->t = s->now.value;
    s->sample = (int64_t)(COLUMNS_A_ROW * (double)(active + s->spec->n_terms)) + 1000;
    nm_sift_measure_columns(s);
    NM_TRY(nm_sift_quantile(s, 0.9, nm_sift_size_of_pull, &width, err));
    s->width = 0.3 * width;
done:
    return rc;
}

/* -- small programs --------------------------------------------------------------------------- */

/* s->part and the arrays over its columns, for the chosen ones. */
static nm_status cut_out(nm_sift *s, double gap, nm_err *err)
{
    const nm_factor_space *space = s->rows->factors.space;
    nm_status rc = NM_OK;

    for (int64_t e = 0; e < space->n_extra; e++)
        s->chosen[space->extra_column[e]] = 1;
    NM_TRY(nm_subset_make(s->spec, s->rows, s->chosen, &s->part, err));
    size_t n = (size_t)s->part.spec.n;
    NM_TRY(nm_realloc(&s->scale, n, sizeof(double), err));
    NM_TRY(nm_realloc(&s->weight, n, sizeof(double), err));
    NM_TRY(nm_realloc(&s->start, n, sizeof(double), err));
    NM_TRY(nm_realloc(&s->small_d, n, sizeof(double), err));
    s->part.spec.gap = gap;
done:
    return rc;
}

/* Solves the small program in which chosen column j stands for s->work[j] >= 1 columns; the
 * multipliers go to s->next. s->work is used up. */
static nm_status solve_part(nm_sift *s, double gap, bool *ok, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);
    double followers = 0;
    nm_status rc = NM_OK;

    NM_TRY(cut_out(s, gap, err));
    for (int64_t i = 0; i < s->part.spec.n; i++) {
        int64_t j = s->part.column[i];

        s->scale[i] = s->work[j];
        s->weight[i] = s->slope * s->work[j];
        s->start[i] = s->t * nm_sift_class(s, s->now.c[j]);
    }
    for (int64_t j = 0; j < s->spec->n; j++) {
        double stands_for = s->chosen[j] ? s->work[j] : 0;

        s->work[j] = nm_sift_class(s, s->now.c[j]) * (1 - stands_for);
        followers += fabs((double)nm_sift_class(s, s->now.c[j])) * (1 - stands_for);
    }
    nm_rows_times(threads, s->rows, s->work, s->on_t);
    nm_rows_times(threads, &terms, s->work, s->on_t + s->rows->m);
    nm_ipm_reduction reduced = {.scale = s->scale,
                                .weight = s->weight,
                                .on_t = s->on_t,
                                .t_cost = fmax(1 + s->slope * followers, 0.1),
                                .start = s->start,
                                .start_t = s->t};
    NM_TRY(nm_ipm_solve_reduced(s->ctx, &s->part.spec, &s->part.rows, &reduced, s->small_d, &s->t,
                                s->next.y, s->next.x, ok, err));
    if (*ok)
        nm_sift_pull(s, &s->next);
done:
    return rc;
}

/* Chooses columns with probabilities; work[j] = 1 / p_j of the chosen ones. */
static void draw(nm_sift *s)
{
    double near = 0, n = (double)s->spec->n, wanted = (double)s->sample;
    nm_rng rng = {.seed = 0x51f7, .stream = s->draws++};

    for (int64_t j = 0; j < s->spec->n; j++) {
        s->work[j] = s->size[j] > 0 ? s->size[j] * exp(-nm_sift_distance(s, j) / s->width) : 0;
        near += s->work[j];
    }
    for (int64_t j = 0; j < s->spec->n; j++) {
        double p = wanted * (0.85 * s->work[j] / near + 0.15 / n);

        rng.index = (uint64_t)j;
        s->chosen[j] = p >= 1 || nm_rng_uniform(&rng) < p;
        s->work[j] = p < 1 ? 1 / p : 1;
    }
    for (int64_t e = 0; e < s->rows->factors.space->n_extra; e++)
        s->work[s->rows->factors.space->extra_column[e]] = 1;
}

/* Columns of another class at s->next, of the chosen or the others. */
static int64_t count_flips(const nm_sift *s, bool others_only)
{
    int64_t flips = 0;

    for (int64_t j = 0; j < s->spec->n; j++)
        flips += !(others_only && s->chosen[j]) &&
                 nm_sift_class(s, s->now.c[j]) != nm_sift_class(s, s->next.c[j]);
    return flips;
}

/* One round of sampling. *flips, of the last round, becomes the number of columns that changed
 * class, n if there was no answer. */
static nm_status sample_round(nm_sift *s, int64_t *flips, nm_err *err)
{
    double move = 0, before = s->now.value;
    int64_t before_flips = *flips;
    bool ok;
    nm_status rc = NM_OK;

    *flips = s->spec->n;
    nm_sift_measure_columns(s);
    draw(s);
    NM_TRY(solve_part(s, before_flips > s->spec->n / 200 ? 1e-3 : 1e-4, &ok, err));
    if (ok) {
        NM_TRY(nm_sift_quantile(s, 0.9, nm_sift_size_of_move, &move, err));
        *flips = count_flips(s, false);
    }
    double step = ok ? nm_sift_search_line(s) : 0;
    nm_log(s->ctx, NM_LOG_DEBUG,
           "sifting: %lld of %lld columns drawn, step %.2f, bound %.9g -> %.9g, %lld flips",
           (long long)s->part.spec.n, (long long)s->spec->n, step, before, s->now.value,
           (long long)*flips);
    if (step > 0)
        s->width = fmin(s->width, 0.6 * move);
    if (step < 0.5)
        s->sample *= 2;
done:
    return rc;
}

/* -- closing ---------------------------------------------------------------------------------- */

/* The columns nearest to their kinks, about `wanted` of them. */
static nm_status choose_nearest(nm_sift *s, int64_t wanted, nm_err *err)
{
    double limit;
    int64_t count = 0;
    nm_status rc =
        nm_sift_quantile(s, (double)wanted / (double)s->spec->n, nm_sift_distance, &limit, err);

    for (int64_t j = 0; rc == NM_OK && j < s->spec->n; j++) {
        s->chosen[j] = count < 2 * wanted && nm_sift_distance(s, j) <= limit * (1 + 1e-6);
        count += s->chosen[j];
        s->work[j] = 1;
    }
    return rc;
}

/* d of the full program from the small one's; false if a follower would leave its bounds. */
static bool spread(nm_sift *s)
{
    bool inside = true;

    for (int64_t j = 0; j < s->spec->n; j++) {
        s->d[j] = s->t * nm_sift_class(s, s->now.c[j]);
        if (!s->chosen[j])
            inside = inside && !(s->spec->lo && s->d[j] < s->spec->lo[j]) &&
                     !(s->spec->hi && s->d[j] > s->spec->hi[j]);
    }
    for (int64_t i = 0; i < s->part.spec.n; i++)
        s->d[s->part.column[i]] = s->small_d[i];
    return inside;
}

/* Solves over the nearest columns; *out is the answer if its gap is as asked. *gap otherwise, and
 * *flips = followers of another class at the new multipliers. */
static nm_status close_round(nm_sift *s, int64_t wanted, nm_master_result *out, double *gap,
                             int64_t *flips, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    bool ok, holds = false;
    nm_status rc = NM_OK;

    *gap = INFINITY;
    *flips = s->spec->n;
    nm_sift_measure_columns(s);
    NM_TRY(choose_nearest(s, wanted, err));
    NM_TRY(solve_part(s, 0.2 * s->spec->gap, &ok, err));
    if (ok && spread(s)) {
        NM_TRY(nm_polish(s->ctx, s->spec, s->rows, s->d, &holds, err));
        NM_TRY(nm_master_norm(threads, s->spec, s->d, &out->objective, err));
        NM_TRY(nm_dual_bound(threads, s->spec, s->rows, s->next.y, s->next.x, out->objective,
                             &out->lower_bound, err));
        out->lower_bound = fmax(out->lower_bound, s->now.value);
        *gap = holds ? nm_relative_gap(out->objective, out->lower_bound) : INFINITY;
    }
    if (ok)
        *flips = count_flips(s, true);
    nm_log(s->ctx, NM_LOG_DEBUG,
           "sifting: %lld of %lld columns exactly, objective %.10g, bound %.10g, %lld flips",
           (long long)s->part.spec.n, (long long)s->spec->n, out->objective, out->lower_bound,
           (long long)*flips);
    if (ok && *gap <= s->spec->gap) {
        if (out->lower_bound > s->now.value) {
            nm_pulled taken = s->now;

            s->now = s->next;
            s->next = taken;
        }
        out->outcome = NM_MASTER_SOLVED;
        out->d = s->d;
        out->y = s->now.y;
    } else if (ok) {
        (void)nm_sift_search_line(s);
    }
done:
    return rc;
}

/* -- the driver ------------------------------------------------------------------------------- */

/* A sample would hold many of the columns. */
static bool is_small(const nm_sift *s)
{
    return 4 * s->sample > s->spec->n;
}

static nm_status solve_full(nm_sift *s, nm_master_result *out, nm_err *err)
{
    nm_status rc = NM_OK;

    if (!s->full)
        rc = nm_master_ipm.open(s->ctx, s->spec, s->rows, &s->full, err);
    if (rc == NM_OK)
        rc = nm_master_ipm.solve(s->full, out, err);
    return rc;
}

/* @param warm  the multipliers know all rows */
static nm_status run(nm_sift *s, bool warm, nm_master_result *out, nm_err *err)
{
    enum { MAX_ROUNDS = 40 };
    int64_t flips = warm ? 0 : s->spec->n, wanted = 2 * s->sample;
    double gap = INFINITY, before;
    nm_status rc = NM_OK;

    for (int round = 0; round < MAX_ROUNDS && !is_small(s); round++) {
        NM_TRY(nm_ctx_check(s->ctx, err));
        if (flips > s->sample) {
            NM_TRY(sample_round(s, &flips, err));
            wanted = 2 * s->sample;
            gap = INFINITY;
            continue;
        }
        if (4 * wanted > 3 * s->spec->n)
            break;
        before = gap;
        NM_TRY(close_round(s, wanted, out, &gap, &flips, err));
        if (out->outcome == NM_MASTER_SOLVED)
            break;
        if (gap > 0.3 * before)
            wanted *= 2;
    }
done:
    return rc;
}

static nm_status solve(void *state, nm_master_result *out, nm_err *err)
{
    nm_sift *s = state;
    bool first = s->m == 0, warm = s->m == s->rows->m;
    nm_status rc = NM_OK;

    *out = (nm_master_result){.outcome = NM_MASTER_FAILED};
    if (s->given_up || s->rows->m == 0) {
        rc = solve_full(s, out, err);
        goto done;
    }
    NM_TRY(room_for_columns(s, err));
    NM_TRY(room_for_rows(s, err));
    NM_TRY(nm_sift_square_rows(s, err));
    if (first)
        NM_TRY(first_multipliers(s, out, err));
    if (out->outcome == NM_MASTER_FAILED)
        NM_TRY(run(s, warm, out, err));
    if (out->outcome == NM_MASTER_FAILED) {
        nm_log(s->ctx, NM_LOG_INFO,
               "sifting leaves %lld rows and %lld columns to the full interior point method",
               (long long)s->rows->m, (long long)s->spec->n);
        s->given_up = true;
        NM_TRY(solve_full(s, out, err));
    }
done:
    return rc;
}

const nm_master_kind nm_master_sift = {
    .name = "sifting",
    .can = can,
    .open = open_sift,
    .solve = solve,
    .close = close_sift,
};
