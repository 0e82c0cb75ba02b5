#include "solve/rows.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

static nm_status check_finite(int64_t n, int64_t m, const double *a, const double *h, nm_err *err)
{
    for (int64_t r = 0; r < m; r++) {
        bool ok = isfinite(h[r]);

        for (int64_t j = 0; j < n; j++)
            ok = ok && isfinite(a[r * n + j]);
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
    NM_TRY(nm_realloc(&rows->a, elements, sizeof *rows->a, err));
    NM_TRY(nm_realloc(&rows->h, (size_t)capacity, sizeof *rows->h, err));
    rows->capacity = capacity;
done:
    return rc;
}

nm_status nm_rows_append(nm_rows *rows, int64_t m, const double *a, const double *h,
                         const nm_factors *factors, nm_err *err)
{
    nm_status rc = check_finite(rows->n, m, a, h, err);

    if (rc != NM_OK || m == 0)
        return rc;
    NM_TRY(reserve(rows, m, err));
    if (rows->factors.space)
        NM_TRY(nm_factors_append(&rows->factors, m, factors->point, factors->g, err));
    memcpy(rows->a + rows->m * rows->n, a, (size_t)(m * rows->n) * sizeof *a);
    memcpy(rows->h + rows->m, h, (size_t)m * sizeof *h);
    rows->m += m;
done:
    return rc;
}

void nm_rows_free(nm_rows *rows)
{
    nm_free(rows->a);
    nm_free(rows->h);
    nm_factors_free(&rows->factors);
    *rows = (nm_rows){.n = rows->n, .factors = rows->factors};
}

const double *nm_row(const nm_rows *rows, int64_t r)
{
    return rows->a + r * rows->n;
}

double nm_row_value(const nm_rows *rows, int64_t r, const double *d)
{
    return cblas_ddot((int)rows->n, nm_row(rows, r), 1, d, 1);
}

double nm_row_scale(const nm_rows *rows, int64_t r, const double *d)
{
    const double *a = nm_row(rows, r);
    double sum = fabs(rows->h[r]);

    for (int64_t j = 0; j < rows->n; j++)
        sum += fabs(a[j] * d[j]);
    return sum;
}

double nm_rows_violation(const nm_rows *rows, const double *d)
{
    double worst = 0;

    for (int64_t r = 0; r < rows->m; r++) {
        double missing = rows->h[r] - nm_row_value(rows, r, d);

        if (missing > 0)
            worst = fmax(worst, missing / nm_row_scale(rows, r, d));
    }
    return worst;
}

double nm_row_unit(const nm_rows *rows, int64_t r)
{
    const double *a = nm_row(rows, r);
    double largest = 0;
    int exponent;

    for (int64_t j = 0; j < rows->n; j++)
        largest = fmax(largest, fabs(a[j]));
    if (largest == 0)
        return 1;
    (void)frexp(largest, &exponent);
    return ldexp(1, -exponent);
}
