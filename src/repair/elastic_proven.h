/* The inside of elastic repair: single searches (elastic.c), and from them the largest set where
 * conflicts are proven (elastic_proven.c). */
#ifndef NM_REPAIR_ELASTIC_PROVEN_H
#define NM_REPAIR_ELASTIC_PROVEN_H

#include "repair/elastic_conflicts.h"

enum { NM_FEW_POINTS = 8 }; /* so many are tried at once without any doubt */

/** How many points take part in the present search. */
int64_t nm_elastic_count_in(const nm_elastic *e);

/** Those that take part next: all but the stuck ones. */
void nm_elastic_leave_out_stuck(nm_elastic *e);

/** Searches for the points that take part. What stands in the way otherwise is known afterwards: a
 *  conflict more, or points that are stuck (and out already).
 *  @param loose  ask only whether there is a solution */
nm_status nm_elastic_try(nm_elastic *e, bool loose, bool *found, nm_err *err);

/** What leaves is the smallest set that meets the known conflicts.
 *  @param found  out, the rest has a solution (or is empty)
 *  @param least  out, no fewer can leave */
nm_status nm_elastic_try_smallest(nm_elastic *e, bool loose, bool *found, bool *least, nm_err *err);

/** Point p comes back if there is a solution with it; else all is as before. */
nm_status nm_elastic_bring_back_one(nm_elastic *e, int64_t p, nm_err *err);

/** Leaves out what has to be left out, by loose searches; nothing where no conflict is known. */
nm_status nm_elastic_choose_proven(nm_elastic *e, nm_err *err);

#endif
