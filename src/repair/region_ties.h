/* Vertices that several parts share, on different pieces: where those differ, the vertex lies on
 * the border of both (APRNN, PLDI 2023: "undecided" signs), by exactly 0. */
#ifndef NM_REPAIR_REGION_TIES_H
#define NM_REPAIR_REGION_TIES_H

#include "problem/tail.h"

typedef struct nm_region_ties {
    int n_ops;
    bool **tied; /* [n_ops] NULL, or [n points of the tail x pins] */
} nm_region_ties;

/** @param tail    its values choose the pieces of each point (nm_tail_refer())
 *  @param pinned  [n_ops] operators that count
 *  @param vertex  [n] points with the same number are the same vertex
 *  @param group   [n] points with the same number have the same pieces
 *  @param n       the first so many points of the tail */
nm_status nm_region_ties_new(const nm_tail *tail, const bool *pinned, const int64_t *vertex,
                             const int64_t *group, int64_t n, nm_region_ties *out, nm_err *err);
void nm_region_ties_free(nm_region_ties *ties);

#endif
