#include "solve/master.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

struct nm_master {
    const nm_ctx *ctx;
    nm_master_spec spec;
    nm_rows rows;
    const nm_master_kind *kind;
    void *state;
    const nm_master_kind *fallback; /* NULL when the caller chose the solver */
    nm_groups term_groups;
    double *plain_y;    /* [rows.m] multipliers of answers that need no solver */
    double *zero;       /* [n] */
    double *row;        /* [n] scratch */
    double narrowest;   /* smallest |lo_j|, |hi_j| */
    int64_t n_possible; /* the first n_possible rows are not such rows */
};

static const nm_master_kind *const structured[] = {&nm_master_active_set, &nm_master_sift,
                                                   &nm_master_columns, &nm_master_ipm};

static const nm_master_kind *choose(const nm_master_spec *spec, nm_solver solver)
{
    if (solver == NM_SOLVER_CLP)
        return nm_master_clp.can(spec) ? &nm_master_clp : NULL;
    for (size_t i = 0; i < sizeof structured / sizeof *structured; i++) {
        if (structured[i]->can(spec))
            return structured[i];
    }
    return NULL;
}

static double narrowest_side(const nm_master_spec *spec)
{
    double least = INFINITY;

    for (int64_t j = 0; j < spec->n; j++) {
        if (spec->lo)
            least = fmin(least, -spec->lo[j]);
        if (spec->hi)
            least = fmin(least, spec->hi[j]);
    }
    return least;
}

static nm_status check_spec(const nm_master_spec *spec, nm_err *err)
{
    if (spec->n < 1 || spec->n >= INT32_MAX || spec->n_terms < 0 || spec->n_terms >= INT32_MAX)
        return nm_fail(err, NM_E_ARG, "a program of %lld unknowns and %lld terms cannot be solved",
                       (long long)spec->n, (long long)spec->n_terms);
    for (int64_t j = 0; j < spec->n; j++) {
        if ((spec->lo && !(spec->lo[j] <= 0)) || (spec->hi && !(spec->hi[j] >= 0)))
            return nm_fail(err, NM_E_ARG, "the bounds of unknown %lld do not contain 0",
                           (long long)j);
    }
    return NM_OK;
}

nm_status nm_master_open(const nm_ctx *ctx, const nm_master_spec *spec, nm_solver solver,
                         nm_master **out, nm_err *err)
{
    nm_master *master = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(check_spec(spec, err));
    NM_TRY(nm_alloc(&master, 1, sizeof *master, err));
    /* Our loops bring the threads; BLAS threads under them would only get in the way. */
    openblas_set_num_threads(1);
    *master = (nm_master){
        .ctx = ctx, .spec = *spec, .rows = {.n = spec->n, .factors = {.space = spec->space}}};
    master->kind = choose(spec, solver);
    if (!master->kind)
        NM_THROW(err, NM_E_ARG, "solver %s cannot minimise this norm",
                 solver == NM_SOLVER_CLP ? "clp" : "structured");
    if (solver == NM_SOLVER_AUTO && master->kind != &nm_master_clp && nm_master_clp.can(spec))
        master->fallback = &nm_master_clp;
    master->narrowest = narrowest_side(spec);
    NM_TRY(nm_alloc(&master->zero, (size_t)spec->n, sizeof *master->zero, err));
    NM_TRY(nm_alloc(&master->row, (size_t)spec->n, sizeof *master->row, err));
    if (spec->space && spec->n_terms > 0) {
        NM_TRY(nm_groups_make(spec->term_factors, NULL, NULL, &master->term_groups, err));
        master->spec.term_groups = &master->term_groups;
    }
    NM_TRY(master->kind->open(ctx, &master->spec, &master->rows, &master->state, err));
    *out = master;
done:
    if (rc != NM_OK)
        nm_master_close(master);
    return rc;
}

void nm_master_close(nm_master *master)
{
    if (!master)
        return;
    if (master->kind && master->state)
        master->kind->close(master->state);
    nm_rows_free(&master->rows);
    nm_free(master->plain_y);
    nm_free(master->zero);
    nm_free(master->row);
    nm_groups_free(&master->term_groups);
    nm_free(master);
}

nm_status nm_master_add_rows(nm_master *master, int64_t m, const double *a, const double *h,
                             nm_err *err)
{
    if (master->spec.space)
        return nm_fail(err, NM_E_ARG, "rows were added without their factors");
    return nm_rows_append(&master->rows, m, a, h, NULL, err);
}

