/* The inside of bounds (bound.c, bound_lines.c): which neurons have two different lines. */
#ifndef NM_VERIFY_BOUND_LINES_H
#define NM_VERIFY_BOUND_LINES_H

#include "verify/bound.h"

static inline bool nm_vkind_is_smooth(nm_vkind kind)
{
    return kind == NM_VNODE_SIGMOID || kind == NM_VNODE_TANH;
}

/** Whether neuron i, of node k, is no line between its bounds. */
static inline bool nm_bound_is_unstable(const nm_bounder *b, int k, int64_t i)
{
    return nm_vkind_is_smooth(b->v->nodes[k].kind) ||
           (b->v->nodes[k].kind == NM_VNODE_RELU && b->lines.lo[i] < 0 && b->lines.hi[i] > 0);
}

#endif
