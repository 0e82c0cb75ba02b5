/* The rows a master has so far: a growing dense table. */
#ifndef NM_SOLVE_ROWS_H
#define NM_SOLVE_ROWS_H

#include "solve/factors.h"

/** A d >= h. Start from {.n = columns}, and .factors = {.space = ...} if rows have factors. */
typedef struct nm_rows {
    int64_t n, m, capacity;
    double *a;          /* [m x n] */
    double *h;          /* [m] */
    nm_factors factors; /* of all rows, or of none (no space) */
} nm_rows;

/** Appends copies of m rows. NM_E_ARG if a value is not finite, NM_E_NOMEM.
 *  @param factors  of the same m rows; left alone if rows->factors has no space */
nm_status nm_rows_append(nm_rows *rows, int64_t m, const double *a, const double *h,
                         const nm_factors *factors, nm_err *err);
void nm_rows_free(nm_rows *rows);

/** Row r. Lent until the next append. */
const double *nm_row(const nm_rows *rows, int64_t r);

/** a_r d. */
double nm_row_value(const nm_rows *rows, int64_t r, const double *d);

/** |h_r| + sum_j |a_rj d_j|: the size against which a violation of row r is small or large. */
double nm_row_scale(const nm_rows *rows, int64_t r, const double *d);

/** Largest (h_r - a_r d) / nm_row_scale(r, d) over the rows; 0 if all hold. */
double nm_rows_violation(const nm_rows *rows, const double *d);

/** A power of two near 1 / max_j |a_rj| (1 for a zero row): scaling by it is exact. */
double nm_row_unit(const nm_rows *rows, int64_t r);

#endif
