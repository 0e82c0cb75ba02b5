/* Lists of axes, given as an attribute in older opsets and as a constant input in newer ones. */
#ifndef NM_NET_OP_AXES_H
#define NM_NET_OP_AXES_H

#include "net/op.h"

/** As an attribute struct of its own, or as part of one. */
typedef struct nm_axes_attr {
    int64_t axis[NM_MAX_DIMS];
    size_t n; /* 0 = not given */
} nm_axes_attr;

/** Reads the attribute "axes". */
nm_status nm_axes_parse(const nm_node_view *node, nm_axes_attr *attr, nm_err *err);

/** Marks the axes of an operator: those of constant input `input` if it is given, else those of
 *  the attribute. Refuses axes outside [-rank, rank), twice the same, and (unless rank counts axes
 *  of the output, as for Unsqueeze, the batch is axis 0 there too) the batch axis.
 *  @param marked  out, [rank]
 *  @param n       out, number of marked axes; 0 = none given */
nm_status nm_axes_read(const nm_net *net, const nm_op *op, const nm_axes_attr *attr, int input,
                       int rank, bool *marked, int *n, nm_err *err);

#endif
