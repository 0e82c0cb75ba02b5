/* The conflicts that an elastic search knows. */
#ifndef NM_REPAIR_ELASTIC_CONFLICTS_H
#define NM_REPAIR_ELASTIC_CONFLICTS_H

#include "repair/elastic.h"

/** Adds disjoint pairs of twins among the points that take part. */
nm_status nm_elastic_find_twins(nm_elastic *elastic, nm_err *err);

/** Adds the conflict that the last search proved; *taken is false where there is none. */
nm_status nm_elastic_take_conflict(nm_elastic *elastic, bool *taken, nm_err *err);

/** A known conflict among the points that take part, -1 if there is none. */
int64_t nm_elastic_known_conflict(const nm_elastic *elastic);

/** The smallest set known to meet the conflicts; if `open`, only those that the points left out do
 *  not meet already.
 *  @param hit    out, [n]
 *  @param least  out: proven bound on its size */
nm_status nm_elastic_meet(const nm_elastic *elastic, bool open, bool *hit, int64_t *least,
                          nm_err *err);

#endif
