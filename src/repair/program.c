#include "repair/program.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "problem/row_set.h"

enum {
    ROWS_A_ROUND = 1000, /* more rows make the master slower than the rounds they save */
    ROWS_AT_ONCE = 64, /* made and copied without factors: each is as long as the unknowns' list */
    LABELS_A_POINT = 2,
    PINS_A_POINT = 8,
    MAX_ROUNDS = 1000
};

/* While rows are still being found, answers need not be exact. */
static const double searching_gap = 1e-3;

/* Broken by less than this (relative) is a matter of the solver's accuracy. */
static const double row_tolerance = 1e-9;

struct nm_program {
    const nm_ctx *ctx;
    const nm_tail *tail;
    const nm_demand *demand;
    nm_program_opts opts;
    nm_master_spec spec;
    nm_master *master;
    double *lo, *hi;     /* arrays of the spec */
    nm_rows terms;       /* and these: C, and c0 in place of right-hand sides */
    double *base;        /* [n] */
    double *delta;       /* [n] base + solution */
    double *step;        /* [n] delta - tail->delta, scratch */
    nm_row_space *space; /* of rows and terms; NULL: they are no outer products */
    nm_tape *tangent;    /* made anew when points were appended */
    nm_row_set set;      /* those the master has, in its order */
    double *y;           /* [set.n] multipliers of the last solve */
    nm_program_figures figures;
};

/* -- names of rows ----------------------------------------------------------------------- */

static nm_status remember(nm_program *p, const nm_row_id *rows, int64_t n, nm_err *err)
{
    int64_t before = p->set.n;
    nm_status rc = NM_OK;

    NM_TRY(nm_row_set_append(&p->set, rows, n, err));
    NM_TRY(nm_realloc(&p->y, (size_t)p->set.room, sizeof *p->y, err));
    memset(p->y + before, 0, (size_t)n * sizeof *p->y);
done:
    return rc;
}

/* -- opening ----------------------------------------------------------------------------- */

static nm_status set_bounds(nm_program *p, nm_err *err)
{
    const nm_plan *plan = p->opts.plan;
    int64_t n = p->spec.n;
    nm_status rc = NM_OK;

    if (isinf(plan->lo) && isinf(plan->hi))
        return NM_OK;
    NM_TRY(nm_alloc(&p->lo, (size_t)n, sizeof *p->lo, err));
    NM_TRY(nm_alloc(&p->hi, (size_t)n, sizeof *p->hi, err));
    for (int64_t i = 0; i < n; i++) {
        p->lo[i] = fmin(nm_param_lo(plan, p->tail->params, i) - p->base[i], 0);
        p->hi[i] = fmax(nm_param_hi(plan, p->tail->params, i) - p->base[i], 0);
    }
    p->spec.lo = p->lo;
    p->spec.hi = p->hi;
done:
    return rc;
}

/* rows->h = values of the rows at the base. Rows are linearised elsewhere, at tail->delta, and
 * `value` [m] is theirs there. */
static void move_to_base(nm_program *p, const double *value, nm_rows *rows)
{
    for (int64_t i = 0; i < p->spec.n; i++)
        p->step[i] = p->base[i] - p->tail->delta[i];
    nm_rows_times(nm_ctx_threads(p->ctx), rows, p->step, rows->h);
    for (int64_t r = 0; r < rows->m; r++)
        rows->h[r] += value[r];
}

/* Named rows, and their values at the base as h. *out is empty at first. */
static nm_status make_rows(nm_program *p, const nm_row_id *rows, int64_t n, nm_rows *out,
                           nm_err *err)
{
    nm_factors factors = {0};
    double *a = NULL, *value = NULL;
    nm_status rc = NM_OK;

    *out = (nm_rows){.n = p->spec.n, .factors = {.space = p->spec.space}};
    NM_TRY(nm_alloc(&value, (size_t)n, sizeof *value, err));
    if (p->space) {
        nm_row_space_update(p->space, p->tail);
        NM_TRY(nm_factors_room(&p->space->space, n, &factors, err));
        for (int64_t r = 0; r < n; r++)
            factors.point[r] = rows[r].point;
        NM_TRY(nm_rows_make_factored(p->ctx, p->tail, p->demand, rows, n, p->space, value,
                                     factors.g, err));
    } else {
        NM_TRY(nm_alloc(&a, (size_t)n, (size_t)p->spec.n * sizeof *a, err));
        NM_TRY(nm_rows_make(p->ctx, p->tail, p->demand, rows, n, a, value, err));
    }
    NM_TRY(nm_rows_append(out, n, a, value, &factors, err));
    move_to_base(p, value, out);
done:
    nm_factors_free(&factors);
    nm_free(a);
    nm_free(value);
    return rc;
}

