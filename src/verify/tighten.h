/* Better bounds of all neurons by ascent on lower slopes, each neuron for itself. */
#ifndef NM_VERIFY_TIGHTEN_H
#define NM_VERIFY_TIGHTEN_H

#include "verify/bound.h"
#include "verify/region_proof.h"

/** A neuron (counted over all nodes) whose sign is given. */
typedef struct nm_literal {
    int32_t neuron;
    bool active;
} nm_literal;

/** Improves the bounds in b->lines, node by node, and sets the lines again. The work of each node
 * is shared by the threads of ctx; results do not depend on them.
 *  @param steps     of ascent
 *  @param literals  [n_literals] the bounds are of inputs that give these signs. In the lines such
 *                   a neuron stays open, by next to nothing, for rows to reach it
 *  @param proof     what became better is noted there (region_proof.h: a scope's open neurons and
 *                   bounds); slopes and multipliers are then rounded as it keeps them. NULL = none
 *  @param n_passes  out, passes of batches: effort
 *  @return NM_OK, also when the time limit came: what is there holds; NM_E_NOMEM */
nm_status nm_tighten(nm_ctx *ctx, nm_bounder *b, int steps, const nm_literal *literals,
                     int n_literals, nm_region_proof *proof, int64_t *n_passes, nm_err *err);

#endif
