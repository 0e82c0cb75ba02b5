/* Rows as outer products (tensor/factor_space.h): what costs m^2 n on dense rows costs
 * P^2 n + m^2 n_out here, P = points that have rows; products with vectors cost P n instead of m n.
 * (APRNN, PLDI 2023, has these rows; that they factor is elementary.) */
#ifndef NM_SOLVE_FACTORS_H
#define NM_SOLVE_FACTORS_H

#include "base/err.h"
#include "tensor/factor_space.h"

/** A growing list of rows. Start from {.space = ...}; without a space it stays empty. */
typedef struct nm_factors {
    const nm_factor_space *space; /* lent; NULL = the rows have no factors */
    int64_t m, capacity;
    int64_t *point; /* [m] */
    double *g;      /* [m x width] */
} nm_factors;

/** Appends copies of m rows. NM_E_NOMEM, the list is as before then. */
nm_status nm_factors_append(nm_factors *list, int64_t m, const int64_t *point, const double *g,
                            nm_err *err);
void nm_factors_free(nm_factors *list);

/** An empty list becomes m rows of zeros, for the caller to fill. */
nm_status nm_factors_room(const nm_factor_space *space, int64_t m, nm_factors *list, nm_err *err);

/** Where each of the n unknowns stands: weight w at w, extra e at n_out n_in + e, others -1. For
 * the caller to free. */
nm_status nm_factor_places(const nm_factor_space *space, int64_t n, int64_t **place, nm_err *err);

/** Coefficient of row r for what stands at a place; 0 for -1. */
double nm_factors_entry(const nm_factors *list, int64_t r, int64_t place);

/** Rows first .. first + m - 1, lent; nothing of a list without a space. */
nm_factors nm_factors_slice(const nm_factors *list, int64_t first, int64_t m);

enum { NM_STRIP = 64 }; /* outputs that kernels take at a time */

/** Rows sorted by point, with the inputs of the points that have any: what the kernels work on.
 *  Start from {0}. Owns copies: `space` may get other points afterwards. */
typedef struct nm_groups {
    const nm_factor_space *space; /* for its column maps */
    int64_t m, n_points;
    bool full;       /* all weights are free */
    int64_t direct;  /* weight w is unknown direct + w for all w; -1: they lie in another order */
    int64_t *row;    /* [m] which row stands at each place */
    int64_t *first;  /* [n_points + 1] place of the first row of each point */
    double *x;       /* [n_points x n_in] */
    double *x_sizes; /* |x| */
    double *g;       /* [m x width] */
    double *matrix;  /* scratch: [n_out x n_in], if direct [NM_STRIP x n_in], if sparse: a few */
    /* Where few weights are free (sparse): the inputs they meet, weight after weight. */
    bool sparse;
    int64_t n_free;
    int64_t *free_first;  /* [n_out + 1] place of the first free weight of each output */
    int64_t *free_column; /* [n_free] unknown */
    double *packed;       /* [n_free x n_points] */
    double *layer;        /* [n_points x n_out] scratch */
} nm_groups;

/** Groups `rows`, scaled by scale [rows->m] (NULL = 1), and behind them `terms` (NULL = none).
 *  Replaces what *groups held; it is empty after a failure. */
nm_status nm_groups_make(const nm_factors *rows, const double *scale, const nm_factors *terms,
                         nm_groups *groups, nm_err *err);
void nm_groups_free(nm_groups *groups);

/** out[r, s] = a_r . diag(theta) b_s for all rows r of a, s of b. Same bits for any `threads`.
 *  @param theta  [unknowns], NULL = 1
 *  @param lower  a = b, and only s <= r is written */
nm_status nm_groups_products(int threads, bool lower, const nm_groups *a, const nm_groups *b,
                             const double *theta, double *out, int64_t ldo, nm_err *err);

/** T of output i, for all pairs of points: out[p, q] = sum_k theta_ik x_pk x_qk, q <= p.
 *  @param theta    [unknowns], >= 0
 *  @param scratch  [(n_points + 1) x n_in]
 *  @param out      [n_points x n_points] */
void nm_groups_inner_products(const nm_groups *groups, int64_t i, const double *theta,
                              double *scratch, double *out);

/** out[r, s] = sum_i g_ri g_si T_i + sum_e g_re g_se theta_e for s <= r, with T and theta as given:
 *  what nm_groups_products(lower) does, after something was taken off T.
 *  @param inner  [n_points x n_points x n_out], T of points p and q from (p n_points + q) n_out
 *  @param extra  [n_extra] theta */
nm_status nm_groups_products_from(int threads, const nm_groups *groups, const double *inner,
                                  const double *extra, double *out, int64_t ldo, nm_err *err);

/** out[r] = a_r . d, or sum_j |a_rj d_j| if `sizes`. */
void nm_groups_times(int threads, bool sizes, const nm_groups *groups, const double *d,
                     double *out);

/** out[j] += sum_r y_r a_rj over all unknowns j. */
void nm_groups_transposed_times(int threads, const nm_groups *groups, const double *y, double *out);

#endif
