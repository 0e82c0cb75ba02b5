/* The inside of nm_vmaker_op(): an operator on its way to an expression. */
#ifndef NM_VERIFY_VNET_OP_H
#define NM_VERIFY_VNET_OP_H

#include "net/op/facet.h"
#include "verify/vnet_make.h"

typedef struct nm_vop {
    nm_vmaker *m;
    const nm_op *op;
    nm_exec ex;
    int64_t n_out;
    const double *zeros[NM_OP_MAX_IN]; /* data inputs 0, constants as they are; NULL = absent */
    nm_vexpr *in[NM_OP_MAX_IN];        /* NULL = constant or absent */
} nm_vop;

/** A maximum pool whose windows have several elements: a tree, each round of which halves the
 *  elements of every window. NULL when memory ran out. */
nm_vexpr *nm_vop_max_pool(nm_vop *o);

#endif
