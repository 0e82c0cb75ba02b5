/* Attributes and shapes of pools, with sliding windows and global. */
#include <string.h>

#include "net/op/facet.h"
#include "net/op/window.h"

nm_status nm_pool_parse(const nm_node_view *node, void *attr, nm_err *err)
{
    nm_pool_attr *a = attr;
    int64_t include_pad = 0;
    nm_status rc = NM_OK;

    a->global = strncmp(node->op_type, "Global", strlen("Global")) == 0;
    if (a->global)
        return NM_OK;
    NM_TRY(nm_window_parse(node, &a->window, err));
    NM_TRY(nm_node_int(node, "count_include_pad", 0, &include_pad, err));
    a->count_include_pad = include_pad != 0;
    if (a->window.n_kernel == 0)
        NM_THROW(err, NM_E_FORMAT, "attribute 'kernel_shape' is missing");
done:
    return rc;
}

static nm_status resolve(const nm_net *net, const nm_op *op, nm_window *out, nm_err *err)
{
    const nm_pool_attr *attr = op->attr;
    nm_shape spatial;
    nm_status rc = nm_window_spatial(nm_op_shape(net, op, 0), &spatial, err);

    if (rc != NM_OK)
        return rc;
    if (!attr->global && attr->window.n_kernel != (size_t)spatial.rank)
        return nm_fail(err, NM_E_SHAPE, "kernel_shape has %zu values, expected %d",
                       attr->window.n_kernel, spatial.rank);
    return nm_window_resolve(&attr->window, &spatial,
                             attr->global ? spatial.dim : attr->window.kernel, out, err);
}

nm_window nm_pool_window(const nm_net *net, const nm_op *op)
{
    nm_window w;

    (void)resolve(net, op, &w, NULL);
    return w;
}

nm_planes nm_pool_planes(const nm_exec *ex)
{
    nm_window w = nm_pool_window(ex->net, ex->op);
    nm_planes s = {.pixels = nm_window_volume(w.in), .positions = nm_window_volume(w.out)};
    nm_patch *patches = nm_scratch(ex, (size_t)s.positions, sizeof *patches);

    for (int64_t i = 0; patches && i < s.positions; i++)
        patches[i] = nm_window_patch(&w, i);
    s.n = nm_out_total(ex) / s.positions;
    s.patches = patches;
    return s;
}

/* A window that saw padding only would have no maximum and no mean. */
static nm_status check_windows(const nm_window *w, nm_err *err)
{
    for (int a = 0; a < NM_WINDOW_AXES; a++) {
        int64_t extent = (w->kernel[a] - 1) * w->dilation[a] + 1;
        int64_t pad = w->pad[a] > w->pad_end[a] ? w->pad[a] : w->pad_end[a];

        if (pad >= extent)
            return nm_fail(err, NM_E_SHAPE, "pads holds %lld, expected less than the kernel's %lld",
                           (long long)pad, (long long)extent);
        if (pad > 0 && w->dilation[a] > w->in[a])
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "dilation %lld is larger than the padded image's %lld elements",
                           (long long)w->dilation[a], (long long)w->in[a]);
    }
    return NM_OK;
}

nm_status nm_pool_infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    nm_window w;
    nm_status rc = resolve(net, op, &w, err);

    if (rc == NM_OK)
        rc = check_windows(&w, err);
    if (rc != NM_OK)
        return rc;
    *out = *in;
    memcpy(out->dim + 2, w.out + NM_WINDOW_AXES - (in->rank - 2),
           (size_t)(in->rank - 2) * sizeof *out->dim);
    return NM_OK;
}
