/* l2 and function norm: the smallest change in a metric, from the inner products of rows alone
 * (problem/forms.h, solve/gram.h). Rows enter when the present solution breaks them, and so do the
 * bounds of single parameters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/least.h"

enum { LABELS_A_POINT = 2, PINS_A_POINT = 8, ROWS_A_ROUND = 4000, MAX_ROUNDS = 500 };
enum { UNITS_A_ROUND = 300, MAX_UNITS = 3000 };

/* Broken by less than this (relative) is the solver's accuracy; steps need less. */
static const double ROW_TOLERANCE = 1e-9, STEP_TOLERANCE = 1e-6;

/* -- opening ------------------------------------------------------------------------------- */

static void close_least(void *state)
{
    nm_least *s = state;

    if (!s)
        return;
    nm_gram_free(&s->gram);
    nm_row_set_free(&s->rows);
    nm_free(s->value);
    nm_free(s->wanted);
    nm_free(s->base);
    nm_free(s->delta);
    nm_free(s->step);
    nm_tape_free(s->shift);
    nm_tape_free(s->tangent);
    nm_free(s);
}

static nm_status open_least(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                            const nm_program_opts *opts, const nm_engine_room *room, void **state,
                            nm_err *err)
{
    size_t n = (size_t)tail->params->n;
    nm_least *s = NULL;
    nm_status rc = NM_OK;

    *state = NULL;
    NM_TRY(nm_alloc(&s, 1, sizeof *s, err));
    *s =
        (nm_least){.ctx = ctx, .tail = tail, .demand = demand, .opts = *opts, .forms = room->forms};
    NM_TRY(nm_alloc(&s->base, n, sizeof *s->base, err));
    if (opts->base)
        memcpy(s->base, opts->base, n * sizeof *s->base);
    NM_TRY(nm_memdup(&s->delta, s->base, n, sizeof *s->delta, err));
    NM_TRY(nm_alloc(&s->step, n, sizeof *s->step, err));
    s->moved_base = memcmp(s->base, tail->delta, n * sizeof *s->base) != 0;
    nm_forms_reset(s->forms);
    *state = s;
    s = NULL;
done:
    close_least(s);
    return rc;
}

/* -- tangents ------------------------------------------------------------------------------ */

/* Tangents of `to` - tail->delta at all points of the tail. */
static nm_status tangents(nm_least *s, const double *to, nm_tape **tape, nm_err *err)
{
    nm_status rc = NM_OK;

    if (*tape && (*tape)->n != s->tail->at->n) {
        nm_tape_free(*tape);
        *tape = NULL;
    }
    if (!*tape)
        rc = nm_tail_tangent_new(s->tail, tape, err);
    for (int64_t i = 0; i < s->tail->params->n; i++)
        s->step[i] = to[i] - s->tail->delta[i];
    return rc == NM_OK ? nm_tail_tangent(s->ctx, s->tail, s->step, *tape, err) : rc;
}

/* -- rows ---------------------------------------------------------------------------------- */

static nm_status make_room(nm_least *s, int64_t n, nm_err *err)
{
    int64_t room = 2 * n;
    nm_status rc = NM_OK;

    if (n <= s->room)
        return NM_OK;
    NM_TRY(nm_realloc(&s->value, (size_t)room, sizeof *s->value, err));
    NM_TRY(nm_realloc(&s->wanted, (size_t)room, sizeof *s->wanted, err));
    s->room = room;
done:
    return rc;
}

/* Rows first .. of the forms enter the Gram matrix; h in terms of the step from the base. */
static nm_status take_over(nm_least *s, const nm_row_id *rows, int64_t n, const double *h,
                           nm_err *err)
{
    int64_t first = s->gram.m;
    nm_status rc = NM_OK;

    NM_TRY(nm_gram_grow(&s->gram, first + n, err));
    NM_TRY(nm_forms_products(s->forms, first, s->gram.k, s->gram.capacity, err));
    memcpy(s->gram.h + first, h, (size_t)n * sizeof *h);
    nm_gram_take(&s->gram, first);
    NM_TRY(nm_row_set_append(&s->rows, rows, n, err));
done:
    return rc;
}

