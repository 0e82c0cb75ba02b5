/* Last digits, and proofs from scratch: what the linear solvers ask of the active set solver. */
#ifndef NM_SOLVE_POLISH_H
#define NM_SOLVE_POLISH_H

#include "solve/master.h"

/** Moves d by as little as possible (l2) so that rows and bounds hold better than 1e-9; nothing
 *  happens when they do. *ok = whether they hold now. */
nm_status nm_polish(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows, double *d,
                    bool *ok, nm_err *err);

/** Do the rows contradict each other within the bounds? INFEASIBLE: y is a checked proof;
 *  SOLVED: no; FAILED: not found out.
 *  @param y  out, [rows->m]; unchanged unless INFEASIBLE */
nm_status nm_find_proof(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                        double *y, nm_master_outcome *outcome, nm_err *err);

#endif
