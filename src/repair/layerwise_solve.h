/* The smallest change of one layer with given inputs: where a layer-wise repair ends up. */
#ifndef NM_REPAIR_LAYERWISE_SOLVE_H
#define NM_REPAIR_LAYERWISE_SOLVE_H

#include "repair/layerwise_state.h"

/** Changes edit b (from its original parameters) so that its output becomes wish [n x size]:
 *
 *  one row of inputs u, residual r:   linf  r sign(u) / |u|_1,   l2  r u / |u|^2,
 *                                     l1    all of r on the entry with the largest |u_k|;
 *  several rows: a least-distance or linear program for each neuron, wishes that only ask to be
 *  <= 0 as inequalities; least squares where there are more rows than unknowns (convolutions) or
 *  where the rows contradict each other.
 *
 *  Afterwards lw->now and the values up to `to` are up to date. The wish may be missed.
 *  @return NM_E_NOMEM, NM_E_CANCELLED, NM_E_LIMIT */
nm_status nm_lw_solve_wish(nm_lw *lw, int b, const double *wish, int to, nm_err *err);

/** The same for the unions asked for, where edit b gives the scores: one program over all points,
 *  for the pieces of the last nm_lw_aim().
 *  @param done  false: no such change, or too large a program; nothing was changed */
nm_status nm_lw_solve_scores(nm_lw *lw, int b, bool *done, nm_err *err);

#endif
