/* Nodes of a branch and bound over pieces of unions and sides of neurons: what each has decided,
 * and the heap of open ones. */
#ifndef NM_REPAIR_BRANCHES_H
#define NM_REPAIR_BRANCHES_H

#include "base/err.h"

/** Side of a neuron at a point. */
enum nm_side { NM_SIDE_OPEN = 0, NM_SIDE_ON = 1, NM_SIDE_OFF = -1 };

/** What a node has decided. */
typedef struct nm_branch {
    signed char *side; /* [n_sides]: points x neurons, or none */
    int *piece;        /* [points] piece of the union, -1 = open: nothing is asked yet */
    double bound;      /* of the norm */
} nm_branch;

/** Open nodes, smallest bound first. */
typedef struct nm_branch_heap {
    int64_t n_sides, n_points; /* of each node */
    nm_branch *at;             /* at[0] has the smallest bound */
    int64_t n, room;
} nm_branch_heap;

/** @param from  NULL: nothing decided. On failure `to` is cleared */
nm_status nm_branch_copy(const nm_branch_heap *heap, const nm_branch *from, nm_branch *to,
                         nm_err *err);
void nm_branch_clear(nm_branch *node);

/** Takes over the node, also on failure. */
nm_status nm_branch_heap_push(nm_branch_heap *heap, nm_branch *node, nm_err *err);

/** The node with the smallest bound; the caller's from now on. heap->n > 0 */
nm_branch nm_branch_heap_pop(nm_branch_heap *heap);

/** FNV-1a hash of what the node has decided. */
uint64_t nm_branch_hash(const nm_branch_heap *heap, const nm_branch *node);

void nm_branch_heap_clear(nm_branch_heap *heap);

#endif
