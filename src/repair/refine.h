/* Refining a repair: less drift for the same margins. */
#ifndef NM_REPAIR_REFINE_H
#define NM_REPAIR_REFINE_H

#include "repair/pointwise.h"

/** Moves search->delta, which has all its margins, to a change that drifts less on the reference
 *  data and about keeps the margins (for the caller to restore). `report` tells what came of it;
 *  report->evaluations is 0 where the work is not worth while. Function norm only.
 *  @param report  out: drift at delta as it was and as it is
 *  @param better  out: drift and damping together count less than before */
nm_status nm_refine(nm_search *search, nm_refine_report *report, bool *better, nm_err *err);

#endif
