#include "solve/polish.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"

static const double GOOD = 1e-10; /* violation, relative to nm_row_scale, that needs no polish */

/* The rows that hold by less than `reach` of their scale, for the step away from d. The step is
 * asked for a little more than what is missing, to be right after rounding. */
static nm_status near_rows(int threads, const nm_rows *rows, const double *d, double reach,
                           nm_rows *near, nm_err *err)
{
    double *missing = NULL, *scale = NULL;
    int64_t *index = NULL, count = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&missing, (size_t)rows->m, sizeof *missing, err));
    NM_TRY(nm_alloc(&scale, (size_t)rows->m, sizeof *scale, err));
    NM_TRY(nm_alloc(&index, (size_t)rows->m, sizeof *index, err));
    nm_rows_times(threads, rows, d, missing);
    nm_rows_scales(threads, rows, d, scale);
    for (int64_t r = 0; r < rows->m; r++) {
        double amount = rows->h[r] - missing[r] + 1e-14 * scale[r];

        if (amount < -reach * scale[r])
            continue;
        missing[count] = amount;
        index[count++] = r;
    }
    NM_TRY(nm_rows_pick(near, rows, count, index, missing, err));
done:
    nm_free(missing);
    nm_free(scale);
    nm_free(index);
    return rc;
}

/* Bounds on the step: [lo - d, hi - d]. */
static nm_status step_bounds(const double *bounds, const double *d, int64_t n, double **out,
                             nm_err *err)
{
    nm_status rc = NM_OK;

    *out = NULL;
    if (!bounds)
        return NM_OK;
    NM_TRY(nm_memdup(out, bounds, (size_t)n, sizeof *bounds, err));
    for (int64_t j = 0; j < n; j++)
        (*out)[j] -= d[j];
done:
    return rc;
}

static nm_status polish_step(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                             double violation, double *d, nm_err *err)
{
    nm_master_spec step = {
        .norm = NM_NORM_L2, .n = spec->n, .gap = spec->gap, .space = spec->space};
    nm_rows near = {.n = spec->n, .factors = {.space = rows->factors.space}};
    nm_master_result result;
    double *lo = NULL, *hi = NULL;
    void *solver = NULL;
    nm_status rc = NM_OK;

    NM_TRY(step_bounds(spec->lo, d, spec->n, &lo, err));
    NM_TRY(step_bounds(spec->hi, d, spec->n, &hi, err));
    step.lo = lo;
    step.hi = hi;
    NM_TRY(near_rows(nm_ctx_threads(ctx), rows, d, fmax(1e-6, 100 * violation), &near, err));
    NM_TRY(nm_master_active_set.open(ctx, &step, &near, &solver, err));
    NM_TRY(nm_master_active_set.solve(solver, &result, err));
    for (int64_t j = 0; j < spec->n && result.outcome == NM_MASTER_SOLVED; j++)
        d[j] += result.d[j];
    nm_clip_to_box(spec, d);
done:
    if (solver)
        nm_master_active_set.close(solver);
    nm_rows_free(&near);
    nm_free(lo);
    nm_free(hi);
    return rc;
}

nm_status nm_polish(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows, double *d,
                    bool *ok, nm_err *err)
{
    enum { ROUNDS = 3 };
    nm_status rc = NM_OK;

    nm_clip_to_box(spec, d);
    double violation = 0;
    NM_TRY(nm_rows_violation(nm_ctx_threads(ctx), rows, d, &violation, err));
    for (int round = 0; round < ROUNDS && violation > GOOD && isfinite(violation); round++) {
        NM_TRY(polish_step(ctx, spec, rows, violation, d, err));
        NM_TRY(nm_rows_violation(nm_ctx_threads(ctx), rows, d, &violation, err));
    }
    *ok = violation <= 1e-9;
done:
    return rc;
}

nm_status nm_find_proof(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                        double *y, nm_master_outcome *outcome, nm_err *err)
{
    nm_master_spec shortest = {.norm = NM_NORM_L2,
                               .n = spec->n,
                               .lo = spec->lo,
                               .hi = spec->hi,
                               .gap = spec->gap,
                               .space = spec->space};
    nm_master_result result;
    void *solver = NULL;
    nm_status rc = NM_OK;

    *outcome = NM_MASTER_FAILED;
    NM_TRY(nm_master_active_set.open(ctx, &shortest, rows, &solver, err));
    NM_TRY(nm_master_active_set.solve(solver, &result, err));
    *outcome = result.outcome;
    if (result.outcome == NM_MASTER_INFEASIBLE)
        memcpy(y, result.y, (size_t)rows->m * sizeof *y);
done:
    if (solver)
        nm_master_active_set.close(solver);
    return rc;
}