static nm_status add_fresh(nm_least *s, const nm_row_id *rows, int64_t n, nm_err *err)
{
    int64_t first = s->gram.m;
    double *h = NULL;
    nm_status rc = NM_OK;

    NM_TRY(make_room(s, first + n, err));
    NM_TRY(nm_alloc(&h, (size_t)n, sizeof *h, err));
    NM_TRY(nm_forms_add(s->forms, s->tail, s->demand, rows, n, s->value + first, err));
    if (s->moved_base && (!s->shift || s->shift->n != s->tail->at->n))
        NM_TRY(tangents(s, s->base, &s->shift, err));
    for (int64_t r = 0; r < n; r++) {
        s->wanted[first + r] = rows[r].kind == NM_ROW_LABEL ? s->demand->margin[rows[r].point] : 0;
        h[r] = s->wanted[first + r] - s->value[first + r];
        if (s->moved_base)
            h[r] -= nm_row_tangent(s->tail, s->demand, &rows[r], s->shift);
        if (!isfinite(h[r]))
            NM_THROW(err, NM_E_FORMAT, "point %lld has scores that are not finite",
                     (long long)rows[r].point);
    }
    NM_TRY(take_over(s, rows, n, h, err));
done:
    nm_free(h);
    return rc;
}

static nm_status add(void *state, const nm_row_id *rows, int64_t n, int64_t *added, nm_err *err)
{
    nm_least *s = state;
    nm_row_id *fresh;
    nm_status rc = nm_alloc(&fresh, (size_t)n, sizeof *fresh, err);

    *added = 0;
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0, k = 0; i < n; i++) /* bounds come back by themselves */
        if (rows[i].kind == NM_ROW_LABEL || rows[i].kind == NM_ROW_PIN) {
            fresh[k++] = rows[i];
            *added = k;
        }
    *added = nm_row_set_fresh(&s->rows, fresh, *added, fresh);
    if (*added > 0)
        rc = add_fresh(s, fresh, *added, err);
    nm_free(fresh);
    return rc;
}

/* -- bounds -------------------------------------------------------------------------------- */

typedef struct excess {
    int64_t unknown;
    bool upper;
    double amount;
} excess;

static int by_amount(const void *a, const void *b)
{
    const excess *x = a, *y = b;

    if (x->amount != y->amount)
        return x->amount > y->amount ? -1 : 1;
    return x->unknown < y->unknown ? -1 : x->unknown > y->unknown;
}

static nm_status list_excesses(const nm_least *s, excess **out, int64_t *n, nm_err *err)
{
    const nm_plan *plan = s->opts.plan;
    int64_t unknowns = s->tail->params->n;
    nm_status rc = NM_OK;

    *n = 0;
    *out = NULL;
    for (int pass = 0; pass < 2 && rc == NM_OK; pass++) {
        int64_t count = 0;

        for (int64_t j = 0; j < unknowns; j++) {
            double hi = nm_param_hi(plan, s->tail->params, j);
            double over =
                fmax(s->delta[j] - hi, nm_param_lo(plan, s->tail->params, j) - s->delta[j]);

            if (!(over > 1e-13 + 1e-10 * fabs(s->delta[j])))
                continue;
            if (pass == 1)
                (*out)[count] = (excess){j, s->delta[j] > hi, over};
            count++;
        }
        *n = count;
        if (pass == 0)
            rc = nm_alloc(out, (size_t)count, sizeof **out, err);
    }
    if (rc == NM_OK && *n > 1)
        qsort(*out, (size_t)*n, sizeof **out, by_amount);
    return rc;
}

