#include "solve/clp_model.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"

/* Rows on their way into the model, in CLP's row-wise form. */
typedef struct row_batch {
    int count, capacity;
    int n_elements;
    double *lower, *upper;
    int *starts, *columns;
    double *elements;
} row_batch;

static nm_status batch_open(row_batch *batch, int64_t rows, int64_t elements, nm_err *err)
{
    nm_status rc = NM_OK;

    *batch = (row_batch){.capacity = (int)rows};
    if (rows >= INT_MAX || elements >= INT_MAX)
        return nm_fail(err, NM_E_LIMIT, "program too large for CLP: %lld coefficients (at most %d)",
                       (long long)elements, INT_MAX);
    NM_TRY(nm_alloc(&batch->lower, (size_t)rows, sizeof(double), err));
    NM_TRY(nm_alloc(&batch->upper, (size_t)rows, sizeof(double), err));
    NM_TRY(nm_alloc(&batch->starts, (size_t)rows + 1, sizeof(int), err));
    NM_TRY(nm_alloc(&batch->columns, (size_t)elements, sizeof(int), err));
    NM_TRY(nm_alloc(&batch->elements, (size_t)elements, sizeof(double), err));
done:
    return rc;
}

static void batch_close(row_batch *batch)
{
    nm_free(batch->lower);
    nm_free(batch->upper);
    nm_free(batch->starts);
    nm_free(batch->columns);
    nm_free(batch->elements);
}

static void batch_element(row_batch *batch, int64_t column, double value)
{
    if (value == 0)
        return;
    batch->columns[batch->n_elements] = (int)column;
    batch->elements[batch->n_elements++] = value;
}

static void batch_end_row(row_batch *batch, double lower, double upper)
{
    batch->lower[batch->count] = lower;
    batch->upper[batch->count++] = upper;
    batch->starts[batch->count] = batch->n_elements;
}

static void batch_submit(const row_batch *batch, Clp_Simplex *clp)
{
    if (batch->count > 0)
        Clp_addRows(clp, batch->count, batch->lower, batch->upper, batch->starts, batch->columns,
                    batch->elements);
}

/* -- columns and the rows that do not change --------------------------------------------- */

static int64_t column_t(const nm_clp_model *model)
{
    return model->shifted ? model->n_coords : 2 * model->n_coords;
}

/* Adds sum_j a_j v_j over coordinates first .. first + count - 1; returns the coefficient that the
 * shift leaves to t. */
static double batch_combination(const nm_clp_model *model, row_batch *batch, int64_t first,
                                int64_t count, const double *a, double scale)
{
    double on_t = 0;

    for (int64_t j = 0; j < count; j++) {
        double value = scale * a[j];

        batch_element(batch, first + j, value);
        if (!model->shifted)
            batch_element(batch, model->n_coords + first + j, -value);
        on_t -= value;
    }
    return model->shifted ? on_t : 0;
}

static double term_scale(const nm_master_spec *spec, int64_t k)
{
    nm_rows terms = nm_master_terms(spec);

    return fmin(1, nm_row_unit(&terms, k));
}

static nm_status add_columns(nm_clp_model *model, nm_err *err)
{
    const nm_master_spec *spec = model->spec;
    int64_t count = (model->shifted ? 1 : 2) * model->n_coords + model->has_t;
    double weight = spec->norm == NM_NORM_L1     ? 1
                    : spec->norm == NM_NORM_LINF ? 0
                                                 : spec->l1_weight * model->cost_factor;
    double *upper = NULL, *cost = NULL;
    int *starts = NULL;
    nm_status rc = NM_OK;

    if (count >= INT_MAX)
        NM_THROW(err, NM_E_LIMIT, "program too large for CLP: %lld columns", (long long)count);
    NM_TRY(nm_alloc(&upper, (size_t)count, sizeof *upper, err));
    NM_TRY(nm_alloc(&cost, (size_t)count, sizeof *cost, err));
    NM_TRY(nm_alloc(&starts, (size_t)count + 1, sizeof *starts, err));
    for (int64_t k = 0; k < count; k++) {
        upper[k] = INFINITY;
        cost[k] = weight;
    }
    for (int64_t j = 0; j < spec->n && !model->shifted; j++) {
        upper[j] = spec->hi ? spec->hi[j] / model->unit : INFINITY;
        upper[model->n_coords + j] = spec->lo ? -spec->lo[j] / model->unit : INFINITY;
    }
    if (model->has_t)
        cost[column_t(model)] = model->cost_factor;
    Clp_addColumns(model->clp, (int)count, NULL, upper, cost, starts, NULL, NULL);
done:
    nm_free(upper);
    nm_free(cost);
    nm_free(starts);
    return rc;
}

