/* l1 with very many columns: column generation.
 *
 * Few columns of an optimal d differ from 0. A small program over some columns gives a feasible d,
 * and multipliers (y, x) that price all others by one product: column j is worth taking in if
 * |c_j| > 1, c = A'y - C'x (the cost of |d_j| is 1). The same multipliers, divided by max |c_j|,
 * prove a lower bound. Columns only come, in the order of |c_j|.
 * Dantzig & Wolfe's pricing; the small programs go to the interior point method, whose multipliers
 * lie in the middle of the optimal ones and need fewer rounds than those of a vertex, and to CLP
 * where that one fails. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"
#include "solve/subset.h"

typedef struct priced {
    double price;
    int64_t column;
} priced;

typedef struct columns {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    nm_master_spec shortest;
    void *shortest_state;
    void *full; /* the interior point method on all columns, once it was needed */
    bool given_up;
    unsigned char *chosen; /* [n] */
    int64_t n_chosen;
    double *c, *d; /* [n] */
    double *y, *x; /* [rows->m], [n_terms] */
    nm_subset part;
    priced *heap; /* [most] the best columns so far, the worst of them first */
} columns;

/* Below, all columns at once are as fast. */
enum { FEW = 20000, MOST = 4000 };

static bool can(const nm_master_spec *spec)
{
    return spec->space && spec->norm == NM_NORM_L1 && spec->n >= FEW;
}

static void close_columns(void *state)
{
    columns *s = state;

    if (s->shortest_state)
        nm_master_active_set.close(s->shortest_state);
    if (s->full)
        nm_master_ipm.close(s->full);
    nm_subset_free(&s->part);
    nm_free(s->chosen);
    nm_free(s->c);
    nm_free(s->d);
    nm_free(s->y);
    nm_free(s->x);
    nm_free(s->heap);
    nm_free(s);
}

static nm_status open_columns(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                              void **state, nm_err *err)
{
    size_t n = (size_t)spec->n;
    columns *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    *s = (columns){.ctx = ctx, .spec = spec, .rows = rows};
    s->shortest =
        (nm_master_spec){.norm = NM_NORM_L2, .n = spec->n, .gap = spec->gap, .space = spec->space};
    NM_TRY(nm_alloc(&s->chosen, n, sizeof *s->chosen, err));
    NM_TRY(nm_alloc(&s->c, n, sizeof *s->c, err));
    NM_TRY(nm_alloc(&s->d, n, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->x, (size_t)spec->n_terms, sizeof *s->x, err));
    NM_TRY(nm_alloc(&s->heap, MOST, sizeof *s->heap, err));
    for (int64_t e = 0; e < spec->space->n_extra; e++)
        s->chosen[spec->space->extra_column[e]] = 1;
done:
    if (rc != NM_OK)
        close_columns(s);
    else
        *state = s;
    return rc;
}

/* -- pricing ---------------------------------------------------------------------------------- */

/* c = A'y - C'x. */
static void price(columns *s)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    memset(s->c, 0, (size_t)s->spec->n * sizeof *s->c);
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        s->x[k] = -s->x[k];
    nm_rows_transposed_times(threads, s->rows, s->y, s->c);
    nm_rows_transposed_times(threads, &terms, s->x, s->c);
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        s->x[k] = -s->x[k];
}

