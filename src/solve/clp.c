/* The general path: CLP's dual simplex, warm from the last basis when rows have come. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"
#include "solve/clp_model.h"
#include "solve/polish.h"

typedef struct clp_solver {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    nm_clp_model model;
    double *d, *x; /* [n], [n_terms] */
    double *y;     /* [rows.m] */
} clp_solver;

static bool can(const nm_master_spec *spec)
{
    return spec->norm == NM_NORM_LINF || spec->norm == NM_NORM_LINF_L1N || spec->norm == NM_NORM_L1;
}

static void close_clp(void *state)
{
    clp_solver *s = state;

    nm_clp_model_close(&s->model);
    nm_free(s->d);
    nm_free(s->x);
    nm_free(s->y);
    nm_free(s);
}

static nm_status open_clp(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                          void **state, nm_err *err)
{
    clp_solver *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    if (rc != NM_OK)
        return rc;
    *s = (clp_solver){.ctx = ctx, .spec = spec, .rows = rows};
    NM_TRY(nm_alloc(&s->d, (size_t)spec->n, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->x, (size_t)spec->n_terms, sizeof *s->x, err));
done:
    if (rc != NM_OK)
        close_clp(s);
    else
        *state = s;
    return rc;
}

/* A model whose unit fits the rows: the present one, or a new one when larger rows have come. */
static nm_status fitting_model(clp_solver *s, nm_err *err)
{
    double size = nm_solution_size(s->spec, s->rows);

    if (s->model.clp && size <= 100 * s->model.unit)
        return NM_OK;
    nm_clp_model_close(&s->model);
    return nm_clp_model_open(&s->model, s->ctx, s->spec, size, err);
}

static nm_status report_solution(clp_solver *s, nm_master_result *out, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    bool ok = false;
    nm_status rc = NM_OK;

    nm_clp_model_solution(&s->model, s->rows, s->d, s->y, s->x);
    NM_TRY(nm_polish(s->ctx, s->spec, s->rows, s->d, &ok, err));
    NM_TRY(nm_master_norm(threads, s->spec, s->d, &out->objective, err));
    NM_TRY(nm_dual_bound(threads, s->spec, s->rows, s->y, s->x, out->objective, &out->lower_bound,
                         err));
    if (ok && isfinite(out->objective)) {
        out->outcome = NM_MASTER_SOLVED;
        out->d = s->d;
        out->y = s->y;
        out->x = s->x;
    }
done:
    return rc;
}

/* CLP's ray is a proof only if it passes the check; else the least-distance method looks for one.
 */
static nm_status report_infeasible(clp_solver *s, nm_master_result *out, nm_err *err)
{
    const nm_rows *rows = s->rows;
    nm_master_outcome verdict = NM_MASTER_FAILED;
    bool proven = false;
    nm_status rc = NM_OK;

    for (int i = 0; i < 2 && !proven; i++)
        proven = nm_clp_model_ray(&s->model, rows, i == 0 ? 1 : -1, s->y) &&
                 nm_farkas_excess(s->spec, rows, s->y) > 0;
    if (!proven)
        NM_TRY(nm_find_proof(s->ctx, s->spec, rows, s->y, &verdict, err));
    if (proven || verdict == NM_MASTER_INFEASIBLE) {
        out->outcome = NM_MASTER_INFEASIBLE;
        out->y = s->y;
    }
done:
    return rc;
}

static nm_status solve(void *state, nm_master_result *out, nm_err *err)
{
    enum { OPTIMAL = 0, INFEASIBLE = 1 };
    clp_solver *s = state;
    int status = -1;
    nm_status rc = NM_OK;

    *out = (nm_master_result){.outcome = NM_MASTER_FAILED};
    NM_TRY(nm_realloc(&s->y, (size_t)s->rows->m, sizeof *s->y, err));
    NM_TRY(fitting_model(s, err));
    NM_TRY(nm_clp_model_add_rows(&s->model, s->rows, err));
    NM_TRY(nm_clp_model_run(&s->model, &status, err));
    out->iterations = Clp_getIterationCount(s->model.clp);
    if (status == OPTIMAL)
        rc = report_solution(s, out, err);
    if (status == INFEASIBLE)
        rc = report_infeasible(s, out, err);
done:
    if (rc != NM_OK) /* the model may lack rows: begin anew */
        nm_clp_model_close(&s->model);
    return rc;
}

const nm_master_kind nm_master_clp = {
    .name = "clp",
    .can = can,
    .open = open_clp,
    .solve = solve,
    .close = close_clp,
};
