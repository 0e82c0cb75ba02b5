/* Rows of a repair as sums of outer products over the edited layers, and their inner products in a
 * metric. A row r of point p with adjoint g at layer b has the gradient
 *
 *     A_r(b) = sum over places t of  g_rt u_pt'      [n_out x width],
 *
 * of which only the vectors are kept (or the small matrix itself, where a layer has many places).
 * With the metric M = S (x) G of each layer
 *
 *     a_r . M^-1 a_s = sum over b, t, t' of (g_rt . G^-1 g_st') (u_pt . S^-1 u_qt'),
 *
 * so a Gram matrix of m rows costs nothing that grows with the number of unknowns but P^2 width. */
#ifndef NM_PROBLEM_FORMS_H
#define NM_PROBLEM_FORMS_H

#include "problem/metric.h"
#include "problem/rows.h"

typedef struct nm_forms nm_forms;

/** No rows yet. edits and metric (NULL: the identity) are lent. */
nm_status nm_forms_new(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric,
                       nm_forms **out, nm_err *err);
void nm_forms_free(nm_forms *forms);

/** Forgets all rows, as for a new linearisation; what layers see is kept where it is fixed. */
void nm_forms_reset(nm_forms *forms);

int64_t nm_forms_n_rows(const nm_forms *forms);

/** Appends rows, linearised where the tail stands.
 *  @param value  out, [n] present values of the rows (pins: slack) */
nm_status nm_forms_add(nm_forms *forms, const nm_tail *tail, const nm_demand *demand,
                       const nm_row_id *rows, int64_t n, double *value, nm_err *err);

/** Appends n rows sign[i] * d[unknown[i]]. */
nm_status nm_forms_add_units(nm_forms *forms, const int64_t *unknown, const double *sign, int64_t n,
                             nm_err *err);

/** Inner products of rows first .. m-1 with all rows: k[i * ld + j] and k[j * ld + i]. */
nm_status nm_forms_products(const nm_forms *forms, int64_t first, double *k, int64_t ld,
                            nm_err *err);

/** The part of them that one layer contributes, all rows with all, into k [m x m]. */
nm_status nm_forms_layer_products(const nm_forms *forms, int layer, double *k, nm_err *err);

/** Of d below, the matrix of one layer [n_out x width]. */
nm_status nm_forms_layer_combine(const nm_forms *forms, int layer, const double *y, double *matrix,
                                 nm_err *err);

/** d = M^-1 sum_r y_r a_r.  @param y [m]  @param d out, [params->n] */
nm_status nm_forms_combine(const nm_forms *forms, const double *y, double *d, nm_err *err);

#endif