/* @param c  the coefficients of term k */
static void batch_term(const nm_clp_model *model, row_batch *batch, int64_t k, const double *c)
{
    const nm_master_spec *spec = model->spec;
    double scale = term_scale(spec, k), minus_one = -1;
    double rhs = -scale * spec->offset[k] / model->unit;
    double on_t = batch_combination(model, batch, 0, spec->n, c, scale);

    on_t += batch_combination(model, batch, spec->n + k, 1, &minus_one, scale);
    batch_element(batch, column_t(model), on_t);
    batch_end_row(batch, rhs, rhs);
}

/* |v_k| <= t. */
static void batch_cap(const nm_clp_model *model, row_batch *batch, int64_t k)
{
    batch_element(batch, k, 1);
    if (!model->shifted)
        batch_element(batch, model->n_coords + k, 1);
    batch_element(batch, column_t(model), model->shifted ? -2 : -1);
    batch_end_row(batch, -INFINITY, 0);
}

static nm_status add_fixed_rows(nm_clp_model *model, nm_err *err)
{
    int64_t n_terms = model->spec->n_terms, n_caps = model->has_t ? model->n_coords : 0;
    nm_rows terms = nm_master_terms(model->spec);
    row_batch batch = {0};
    double *c = NULL;
    nm_status rc;

    NM_TRY(nm_alloc(&c, (size_t)model->spec->n, sizeof *c, err));
    NM_TRY(
        batch_open(&batch, n_terms + n_caps, n_terms * (2 * model->spec->n + 3) + 3 * n_caps, err));
    for (int64_t k = 0; k < n_terms; k++) {
        nm_row_write(&terms, k, c);
        batch_term(model, &batch, k, c);
    }
    for (int64_t k = 0; k < n_caps; k++)
        batch_cap(model, &batch, k);
    batch_submit(&batch, model->clp);
    model->n_fixed = n_terms + n_caps;
done:
    batch_close(&batch);
    nm_free(c);
    return rc;
}

nm_status nm_clp_model_open(nm_clp_model *model, const nm_ctx *ctx, const nm_master_spec *spec,
                            double unit, nm_err *err)
{
    bool has_t = spec->norm != NM_NORM_L1;
    nm_status rc = NM_OK;

    *model = (nm_clp_model){
        .ctx = ctx,
        .spec = spec,
        .has_t = has_t,
        .shifted = spec->norm == NM_NORM_LINF && !spec->lo && !spec->hi,
        .n_coords = spec->n + spec->n_terms,
        .unit = unit,
        .cost_factor = has_t ? (double)(spec->n + spec->n_terms) : 1,
    };
    model->clp = Clp_newModel();
    if (!model->clp)
        return nm_fail(err, NM_E_NOMEM, "out of memory: CLP model");
    Clp_setLogLevel(model->clp, 0);
    Clp_setPrimalTolerance(model->clp, 1e-9);
    Clp_setDualTolerance(model->clp, 1e-9);
    NM_TRY(add_columns(model, err));
    NM_TRY(add_fixed_rows(model, err));
done:
    return rc;
}

void nm_clp_model_close(nm_clp_model *model)
{
    if (model->clp)
        Clp_deleteModel(model->clp);
    model->clp = NULL;
}

