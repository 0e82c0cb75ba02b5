/* Pictures of what a repair did. */
#ifndef NETMEND_REPORT_H
#define NETMEND_REPORT_H

#include "netmend/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Draws the decision regions of a two-input classifier before and after a repair, side by side
 *  over the same axes, as one self-contained SVG file.
 *
 *  Classes differ by colour and by the shape of their points; wrongly classified points are
 *  crossed, points of the repair set ringed. Each panel states its accuracy on `points`.
 *
 *  @param before, after  both 2 inputs, the same 2..10 outputs (NM_E_ARG otherwise)
 *  @param points         what is drawn and counted; labels required, each below the outputs
 *  @param repair_set     points to ring, labelled too; NULL = none. They need not be in `points`
 *  @param path           the file; it appears only when complete */
NM_API nm_status nm_boundary_svg(nm_ctx *ctx, const nm_net *before, const nm_net *after,
                                 const nm_points *points, const nm_points *repair_set,
                                 const char *path, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