/* The bounds that the present solution breaks most become rows. */
static nm_status add_bounds(nm_least *s, int64_t *added, nm_err *err)
{
    const nm_plan *plan = s->opts.plan;
    excess *list = NULL;
    nm_row_id *rows = NULL;
    int64_t n, *unknown = NULL, first = s->gram.m;
    double *sign = NULL, *h = NULL;
    nm_status rc = NM_OK;

    *added = 0;
    if (isinf(plan->lo) && isinf(plan->hi))
        return NM_OK;
    NM_TRY(list_excesses(s, &list, &n, err));
    n = n < UNITS_A_ROUND ? n : UNITS_A_ROUND;
    NM_TRY(nm_alloc(&rows, (size_t)n, sizeof *rows, err));
    NM_TRY(nm_alloc(&unknown, (size_t)n, sizeof *unknown, err));
    NM_TRY(nm_alloc(&sign, (size_t)n, sizeof *sign, err));
    NM_TRY(nm_alloc(&h, (size_t)n, sizeof *h, err));
    NM_TRY(make_room(s, first + n, err));
    for (int64_t i = 0; i < n; i++) {
        nm_row_id row = {.kind = list[i].upper ? NM_ROW_UPPER : NM_ROW_LOWER, .k = list[i].unknown};
        int64_t r = first + *added;

        if (nm_row_set_has(&s->rows, &row))
            continue;
        rows[*added] = row;
        unknown[*added] = row.k;
        sign[*added] = list[i].upper ? -1 : 1;
        s->value[r] = sign[*added] * s->tail->delta[row.k];
        s->wanted[r] = list[i].upper ? -nm_param_hi(plan, s->tail->params, row.k)
                                     : nm_param_lo(plan, s->tail->params, row.k);
        h[*added] = s->wanted[r] - sign[*added] * s->base[row.k];
        ++*added;
    }
    if (*added > 0) {
        NM_TRY(nm_forms_add_units(s->forms, unknown, sign, *added, err));
        NM_TRY(take_over(s, rows, *added, h, err));
    }
    s->n_units += *added;
done:
    nm_free(list);
    nm_free(rows);
    nm_free(unknown);
    nm_free(sign);
    nm_free(h);
    return rc;
}

/* -- solving ------------------------------------------------------------------------------- */

static nm_status combine(nm_least *s, double *y, nm_err *err)
{
    nm_status rc = NM_OK;

    nm_gram_multipliers(&s->gram, y);
    NM_TRY(nm_forms_combine(s->forms, y, s->delta, err));
    for (int64_t i = 0; i < s->tail->params->n; i++)
        s->delta[i] += s->base[i];
    NM_TRY(tangents(s, s->delta, &s->tangent, err));
done:
    return rc;
}

/* Value of row r at the present solution. */
static double value_of(const nm_least *s, int64_t r)
{
    const nm_row_id *row = &s->rows.at[r];

    if (row->kind == NM_ROW_LOWER || row->kind == NM_ROW_UPPER)
        return (row->kind == NM_ROW_LOWER ? 1 : -1) * s->delta[row->k];
    return s->value[r] + nm_row_tangent(s->tail, s->demand, row, s->tangent);
}

/* The Gram matrix alone gives up half the digits where rows are nearly dependent: the multipliers
 * are corrected until the rows of the basis take their values. */
static nm_status refine(nm_least *s, double *y, nm_err *err)
{
    enum { ROUNDS = 2 };
    double *residual;
    nm_status rc = nm_alloc(&residual, (size_t)s->gram.m, sizeof *residual, err);

    for (int round = 0; rc == NM_OK && round < ROUNDS; round++) {
        double worst = 0;

        for (int64_t r = 0; r < s->gram.m; r++) {
            residual[r] = s->gram.in[r] ? s->wanted[r] - value_of(s, r) : 0;
            worst = fmax(worst, fabs(residual[r]) / (1 + fabs(s->wanted[r])));
        }
        if (!(worst > 0.1 * ROW_TOLERANCE))
            break;
        nm_gram_correct(&s->gram, residual);
        rc = combine(s, y, err);
    }
    nm_free(residual);
    return rc;
}

