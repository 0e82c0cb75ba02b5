/* The smallest set of elements that meets every set of a family: what has to be left out where each
 * set is a conflict. */
#ifndef NM_SOLVE_HITTING_H
#define NM_SOLVE_HITTING_H

#include "base/err.h"

/** Sets of elements 0 .. n_elements-1; set i is member[start[i]] .. member[start[i + 1] - 1]. */
typedef struct nm_family {
    int64_t n_elements, n_sets;
    const int64_t *start;  /* [n_sets + 1] */
    const int64_t *member; /* [start[n_sets]] */
} nm_family;

/** Branch and bound over a set that is not met yet, with disjoint sets as the bound. Empty sets can
 *  not be met and are passed over.
 *  @param max_work  bound on the memory touched; where it ends the search, `hit` is the best found
 *  @param hit       out, [n_elements], caller's buffer
 *  @param least     out: proven lower bound on the size of any such set; equal to the size of `hit`
 *                   when the search went to its end
 *  The result depends on the family alone. */
nm_status nm_hitting_set(const nm_family *family, int64_t max_work, bool *hit, int64_t *least,
                         nm_err *err);

#endif
