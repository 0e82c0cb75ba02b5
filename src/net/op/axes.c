#include "net/op/axes.h"

#include <string.h>

#include "net/op/facet.h"

nm_status nm_axes_parse(const nm_node_view *node, nm_axes_attr *attr, nm_err *err)
{
    return nm_node_ints(node, "axes", attr->axis, NM_MAX_DIMS, &attr->n, err);
}

nm_status nm_axes_read(const nm_net *net, const nm_op *op, const nm_axes_attr *attr, int input,
                       int rank, bool *marked, int *n, nm_err *err)
{
    nm_axes_attr list = *attr;
    nm_status rc = NM_OK;

    if (nm_has_input(op, input))
        rc =
            nm_const_ints(net, op, input, "the list of axes", list.axis, NM_MAX_DIMS, &list.n, err);
    memset(marked, 0, (size_t)rank * sizeof *marked);
    *n = 0;
    for (size_t i = 0; rc == NM_OK && i < list.n; i++) {
        int axis = 0;

        rc = nm_axis_resolve(list.axis[i], rank, &axis, err);
        if (rc == NM_OK)
            rc = nm_refuse_batch(net, op, 0, axis, err);
        if (rc == NM_OK && marked[axis])
            rc = nm_fail(err, NM_E_FORMAT, "axis %d is given twice", axis);
        if (rc == NM_OK)
            marked[axis] = true;
        (*n)++;
    }
    return rc;
}
