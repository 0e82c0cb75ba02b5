/* The conflict that ends a repair, in the report. */
#ifndef NM_REPAIR_CONFLICTS_H
#define NM_REPAIR_CONFLICTS_H

#include "repair/twins.h"

/** The points of the conflict that a search's last proof names, both lists in ascending order.
 *  n_points is 0 where nothing is proven: no proof was found, or keep points behind activations
 * take part, whose pieces nothing holds. Free with nm_conflict_clear(). */
nm_status nm_conflict_take(const nm_search *search, nm_conflict_report *out, nm_err *err);
void nm_conflict_clear(nm_conflict_report *conflict);

/** Reports the proof of the search's last run: outcome and conflict, or that there is none. */
nm_status nm_report_proof(const nm_search *search, nm_repair_report *report, nm_err *err);

/** Reports twins as the conflict if there are any. @param found  out */
nm_status nm_report_twin_points(const nm_search *search, const nm_twins *twins, bool certify,
                                nm_repair_report *report, bool *found, nm_err *err);

/** Copies a conflict to where an infeasible repair names its points. */
nm_status nm_report_main_conflict(const nm_conflict_report *conflict, nm_repair_report *report,
                                  nm_err *err);

#endif
