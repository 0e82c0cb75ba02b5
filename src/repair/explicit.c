/* The engine of explicit programs: nm_program as it is. */
#include "repair/engine.h"

static nm_status open_explicit(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                               const nm_program_opts *opts, const nm_engine_room *room,
                               void **state, nm_err *err)
{
    nm_program *program;
    nm_status rc = nm_program_open(ctx, tail, demand, opts, &program, err);

    (void)room;
    *state = program;
    return rc;
}

static void close_explicit(void *state)
{
    nm_program_close(state);
}

static nm_status add(void *state, const nm_row_id *rows, int64_t n, int64_t *added, nm_err *err)
{
    return nm_program_add(state, rows, n, added, err);
}

static nm_status solve(void *state, nm_master_outcome *outcome, nm_err *err)
{
    return nm_program_solve(state, outcome, err);
}

static const double *delta(const void *state)
{
    return nm_program_delta(state);
}

static nm_program_figures report(const void *state)
{
    return nm_program_report(state);
}

static const nm_row_id *rows(const void *state, int64_t *n)
{
    return nm_program_rows(state, n);
}

static nm_status conflict(void *state, bool *member, nm_err *err)
{
    return nm_program_conflict(state, member, err);
}

static nm_status multipliers(void *state, bool infeasible, nm_row_id **out, double **y, int64_t *n,
                             nm_err *err)
{
    (void)infeasible;
    return nm_program_copy_multipliers(state, out, y, n, err);
}

const nm_engine nm_engine_explicit = {.open = open_explicit,
                                      .close = close_explicit,
                                      .add = add,
                                      .solve = solve,
                                      .delta = delta,
                                      .report = report,
                                      .rows = rows,
                                      .conflict = conflict,
                                      .multipliers = multipliers};