/* Output changes at the repair points as affine functions of the step: terms of the norm. */
static nm_status set_terms(nm_program *p, nm_err *err)
{
    const nm_net *net = p->tail->net;
    int64_t n_scores = net->values[net->scores].size;
    int64_t n = p->demand->n_pinned * n_scores;
    nm_row_id *rows = NULL;
    nm_status rc = NM_OK;

    if (!p->opts.repair->norm_includes_outputs)
        return NM_OK;
    NM_TRY(nm_alloc(&rows, (size_t)n, sizeof *rows, err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = (nm_row_id){.kind = NM_ROW_OUTPUT, .point = i / n_scores, .k = i % n_scores};
    NM_TRY(make_rows(p, rows, n, &p->terms, err));
    for (int64_t i = 0; i < n; i++)
        p->terms.h[i] -= p->opts.original_scores[i];
    p->spec.n_terms = n;
    p->spec.terms = p->terms.a;
    p->spec.offset = p->terms.h;
    p->spec.term_factors = &p->terms.factors;
done:
    nm_free(rows);
    return rc;
}

/* P of the norm's definition: parameters, and outputs when they belong to the vector. */
static double norm_length(const nm_program *p)
{
    const nm_repair_opts *repair = p->opts.repair;
    int64_t n = repair->norm_counts_marked ? nm_plan_n_marked(p->opts.plan) : p->spec.n;

    return (double)(n + p->spec.n_terms);
}

nm_status nm_program_open(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                          const nm_program_opts *opts, nm_program **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_program *p = NULL;
    size_t n = (size_t)tail->params->n;

    *out = NULL;
    NM_TRY(nm_alloc(&p, 1, sizeof *p, err));
    p->ctx = ctx;
    p->tail = tail;
    p->demand = demand;
    p->opts = *opts;
    p->spec.norm = opts->repair->norm;
    p->spec.n = tail->params->n;
    p->spec.gap = opts->gap;
    NM_TRY(nm_alloc(&p->base, n, sizeof *p->base, err));
    if (opts->base)
        memcpy(p->base, opts->base, n * sizeof *p->base);
    NM_TRY(nm_memdup(&p->delta, p->base, n, sizeof *p->delta, err));
    NM_TRY(nm_alloc(&p->step, n, sizeof *p->step, err));
    NM_TRY(set_bounds(p, err));
    NM_TRY(nm_row_space_new(tail, &p->space, err));
    p->spec.space = p->space ? &p->space->space : NULL;
    NM_TRY(set_terms(p, err));
    p->spec.l1_weight = 1 / norm_length(p);
    NM_TRY(nm_master_open(ctx, &p->spec, opts->repair->solver, &p->master, err));
    *out = p;
    p = NULL;
done:
    nm_program_close(p);
    return rc;
}

void nm_program_close(nm_program *p)
{
    if (!p)
        return;
    nm_master_close(p->master);
    nm_row_space_free(p->space);
    nm_rows_free(&p->terms);
    nm_tape_free(p->tangent);
    nm_free(p->lo);
    nm_free(p->hi);
    nm_free(p->base);
    nm_free(p->delta);
    nm_free(p->step);
    nm_row_set_free(&p->set);
    nm_free(p->y);
    nm_free(p);
}

/* -- rows -------------------------------------------------------------------------------- */

/* Named constraints, in terms of the step from the base. */
static nm_status make_constraints(nm_program *p, const nm_row_id *rows, int64_t n, nm_rows *out,
                                  nm_err *err)
{
    nm_status rc = make_rows(p, rows, n, out, err);

    for (int64_t r = 0; rc == NM_OK && r < n; r++) {
        double wanted = rows[r].kind == NM_ROW_LABEL ? p->demand->margin[rows[r].point] : 0;

        out->h[r] = wanted - out->h[r];
    }
    return rc;
}

static nm_status add_batch(nm_program *p, const nm_row_id *rows, int64_t n, nm_err *err)
{
    nm_rows batch = {0};
    nm_status rc = NM_OK;

    NM_TRY(make_constraints(p, rows, n, &batch, err));
    NM_TRY(nm_master_add(p->master, &batch, err));
    NM_TRY(remember(p, rows, n, err));
done:
    nm_rows_free(&batch);
    return rc;
}

static nm_status add_new(nm_program *p, const nm_row_id *rows, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t most = p->space ? ROWS_A_ROUND : ROWS_AT_ONCE;

    for (int64_t first = 0; first < n && rc == NM_OK; first += most)
        rc = add_batch(p, rows + first, n - first < most ? n - first : most, err);
    return rc;
}

nm_status nm_program_add(nm_program *p, const nm_row_id *rows, int64_t n, int64_t *added,
                         nm_err *err)
{
    nm_row_id *new_rows;
    nm_status rc = nm_alloc(&new_rows, (size_t)n, sizeof *new_rows, err);

    *added = 0;
    for (int64_t i = 0; rc == NM_OK && i < n; i++)
        if (!nm_row_set_has(&p->set, &rows[i]))
            new_rows[(*added)++] = rows[i];
    if (rc == NM_OK && *added > 0)
        rc = add_new(p, new_rows, *added, err);
    nm_free(new_rows);
    return rc;
}

/* -- the lazy loop ----------------------------------------------------------------------- */

/* Tangent of the present solution's step away from where the tail is linearised. */
static nm_status update_tangent(nm_program *p, nm_err *err)
{
    nm_status rc = NM_OK;

    if (p->tangent && p->tangent->n != p->tail->at->n) {
        nm_tape_free(p->tangent);
        p->tangent = NULL;
    }
    if (!p->tangent)
        rc = nm_tail_tangent_new(p->tail, &p->tangent, err);
    for (int64_t i = 0; i < p->spec.n; i++)
        p->step[i] = p->delta[i] - p->tail->delta[i];
    return rc == NM_OK ? nm_tail_tangent(p->ctx, p->tail, p->step, p->tangent, err) : rc;
}

static nm_status add_broken(nm_program *p, int64_t *added, nm_err *err)
{
    nm_separation how = {.pins = p->opts.all_pins,
                         .labels_a_point = LABELS_A_POINT,
                         .pins_a_point = PINS_A_POINT,
                         .tolerance = row_tolerance};
    nm_violations found = {0};
    nm_row_id *rows = NULL;
    int64_t n;
    nm_status rc = NM_OK;

    NM_TRY(update_tangent(p, err));
    NM_TRY(nm_separate(p->tail, p->demand, p->tangent, &how, &found, err));
    n = found.n < ROWS_A_ROUND ? found.n : ROWS_A_ROUND;
    NM_TRY(nm_alloc(&rows, (size_t)n, sizeof *rows, err));
    for (int64_t i = 0; i < n; i++)
        rows[i] = found.at[i].row;
    NM_TRY(nm_program_add(p, rows, n, added, err));
done:
    nm_free(rows);
    nm_violations_free(&found);
    return rc;
}

static nm_status solve_master(nm_program *p, nm_master_outcome *outcome, nm_err *err)
{
    nm_master_result got;
    nm_status rc;

    if (p->space)
        nm_row_space_update(p->space, p->tail);
    rc = nm_master_solve(p->master, &got, err);
    if (rc != NM_OK)
        return rc;
    *outcome = got.outcome;
    if (got.y && p->set.n > 0)
        memcpy(p->y, got.y, (size_t)p->set.n * sizeof *p->y);
    if (got.outcome != NM_MASTER_SOLVED)
        return NM_OK;
    for (int64_t i = 0; i < p->spec.n; i++)
        p->delta[i] = p->base[i] + got.d[i];
    p->figures.objective = got.objective;
    p->figures.lower_bound = got.lower_bound;
    return NM_OK;
}

static nm_status solve_round(nm_program *p, nm_master_outcome *outcome, nm_err *err)
{
    nm_status rc = solve_master(p, outcome, err);

    p->figures.rounds++;
    nm_progress(p->ctx, "solving", p->set.n, 0, p->figures.objective);
    nm_log(p->ctx, NM_LOG_DEBUG, "round %d: %lld rows, objective %.9g", p->figures.rounds,
           (long long)p->set.n, p->figures.objective);
    return rc;
}

/* Hardly any rows were new: the next answer may as well be exact, it will hardly break more. */
static bool nearly_found(const nm_program *p, double gap, int64_t added)
{
    return gap > p->spec.gap && 20 * added < p->set.n;
}

/* Adds rows and solves until none is broken, or for a rough gap until few are. */
static nm_status solve_to_gap(nm_program *p, double gap, nm_master_outcome *outcome, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t added = 1;

    nm_master_set_gap(p->master, gap);
    if (p->set.n > 0 || p->spec.n_terms > 0)
        rc = solve_round(p, outcome, err);
    for (int i = 0; rc == NM_OK && *outcome == NM_MASTER_SOLVED && i < MAX_ROUNDS; i++) {
        rc = nm_ctx_check(p->ctx, err);
        if (rc == NM_OK)
            rc = add_broken(p, &added, err);
        if (rc != NM_OK || added == 0 || nearly_found(p, gap, added))
            break;
        rc = solve_round(p, outcome, err);
    }
    return rc;
}

nm_status nm_program_solve(nm_program *p, nm_master_outcome *outcome, nm_err *err)
{
    nm_status rc = NM_OK;

    *outcome = NM_MASTER_SOLVED;
    if (p->spec.gap < searching_gap)
        rc = solve_to_gap(p, searching_gap, outcome, err);
    if (rc == NM_OK && *outcome == NM_MASTER_SOLVED)
        rc = solve_to_gap(p, p->spec.gap, outcome, err);
    return rc;
}

/* -- results ----------------------------------------------------------------------------- */

const double *nm_program_delta(const nm_program *p)
{
    return p->delta;
}

nm_program_figures nm_program_report(const nm_program *p)
{
    nm_program_figures f = p->figures;

    f.n_rows = p->set.n;
    f.n_total = nm_rows_total(p->tail, p->demand, p->opts.all_pins || p->set.has_pins);
    f.solver = nm_master_solver(p->master);
    return f;
}

const nm_row_id *nm_program_rows(const nm_program *p, int64_t *n)
{
    *n = p->set.n;
    return p->set.at;
}

nm_status nm_program_copy_multipliers(const nm_program *p, nm_row_id **rows, double **y, int64_t *n,
                                      nm_err *err)
{
    nm_status rc = nm_memdup(rows, p->set.at, (size_t)p->set.n, sizeof **rows, err);

    *n = p->set.n;
    return rc == NM_OK ? nm_memdup(y, p->y, (size_t)p->set.n, sizeof **y, err) : rc;
}

nm_status nm_program_conflict(nm_program *p, bool *member, nm_err *err)
{
    nm_status rc = NM_OK;
    double *y = NULL;
    nm_rows involved = {0};
    int64_t *group = NULL;
    nm_row_id *rows = NULL;
    int64_t n = 0;

    /* Only rows with a positive multiplier take part in the proof. */
    NM_TRY(nm_alloc(&rows, (size_t)p->set.n, sizeof *rows, err));
    NM_TRY(nm_alloc(&y, (size_t)p->set.n, sizeof *y, err));
    for (int64_t r = 0; r < p->set.n; r++)
        if (p->y[r] > 0) {
            rows[n] = p->set.at[r];
            y[n++] = p->y[r];
        }
    NM_TRY(nm_alloc(&group, (size_t)n, sizeof *group, err));
    for (int64_t r = 0; r < n; r++)
        group[r] = rows[r].point;
    NM_TRY(make_constraints(p, rows, n, &involved, err));
    NM_TRY(nm_conflict_groups(p->ctx, &p->spec, &involved, group, p->tail->at->n, y, member, err));
done:
    nm_rows_free(&involved);
    nm_free(y);
    nm_free(group);
    nm_free(rows);
    return rc;
}
