#include "solve/rows.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

/* -- one row ---------------------------------------------------------------------------------- */

static bool has_factors(const nm_rows *rows)
{
    return rows->factors.space != NULL;
}

static void write_outer_product(const nm_factor_space *space, const double *g, const double *x,
                                int64_t n, double *out)
{
    memset(out, 0, (size_t)n * sizeof *out);
    for (int64_t i = 0; i < space->n_out; i++) {
        const int64_t *column = space->column + i * space->n_in;

        for (int64_t k = 0; k < space->n_in && g[i] != 0; k++)
            if (column[k] >= 0)
                out[column[k]] = g[i] * x[k];
    }
    for (int64_t e = 0; e < space->n_extra; e++)
        out[space->extra_column[e]] = g[space->n_out + e];
}

void nm_row_write(const nm_rows *rows, int64_t r, double *out)
{
    const nm_factors *f = &rows->factors;

    if (has_factors(rows))
        write_outer_product(f->space, f->g + r * nm_factor_width(f->space),
                            f->space->x + f->point[r] * f->space->n_in, rows->n, out);
    else
        memcpy(out, rows->a + r * rows->n, (size_t)rows->n * sizeof *out);
}

static void count_entry(nm_row_size *size, double *squares, double value)
{
    size->sum += fabs(value);
    size->largest = fmax(size->largest, fabs(value));
    *squares += value * value;
}

/* With all weights free the norms of an outer product are products of norms. */
static nm_row_size measure_outer_product(const nm_factors *f, bool full, int64_t r)
{
    const nm_factor_space *space = f->space;
    const double *g = f->g + r * nm_factor_width(space);
    const double *x = space->x + f->point[r] * space->n_in;
    nm_row_size size = {0}, input = {0};
    double squares = 0, input_squares = 0;

    for (int64_t k = 0; k < space->n_in && full; k++)
        count_entry(&input, &input_squares, x[k]);
    for (int64_t i = 0; i < space->n_out; i++) {
        const int64_t *column = space->column + i * space->n_in;

        if (full) {
            size.sum += fabs(g[i]) * input.sum;
            size.largest = fmax(size.largest, fabs(g[i]) * input.largest);
            squares += g[i] * g[i] * input_squares;
            continue;
        }
        for (int64_t k = 0; k < space->n_in && g[i] != 0; k++)
            if (column[k] >= 0)
                count_entry(&size, &squares, g[i] * x[k]);
    }
    for (int64_t e = 0; e < space->n_extra; e++)
        count_entry(&size, &squares, g[space->n_out + e]);
    size.length = sqrt(squares);
    return size;
}

static nm_row_size measure_dense(int64_t n, const double *a)
{
    nm_row_size size = {.sum = cblas_dasum((int)n, a, 1), .length = cblas_dnrm2((int)n, a, 1)};

    for (int64_t j = 0; j < n; j++)
        size.largest = fmax(size.largest, fabs(a[j]));
    return size;
}

nm_row_size nm_row_measure(const nm_rows *rows, int64_t r)
{
    if (rows->size)
        return rows->size[r];
    if (has_factors(rows))
        return measure_outer_product(&rows->factors, rows->groups.full, r);
    return measure_dense(rows->n, rows->a + r * rows->n);
}

double nm_row_unit(const nm_rows *rows, int64_t r)
{
    double largest = nm_row_measure(rows, r).largest;
    int exponent;

    if (largest == 0)
        return 1;
    (void)frexp(largest, &exponent);
    return ldexp(1, -exponent);
}

/* -- storage ---------------------------------------------------------------------------------- */

static nm_status check_finite(const nm_rows *rows, int64_t m, const double *a, const double *h,
                              const nm_factors *factors, nm_err *err)
{
    int64_t width = has_factors(rows) ? nm_factor_width(rows->factors.space) : rows->n;

    for (int64_t r = 0; r < m; r++) {
        const double *values = has_factors(rows) ? factors->g + r * width : a + r * width;
        bool ok = isfinite(h[r]);

        for (int64_t j = 0; j < width; j++)
            ok = ok && isfinite(values[j]);
        if (has_factors(rows)) {
            const nm_factor_space *space = rows->factors.space;
            const double *x = space->x + factors->point[r] * space->n_in;

            for (int64_t k = 0; k < space->n_in; k++)
                ok = ok && isfinite(x[k]);
        }
        if (!ok)
            return nm_fail(err, NM_E_ARG, "row %lld of the program has a value that is not finite",
                           (long long)r);
    }
    return NM_OK;
}

static nm_status reserve(nm_rows *rows, int64_t m, nm_err *err)
{
    int64_t capacity = rows->capacity;
    size_t elements;
    nm_status rc = NM_OK;

    if (rows->m + m <= capacity)
        return NM_OK;
    capacity = rows->m + m > 2 * capacity ? rows->m + m : 2 * capacity;
    if (!nm_mul_size((size_t)capacity, (size_t)rows->n, &elements))
        NM_THROW(err, NM_E_NOMEM, "out of memory: %lld rows of %lld values", (long long)capacity,
                 (long long)rows->n);
    if (!has_factors(rows))
        NM_TRY(nm_realloc(&rows->a, elements, sizeof *rows->a, err));
    NM_TRY(nm_realloc(&rows->h, (size_t)capacity, sizeof *rows->h, err));
    NM_TRY(nm_realloc(&rows->size, (size_t)capacity, sizeof *rows->size, err));
    rows->capacity = capacity;
done:
    return rc;
}