static void sink(priced *heap, int64_t count, priced item)
{
    int64_t at = 0, child;

    while ((child = 2 * at + 1) < count) {
        child += child + 1 < count && heap[child + 1].price < heap[child].price;
        if (heap[child].price >= item.price)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = item;
}

/* Takes in up to `most` columns with |c_j| > limit, those with the largest. @return how many */
static int64_t take_in(columns *s, int64_t most, double limit)
{
    int64_t count = 0;

    for (int64_t j = 0; j < s->spec->n; j++) {
        priced item = {fabs(s->c[j]), j};

        if (s->chosen[j] || !(item.price > limit))
            continue;
        if (count == most) {
            if (item.price > s->heap[0].price)
                sink(s->heap, count, item);
            continue;
        }
        int64_t at = count++;
        for (; at > 0 && s->heap[(at - 1) / 2].price > item.price; at = (at - 1) / 2)
            s->heap[at] = s->heap[(at - 1) / 2];
        s->heap[at] = item;
    }
    for (int64_t i = 0; i < count; i++)
        s->chosen[s->heap[i].column] = 1;
    s->n_chosen += count;
    return count;
}

static int64_t between(int64_t low, int64_t value, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The columns on which the shortest d pulls most; a proof if the rows contradict each other. */
static nm_status first_columns(columns *s, nm_master_result *out, nm_err *err)
{
    nm_master_result shortest;
    nm_status rc = NM_OK;

    if (!s->shortest_state)
        NM_TRY(nm_master_active_set.open(s->ctx, &s->shortest, s->rows, &s->shortest_state, err));
    NM_TRY(nm_master_active_set.solve(s->shortest_state, &shortest, err));
    for (int64_t r = 0; r < s->rows->m; r++)
        s->y[r] = shortest.y ? shortest.y[r] : s->rows->h[r] > 0;
    if (shortest.outcome == NM_MASTER_INFEASIBLE && nm_farkas_excess(s->spec, s->rows, s->y) > 0)
        *out = (nm_master_result){.outcome = NM_MASTER_INFEASIBLE, .y = s->y};
    memset(s->x, 0, (size_t)s->spec->n_terms * sizeof *s->x);
    price(s);
    (void)take_in(s, between(200, 4 * s->rows->m, MOST), 0);
done:
    return rc;
}

/* -- small programs --------------------------------------------------------------------------- */

/* Solves over the chosen columns; multipliers (or a proof against these columns) go to y, x. */
static nm_status solve_part(columns *s, double gap, nm_master_result *out, nm_err *err)
{
    const nm_master_kind *kinds[] = {&nm_master_ipm, &nm_master_clp};
    nm_master_result got = {.outcome = NM_MASTER_FAILED};
    const nm_master_kind *kind = NULL;
    void *state = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_subset_make(s->spec, s->rows, s->chosen, &s->part, err));
    s->part.spec.gap = gap;
    for (size_t i = 0; i < 2 && got.outcome == NM_MASTER_FAILED; i++) {
        if (state)
            kind->close(state);
        state = NULL;
        kind = kinds[i];
        NM_TRY(kind->open(s->ctx, &s->part.spec, &s->part.rows, &state, err));
        NM_TRY(kind->solve(state, &got, err));
    }
    *out = got;
    if (got.y)
        memcpy(s->y, got.y, (size_t)s->rows->m * sizeof *s->y);
    memset(s->x, 0, (size_t)s->spec->n_terms * sizeof *s->x);
    if (got.x)
        memcpy(s->x, got.x, (size_t)s->spec->n_terms * sizeof *s->x);
    memset(s->d, 0, (size_t)s->spec->n * sizeof *s->d);
    for (int64_t i = 0; i < s->part.spec.n && got.d; i++)
        s->d[s->part.column[i]] = got.d[i];
    out->d = got.d ? s->d : NULL;
    out->y = got.y ? s->y : NULL;
    out->x = NULL;
done:
    if (state)
        kind->close(state);
    return rc;
}

/* One round. *more = columns that were taken in; the answer is final if none. *gap of the full
 * program. */
static nm_status round_of_pricing(columns *s, double *gap, int64_t *more, nm_master_result *out,
                                  nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    double wanted = *gap > 0.02 ? 1e-3 : 0.3 * s->spec->gap;
    int64_t most = between(50, s->rows->m, 2000);
    nm_status rc = NM_OK;

    *more = 0;
    NM_TRY(solve_part(s, fmax(wanted, 0.3 * s->spec->gap), out, err));
    if (out->outcome == NM_MASTER_FAILED)
        goto done;
    price(s);
    if (out->outcome == NM_MASTER_INFEASIBLE) {
        *more = take_in(s, between(200, 4 * s->rows->m, MOST), 0);
        if (nm_farkas_excess(s->spec, s->rows, s->y) > 0)
            *more = 0;
        goto done;
    }
    NM_TRY(nm_dual_bound(threads, s->spec, s->rows, s->y, s->x, out->objective, &out->lower_bound,
                         err));
    double before = *gap;
    *gap = nm_relative_gap(out->objective, out->lower_bound);
    if (*gap > s->spec->gap) {
        *more = take_in(s, most, 1);
        if (*more == 0 && before > 0.02) /* the small program was solved roughly only */
            *more = -1;
    }
    nm_log(s->ctx, NM_LOG_DEBUG, "columns: %lld of %lld, objective %.10g, bound %.10g",
           (long long)s->part.spec.n, (long long)s->spec->n, out->objective, out->lower_bound);
done:
    return rc;
}

static nm_status solve_full(columns *s, nm_master_result *out, nm_err *err)
{
    nm_status rc = NM_OK;

    nm_log(s->ctx, NM_LOG_INFO,
           "column generation leaves %lld rows and %lld columns to the interior point method",
           (long long)s->rows->m, (long long)s->spec->n);
    s->given_up = true;
    if (!s->full)
        rc = nm_master_ipm.open(s->ctx, s->spec, s->rows, &s->full, err);
    if (rc == NM_OK)
        rc = nm_master_ipm.solve(s->full, out, err);
    return rc;
}

static bool is_answer(const columns *s, const nm_master_result *out, double gap)
{
    if (out->outcome == NM_MASTER_INFEASIBLE)
        return nm_farkas_excess(s->spec, s->rows, out->y) > 0;
    return out->outcome == NM_MASTER_SOLVED && gap <= s->spec->gap;
}

static nm_status solve(void *state, nm_master_result *out, nm_err *err)
{
    enum { MAX_ROUNDS = 100 };
    columns *s = state;
    double gap = INFINITY;
    int64_t more = 1, iterations = 0;
    nm_status rc = NM_OK;

    *out = (nm_master_result){.outcome = NM_MASTER_FAILED};
    NM_TRY(nm_realloc(&s->y, (size_t)s->rows->m, sizeof *s->y, err));
    if (s->given_up || s->rows->m == 0) {
        NM_TRY(solve_full(s, out, err));
        goto done;
    }
    if (s->n_chosen == 0)
        NM_TRY(first_columns(s, out, err));
    if (out->outcome == NM_MASTER_INFEASIBLE)
        goto done;
    for (int i = 0; i < MAX_ROUNDS && more != 0; i++) {
        NM_TRY(nm_ctx_check(s->ctx, err));
        NM_TRY(round_of_pricing(s, &gap, &more, out, err));
        iterations += out->iterations;
    }
    out->iterations = iterations;
    if (!is_answer(s, out, gap))
        NM_TRY(solve_full(s, out, err));
done:
    return rc;
}

const nm_master_kind nm_master_columns = {
    .name = "column-generation",
    .can = can,
    .open = open_columns,
    .solve = solve,
    .close = close_columns,
};
