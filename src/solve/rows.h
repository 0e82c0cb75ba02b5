/* The rows a master has so far: a growing table, or factors where the rows are outer products. Then
 * nothing of the size rows x unknowns exists; coefficients come one row at a time, on demand. */
#ifndef NM_SOLVE_ROWS_H
#define NM_SOLVE_ROWS_H

#include "solve/factors.h"

/** Norms of a row: sum |a_j|, root of sum a_j^2, max |a_j|. */
typedef struct nm_row_size {
    double sum, length, largest;
} nm_row_size;

/** A d >= h. Start from {.n = columns}, and .factors = {.space = ...} if the rows are outer
 *  products. A view of arrays that someone else owns needs n, m, a, h only. */
typedef struct nm_rows {
    int64_t n, m, capacity;
    double *a;          /* [m x n]; NULL if there is a space */
    double *h;          /* [m] */
    nm_row_size *size;  /* [m]; NULL in views */
    nm_factors factors; /* of all rows, if there is a space ... */
    nm_groups groups;   /* ... and the same, sorted; with scratch: one caller at a time */
} nm_rows;

/** Appends copies of m rows. NM_E_ARG if a value is not finite, NM_E_NOMEM.
 *  @param a        [m x n]; looked at if there is no space
 *  @param factors  of m rows; looked at if there is a space */
nm_status nm_rows_append(nm_rows *rows, int64_t m, const double *a, const double *h,
                         const nm_factors *factors, nm_err *err);

/** Appends rows index[0 .. m-1] of another list of the same kind, with right-hand sides h [m]
 *  (NULL: those they have). */
nm_status nm_rows_pick(nm_rows *rows, const nm_rows *from, int64_t m, const int64_t *index,
                       const double *h, nm_err *err);
void nm_rows_free(nm_rows *rows);

/** out [n] = the coefficients of row r. */
void nm_row_write(const nm_rows *rows, int64_t r, double *out);

nm_row_size nm_row_measure(const nm_rows *rows, int64_t r);

/** A power of two near 1 / max_j |a_rj| (1 for a zero row): scaling by it is exact. */
double nm_row_unit(const nm_rows *rows, int64_t r);

/* -- all rows at once; same bits for any `threads` ----------------------------------------------
 */

/** out [m] = A d. */
void nm_rows_times(int threads, const nm_rows *rows, const double *d, double *out);

/** out[r] = |h_r| + sum_j |a_rj d_j|: the size against which a violation of row r is small. */
void nm_rows_scales(int threads, const nm_rows *rows, const double *d, double *out);

/** out [n] += A'y. */
void nm_rows_transposed_times(int threads, const nm_rows *rows, const double *y, double *out);

/** *worst = largest (h_r - a_r d) / scale_r over the rows; 0 if all hold. NM_E_NOMEM. */
nm_status nm_rows_violation(int threads, const nm_rows *rows, const double *d, double *worst,
                            nm_err *err);

#endif
