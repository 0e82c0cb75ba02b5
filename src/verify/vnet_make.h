/* Making a vnet: nodes are appended one by one, values of the graph become expressions of them. */
#ifndef NM_VERIFY_VNET_MAKE_H
#define NM_VERIFY_VNET_MAKE_H

#include "verify/vexpr.h"

typedef struct nm_vmaker {
    const nm_net *net;
    bool float32;
    nm_vnet *v;
    nm_arena *arena;  /* = &v->arena */
    nm_arena scratch; /* of facets */
    int room;         /* for nodes */
    int *ulps;        /* [room] of the entries of each node's matrices */
    nm_vexpr **value; /* [n_values] NULL = constant, or not reached yet */
} nm_vmaker;

/** Appends a node act(e) and gives the expression that is its output; NULL when memory ran out. */
nm_vexpr *nm_vmaker_node(nm_vmaker *m, nm_vkind kind, const nm_vexpr *e);

/** Range of an expression over the box: of what the network computes, deviations included. */
void nm_vmaker_range(const nm_vmaker *m, const nm_vexpr *e, double *lo, double *hi);

/** The expression of operator k's output. NM_E_UNSUPPORTED, NM_E_NOMEM. */
nm_status nm_vmaker_op(nm_vmaker *m, int k, nm_vexpr **out, nm_err *err);

#endif
