/* From points to regions: where counterexamples keep coming, each stands for the part of its box
 * that is unsafe around it, and the corners of that part are repaired with it. */
#ifndef NM_REPAIR_HUNT_CORNERS_H
#define NM_REPAIR_HUNT_CORNERS_H

#include "repair/hunt.h"

/** Adds the corners of the largest box around x, within each box of the property that holds x, of
 *  which most corners have a case with a slack below `near`; a corner brings those cases. Boxes
 * with more free inputs than NM_MOST_FREE_INPUTS have too many corners: they bring none.
 *  @param found  is raised by 1 for each box with corners */
nm_status nm_preys_add_corners(nm_ctx *ctx, const nm_net *net, const nm_property *p, const float *x,
                               double near, nm_preys *preys, int64_t *found, nm_err *err);

#endif