nm_status nm_master_add(nm_master *master, const nm_rows *rows, nm_err *err)
{
    if (rows->n != master->spec.n || rows->factors.space != master->spec.space)
        return nm_fail(err, NM_E_ARG, "the rows added are of another kind than the program's");
    return nm_rows_append(&master->rows, rows->m, rows->a, rows->h, &rows->factors, err);
}

/* Cheap doubt before the rigorous check: the box does not obviously let the row reach h. */
static bool seems_hopeless(nm_master *master, int64_t r)
{
    const nm_master_spec *spec = &master->spec;
    double *a = master->row, h = master->rows.h[r], reach = 0;
    double sum = nm_row_measure(&master->rows, r).sum;

    if (h <= 0 || (sum > 0 && sum * master->narrowest > 2 * h))
        return false;
    nm_row_write(&master->rows, r, a);
    for (int64_t j = 0; j < spec->n && reach <= h; j++) {
        const double *side = a[j] > 0 ? spec->hi : spec->lo;

        if (a[j] != 0)
            reach += side ? a[j] * side[j] : INFINITY;
    }
    return reach <= h;
}

static bool is_hopeless(nm_master *master, int64_t r)
{
    double *y = master->plain_y;

    if (!seems_hopeless(master, r))
        return false;
    y[r] = 1;
    bool proven = nm_farkas_excess(&master->spec, &master->rows, y) > 0;
    y[r] = 0;
    return proven;
}

/* The first row, among those not looked at yet, that alone excludes every d in the box; -1: none.
 */
static int64_t find_hopeless_row(nm_master *master)
{
    while (master->n_possible < master->rows.m) {
        if (is_hopeless(master, master->n_possible))
            return master->n_possible;
        master->n_possible++;
    }
    return -1;
}

/* d = 0 meets all rows, and nothing is smaller. */
static bool nothing_to_do(const nm_master *master)
{
    bool holds = true;

    for (int64_t r = 0; r < master->rows.m; r++)
        holds = holds && master->rows.h[r] <= 0;
    for (int64_t k = 0; k < master->spec.n_terms; k++)
        holds = holds && master->spec.offset[k] == 0;
    return holds;
}

/* Answers that need no solver and would only be awkward for one. */
static nm_status try_plain_answer(nm_master *master, nm_master_result *out, bool *found,
                                  nm_err *err)
{
    size_t m = (size_t)master->rows.m;
    nm_status rc = nm_realloc(&master->plain_y, m, sizeof *master->plain_y, err);

    if (rc != NM_OK)
        return rc;
    memset(master->plain_y, 0, m * sizeof *master->plain_y);
    int64_t hopeless = find_hopeless_row(master);
    *found = hopeless >= 0 || nothing_to_do(master);
    if (hopeless >= 0) {
        master->plain_y[hopeless] = 1;
        *out = (nm_master_result){.outcome = NM_MASTER_INFEASIBLE, .y = master->plain_y};
    } else if (*found) {
        *out = (nm_master_result){
            .outcome = NM_MASTER_SOLVED, .d = master->zero, .y = master->plain_y};
    }
    return NM_OK;
}

static nm_status fall_back(nm_master *master, nm_err *err)
{
    const nm_master_kind *other = master->fallback;
    void *state;
    nm_status rc = other->open(master->ctx, &master->spec, &master->rows, &state, err);

    if (rc != NM_OK)
        return rc;
    nm_log(master->ctx, NM_LOG_WARNING,
           "solver %s met numerical trouble (%lld rows, %lld unknowns); going on with %s",
           master->kind->name, (long long)master->rows.m, (long long)master->rows.n, other->name);
    master->kind->close(master->state);
    master->kind = other;
    master->state = state;
    master->fallback = NULL;
    return NM_OK;
}

nm_status nm_master_solve(nm_master *master, nm_master_result *out, nm_err *err)
{
    bool found;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(master->ctx, err));
    NM_TRY(try_plain_answer(master, out, &found, err));
    if (found)
        goto done;
    NM_TRY(master->kind->solve(master->state, out, err));
    if (out->outcome == NM_MASTER_FAILED && master->fallback) {
        NM_TRY(fall_back(master, err));
        NM_TRY(master->kind->solve(master->state, out, err));
    }
done:
    return rc;
}

void nm_master_set_gap(nm_master *master, double gap)
{
    master->spec.gap = gap;
}

const char *nm_master_solver(const nm_master *master)
{
    return master->kind->name;
}

int64_t nm_master_n_rows(const nm_master *master)
{
    return master->rows.m;
}
