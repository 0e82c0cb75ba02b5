/* Where accumulated steps start: at the change that reads the repair points like reference data
 * (problem/shift.h), if labels, which it has not seen, speak for it. */
#ifndef NM_REPAIR_SHIFTED_H
#define NM_REPAIR_SHIFTED_H

#include "repair/pointwise.h"

/** Finds that change for a search, once: the strongest one that hardly moves the reference data.
 *  Afterwards search->shift is where to start, or NULL: nothing to gain, or not possible (no data
 *  beside the repair set, bounds on the change, rules in place of classes). */
nm_status nm_search_find_shift(nm_search *search, nm_err *err);

#endif