static nm_status solve_once(nm_least *s, nm_master_outcome *outcome, nm_err *err)
{
    nm_ldp_outcome got;
    double *y = NULL;
    nm_status rc = NM_OK;

    s->figures.rounds++;
    NM_TRY(nm_alloc(&y, (size_t)s->gram.m, sizeof *y, err));
    NM_TRY(nm_gram_solve(&s->gram, s->ctx, &got, err));
    *outcome = got == NM_LDP_SOLVED       ? NM_MASTER_SOLVED
               : got == NM_LDP_INFEASIBLE ? NM_MASTER_INFEASIBLE
                                          : NM_MASTER_FAILED;
    if (*outcome != NM_MASTER_SOLVED)
        goto done;
    s->figures.objective = nm_gram_length(&s->gram);
    s->figures.lower_bound = nm_gram_bound(&s->gram);
    NM_TRY(combine(s, y, err));
    if (!s->opts.rough)
        NM_TRY(refine(s, y, err));
    nm_progress(s->ctx, "solving", s->gram.m, 0, s->figures.objective);
    nm_log(s->ctx, NM_LOG_DEBUG, "round %d: %lld rows, objective %.9g", s->figures.rounds,
           (long long)s->gram.m, s->figures.objective);
done:
    nm_free(y);
    return rc;
}

static nm_status add_broken(nm_least *s, int64_t *added, nm_err *err)
{
    nm_separation how = {.pins = s->opts.all_pins,
                         .labels_a_point = LABELS_A_POINT,
                         .pins_a_point = PINS_A_POINT,
                         .tolerance = s->opts.rough ? STEP_TOLERANCE : ROW_TOLERANCE};
    nm_violations found = {0};
    nm_row_id *rows = NULL;
    int64_t n;
    nm_status rc = NM_OK;

    NM_TRY(nm_separate(s->tail, s->demand, s->tangent, &how, &found, err));
    n = found.n < ROWS_A_ROUND ? found.n : ROWS_A_ROUND;
    NM_TRY(nm_alloc(&rows, (size_t)n, sizeof *rows, err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = found.at[i].row;
    NM_TRY(add(s, rows, n, added, err));
done:
    nm_free(rows);
    nm_violations_free(&found);
    return rc;
}

static nm_status solve(void *state, nm_master_outcome *outcome, nm_err *err)
{
    nm_least *s = state;
    int64_t added = 1, bounded = 0;
    nm_status rc = NM_OK;

    *outcome = NM_MASTER_SOLVED;
    if (s->gram.m > 0)
        NM_TRY(solve_once(s, outcome, err));
    else
        NM_TRY(tangents(s, s->delta, &s->tangent, err));
    for (int i = 0; *outcome == NM_MASTER_SOLVED && i < MAX_ROUNDS; i++) {
        NM_TRY(nm_ctx_check(s->ctx, err));
        if (s->tangent->n != s->tail->at->n) /* points were appended since */
            NM_TRY(tangents(s, s->delta, &s->tangent, err));
        NM_TRY(add_broken(s, &added, err));
        NM_TRY(add_bounds(s, &bounded, err));
        if (added + bounded == 0)
            break;
        if (s->n_units > MAX_UNITS) {
            *outcome = NM_MASTER_FAILED;
            break;
        }
        NM_TRY(solve_once(s, outcome, err));
    }
done:
    return rc;
}

static void retarget(void *state)
{
    nm_least *s = state;

    for (int64_t r = 0; r < s->rows.n; r++) {
        const nm_row_id *row = &s->rows.at[r];

        if (row->kind != NM_ROW_LABEL)
            continue;
        double wanted = s->demand->margin[row->point];

        s->gram.h[r] += (wanted - s->wanted[r]) * s->gram.scale[r];
        s->wanted[r] = wanted;
    }
}

/* -- results ------------------------------------------------------------------------------- */

static const double *delta(const void *state)
{
    return ((const nm_least *)state)->delta;
}

static nm_program_figures report(const void *state)
{
    const nm_least *s = state;
    nm_program_figures f = s->figures;

    f.n_rows = s->rows.n;
    f.n_total = nm_rows_total(s->tail, s->demand, s->opts.all_pins || s->rows.has_pins);
    f.solver = "structured";
    return f;
}

static const nm_row_id *rows(const void *state, int64_t *n)
{
    const nm_least *s = state;

    *n = s->rows.n;
    return s->rows.at;
}

const nm_engine nm_engine_least = {.open = open_least,
                                   .close = close_least,
                                   .add = add,
                                   .solve = solve,
                                   .retarget = retarget,
                                   .delta = delta,
                                   .report = report,
                                   .rows = rows,
                                   .conflict = nm_least_conflict,
                                   .multipliers = nm_least_multipliers};
