/* Better bounds of all neurons by ascent on lower slopes, each neuron for itself. */
#ifndef NM_VERIFY_TIGHTEN_H
#define NM_VERIFY_TIGHTEN_H

#include "verify/bound.h"

/** Improves the bounds in `lines` (nm_bound_neurons() made them), node by node, and sets the lines
 *  again. The work of each node is shared by the threads of ctx; results do not depend on them.
 *  @param steps  of ascent
 *  @return NM_OK, also when the time limit came: what is there holds; NM_E_NOMEM */
nm_status nm_tighten(nm_ctx *ctx, nm_bounder *b, int steps, nm_err *err);

#endif