/* Counts m rows that stand behind the present ones. */
static nm_status take_over(nm_rows *rows, int64_t m, const double *h, nm_err *err)
{
    bool full = true;
    nm_status rc = NM_OK;

    if (has_factors(rows)) {
        rows->factors.m = rows->m + m;
        rc = nm_groups_make(&rows->factors, NULL, NULL, &rows->groups, err);
        full = rows->groups.full;
    }
    if (rc != NM_OK) { /* the rows before are still there, but not sorted: nothing can be solved */
        rows->factors.m = rows->m = 0;
        return rc;
    }
    for (int64_t r = rows->m; r < rows->m + m; r++)
        rows->size[r] = has_factors(rows) ? measure_outer_product(&rows->factors, full, r)
                                          : measure_dense(rows->n, rows->a + r * rows->n);
    memcpy(rows->h + rows->m, h, (size_t)m * sizeof *h);
    rows->m += m;
    return NM_OK;
}

nm_status nm_rows_append(nm_rows *rows, int64_t m, const double *a, const double *h,
                         const nm_factors *factors, nm_err *err)
{
    nm_status rc = check_finite(rows, m, a, h, factors, err);

    if (rc != NM_OK || m == 0)
        return rc;
    NM_TRY(reserve(rows, m, err));
    if (has_factors(rows))
        NM_TRY(nm_factors_append(&rows->factors, m, factors->point, factors->g, err));
    else
        memcpy(rows->a + rows->m * rows->n, a, (size_t)(m * rows->n) * sizeof *a);
    NM_TRY(take_over(rows, m, h, err));
done:
    return rc;
}

nm_status nm_rows_pick(nm_rows *rows, const nm_rows *from, int64_t m, const int64_t *index,
                       const double *h, nm_err *err)
{
    double *right = NULL;
    nm_status rc = NM_OK;

    if (m == 0)
        return NM_OK;
    NM_TRY(reserve(rows, m, err));
    NM_TRY(nm_alloc(&right, (size_t)m, sizeof *right, err));
    for (int64_t i = 0; i < m; i++) {
        nm_factors one = nm_factors_slice(&from->factors, index[i], 1);

        right[i] = h ? h[i] : from->h[index[i]];
        if (has_factors(rows))
            NM_TRY(nm_factors_append(&rows->factors, 1, one.point, one.g, err));
        else
            nm_row_write(from, index[i], rows->a + (rows->m + i) * rows->n);
    }
    NM_TRY(take_over(rows, m, right, err));
done:
    if (rc != NM_OK && has_factors(rows))
        rows->factors.m = rows->m;
    nm_free(right);
    return rc;
}

void nm_rows_free(nm_rows *rows)
{
    nm_free(rows->a);
    nm_free(rows->h);
    nm_free(rows->size);
    nm_factors_free(&rows->factors);
    nm_groups_free(&rows->groups);
    *rows = (nm_rows){.n = rows->n, .factors = rows->factors};
}

/* -- all rows --------------------------------------------------------------------------------- */

void nm_rows_times(int threads, const nm_rows *rows, const double *d, double *out)
{
    if (rows->m == 0)
        return;
    if (has_factors(rows))
        nm_groups_times(threads, false, &rows->groups, d, out);
    else
        nm_dense_times(threads, rows->m, rows->n, rows->a, d, out);
}

void nm_rows_scales(int threads, const nm_rows *rows, const double *d, double *out)
{
    if (rows->m > 0 && has_factors(rows))
        nm_groups_times(threads, true, &rows->groups, d, out);
    for (int64_t r = 0; r < rows->m; r++) {
        double sum = has_factors(rows) ? out[r] : 0;

        for (int64_t j = 0; j < rows->n && !has_factors(rows); j++)
            sum += fabs(rows->a[r * rows->n + j] * d[j]);
        out[r] = fabs(rows->h[r]) + sum;
    }
}

void nm_rows_transposed_times(int threads, const nm_rows *rows, const double *y, double *out)
{
    if (rows->m == 0)
        return;
    if (has_factors(rows))
        nm_groups_transposed_times(threads, &rows->groups, y, out);
    else
        nm_dense_transposed_times(threads, rows->m, rows->n, rows->a, y, out);
}

nm_status nm_rows_violation(int threads, const nm_rows *rows, const double *d, double *worst,
                            nm_err *err)
{
    double *value = NULL, *scale = NULL;
    bool broken = false;
    nm_status rc = NM_OK;

    *worst = 0;
    NM_TRY(nm_alloc(&value, (size_t)rows->m, sizeof *value, err));
    NM_TRY(nm_alloc(&scale, (size_t)rows->m, sizeof *scale, err));
    nm_rows_times(threads, rows, d, value);
    for (int64_t r = 0; r < rows->m; r++)
        broken = broken || !(value[r] >= rows->h[r]);
    if (!broken)
        goto done;
    nm_rows_scales(threads, rows, d, scale);
    for (int64_t r = 0; r < rows->m; r++) {
        double missing = rows->h[r] - value[r];

        if (!(missing <= 0))
            *worst = missing >= 0 ? fmax(*worst, missing / scale[r]) : INFINITY;
    }
done:
    nm_free(value);
    nm_free(scale);
    return rc;
}
