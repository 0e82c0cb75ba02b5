/* What a pair of a primal and a dual point proves, in plain arithmetic. All solvers report the
 * figures computed here, none its own. */
#ifndef NM_SOLVE_BOUND_H
#define NM_SOLVE_BOUND_H

#include "solve/master.h"

/** Two of the norms' dual balls in one form: z is in the ball of linf, linf+l1n and l1 if
 *  sum_k max(|z_k| - slope, 0) <= budget, with (slope, budget) = (0, 1), (l1_weight, 1), (1, 0). */
typedef struct nm_dual_ball {
    double slope, budget;
} nm_dual_ball;

nm_dual_ball nm_norm_dual_ball(const nm_master_spec *spec);

/** A lower bound on norm(v) over all d that meet the rows and bounds (derivation in bound.c).
 *
 *  Any y >= 0 and x give a valid bound; it is the optimum when they are optimal multipliers.
 *  @param y      [rows->m] row multipliers, negative entries count as 0
 *  @param x      [n_terms] multipliers of the terms, i.e. the subgradient of norm there
 *  @param scale  l2 with bounds or terms: a guess of the optimum (the better, the tighter)
 *  @return NM_OK, NM_E_NOMEM */
nm_status nm_dual_bound(int threads, const nm_master_spec *spec, const nm_rows *rows,
                        const double *y, const double *x, double scale, double *bound, nm_err *err);

/** The largest s with s (q, x) in the dual ball; no regard to bounds. INFINITY for q = x = 0.
 *  @param q  [n] = A'y - C'x */
double nm_dual_scale(const nm_master_spec *spec, const double *q, const double *x);

/** A guess of max |d_j| or so at the optimum, > 0: the largest max-norm that a single row asks for,
 *  else the largest offset, else 1. */
double nm_solution_size(const nm_master_spec *spec, const nm_rows *rows);

/** (upper - lower) / upper, 0 for 0/0. */
double nm_relative_gap(double upper, double lower);

/** Rounds d into the bounds. */
void nm_clip_to_box(const nm_master_spec *spec, double *d);

#endif
