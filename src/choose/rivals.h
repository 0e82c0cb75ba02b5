/* Label rows against the classes that points are most easily mistaken for. */
#ifndef NM_CHOOSE_RIVALS_H
#define NM_CHOOSE_RIVALS_H

#include "problem/rows.h"
#include "problem/tail.h"

/** Of each point. */
enum { NM_RIVALS = 2 };

/** One row for each point and each of its rivals: the other classes with the largest scores where
 *  the tail stands, of equal ones the lower class.
 *  @param target  [n points of the tail]
 *  @param rows    out, [NM_RIVALS x n]
 *  @return how many */
int64_t nm_rival_rows(const nm_tail *tail, const int64_t *target, nm_row_id *rows);

#endif
