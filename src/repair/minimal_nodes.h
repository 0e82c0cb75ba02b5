/* Nodes of the search for a smallest change: what each has decided, and the heap of open ones. */
#ifndef NM_REPAIR_MINIMAL_NODES_H
#define NM_REPAIR_MINIMAL_NODES_H

#include "base/err.h"

/** Side of a neuron at a point. */
enum nm_min_side { NM_MIN_OPEN = 0, NM_MIN_ON = 1, NM_MIN_OFF = -1 };

/** What a node has decided. */
typedef struct nm_min_node {
    signed char *side; /* [points x neurons] */
    int *piece;        /* [points] piece of the union, -1 = open: nothing is asked yet */
    double bound;      /* of the norm */
} nm_min_node;

/** Open nodes, smallest bound first. */
typedef struct nm_min_heap {
    int64_t n_sides, n_points; /* of each node */
    nm_min_node *at;           /* at[0] has the smallest bound */
    int64_t n, room;
} nm_min_heap;

/** @param from  NULL: nothing decided. On failure `to` is cleared */
nm_status nm_min_node_copy(const nm_min_heap *heap, const nm_min_node *from, nm_min_node *to,
                           nm_err *err);
void nm_min_node_clear(nm_min_node *node);

/** Takes over the node, also on failure. */
nm_status nm_min_heap_push(nm_min_heap *heap, nm_min_node *node, nm_err *err);

/** The node with the smallest bound; the caller's from now on. heap->n > 0 */
nm_min_node nm_min_heap_pop(nm_min_heap *heap);

/** FNV-1a hash of what the node has decided. */
uint64_t nm_min_node_hash(const nm_min_heap *heap, const nm_min_node *node);

void nm_min_heap_clear(nm_min_heap *heap);

#endif