nm_status nm_clp_model_add_rows(nm_clp_model *model, const nm_rows *rows, nm_err *err)
{
    int64_t count = rows->m - model->n_rows;
    row_batch batch = {0};
    double *a = NULL;
    nm_status rc;

    NM_TRY(nm_alloc(&a, (size_t)rows->n, sizeof *a, err));
    NM_TRY(batch_open(&batch, count, count * (2 * rows->n + 1), err));
    for (int64_t r = model->n_rows; r < rows->m; r++) {
        double scale = nm_row_unit(rows, r);

        nm_row_write(rows, r, a);
        double on_t = batch_combination(model, &batch, 0, rows->n, a, scale);
        batch_element(&batch, column_t(model), on_t);
        batch_end_row(&batch, scale * rows->h[r] / model->unit, INFINITY);
    }
    batch_submit(&batch, model->clp);
    model->n_rows = rows->m;
done:
    batch_close(&batch);
    nm_free(a);
    return rc;
}

/* -- running ----------------------------------------------------------------------------- */

/* Watches the context while CLP runs. CLP looks at its iteration limit in every iteration, so
 * setting that to 0 from here stops it at once. The other ways were tried and fail: in slices
 * (Clp_setMaximumSeconds and again from the basis) the simplex loses its edge weights each time
 * and did not finish at all with slices of 0.3 s; the message callback comes up to 2 s apart, and
 * CLP prints what it passes. */
typedef struct watch {
    const nm_ctx *ctx;
    Clp_Simplex *clp;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
} watch;

static void *watch_context(void *argument)
{
    enum { PERIOD_NS = 20000000 };
    watch *w = argument;

    pthread_mutex_lock(&w->lock);
    while (!w->done) {
        struct timespec until;

        if (nm_ctx_must_stop(w->ctx))
            Clp_setMaximumIterations(w->clp, 0);
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PERIOD_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&w->wake, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

nm_status nm_clp_model_run(nm_clp_model *model, int *status, nm_err *err)
{
    watch w = {.ctx = model->ctx,
               .clp = model->clp,
               .lock = PTHREAD_MUTEX_INITIALIZER,
               .wake = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    nm_status rc = nm_ctx_check(model->ctx, err);

    if (rc != NM_OK)
        return rc;
    Clp_setMaximumIterations(model->clp, INT_MAX);
    if (pthread_create(&thread, NULL, watch_context, &w) != 0)
        return nm_fail(err, NM_E_NOMEM, "out of memory: thread that watches CLP");
    (void)Clp_dual(model->clp, 0);
    pthread_mutex_lock(&w.lock);
    w.done = true;
    pthread_cond_signal(&w.wake);
    pthread_mutex_unlock(&w.lock);
    (void)pthread_join(thread, NULL);
    *status = Clp_status(model->clp);
    return *status == 0 ? NM_OK : nm_ctx_check(model->ctx, err);
}

/* -- results ----------------------------------------------------------------------------- */

void nm_clp_model_solution(const nm_clp_model *model, const nm_rows *rows, double *d, double *y,
                           double *x)
{
    const nm_master_spec *spec = model->spec;
    const double *columns = Clp_getColSolution(model->clp), *duals = Clp_getRowPrice(model->clp);
    const double *minus = columns + model->n_coords;

    for (int64_t j = 0; j < spec->n; j++)
        d[j] = model->unit * (columns[j] - (model->shifted ? *minus : minus[j]));
    for (int64_t k = 0; k < spec->n_terms; k++)
        x[k] = -duals[k] * term_scale(spec, k) / model->cost_factor;
    for (int64_t r = 0; r < model->n_rows; r++)
        y[r] = fmax(0, duals[model->n_fixed + r] * nm_row_unit(rows, r) / model->cost_factor);
}

bool nm_clp_model_ray(const nm_clp_model *model, const nm_rows *rows, double sign, double *y)
{
    double *ray = Clp_infeasibilityRay(model->clp);

    if (!ray)
        return false;
    for (int64_t r = 0; r < model->n_rows; r++)
        y[r] = fmax(0, sign * ray[model->n_fixed + r] * nm_row_unit(rows, r));
    Clp_freeRay(model->clp, ray);
    return true;
}
