/* Window attributes of convolutions and pools: reading, checking, and the geometry they give. */
#ifndef NM_NET_OP_WINDOW_H
#define NM_NET_OP_WINDOW_H

#include "net/op.h"
#include "tensor/im2col.h"

typedef enum nm_auto_pad {
    NM_PAD_EXPLICIT,
    NM_PAD_VALID,
    NM_PAD_SAME_UPPER,
    NM_PAD_SAME_LOWER
} nm_auto_pad;

/** As read; a list with n = 0 was not given. */
typedef struct nm_window_attr {
    size_t n_kernel, n_strides, n_dilations, n_pads;
    int64_t kernel[NM_WINDOW_AXES], strides[NM_WINDOW_AXES], dilations[NM_WINDOW_AXES];
    int64_t pads[2 * NM_WINDOW_AXES]; /* all begins, then all ends */
    nm_auto_pad auto_pad;
    bool ceil_mode;
} nm_window_attr;

/** Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode. */
nm_status nm_window_parse(const nm_node_view *node, nm_window_attr *attr, nm_err *err);

/** Spatial shape: the axes after the first two. NM_E_UNSUPPORTED unless there are 1 to 3. */
nm_status nm_window_spatial(const nm_shape *image, nm_shape *spatial, nm_err *err);

/** Fills all but `out`: lengths, strides, dilations, pads (auto_pad resolved), with bounds on each
 *  so that no product overflows.
 *  @param spatial  lengths of the image that the window slides over
 *  @param kernel   kernel lengths, spatial->rank of them */
nm_status nm_window_geometry(const nm_window_attr *attr, const nm_shape *spatial,
                             const int64_t *kernel, nm_window *out, nm_err *err);

/** The same with the lengths of the output too: floor or (ceil_mode) ceil of
 *  (in + pads - extent of the kernel) / stride, plus 1. In ceil mode no window starts in the
 *  padding after the end. Refuses kernels that are larger than the padded image. */
nm_status nm_window_resolve(const nm_window_attr *attr, const nm_shape *spatial,
                            const int64_t *kernel, nm_window *out, nm_err *err);

/** The elements of one plane that one window sees:
 *      first + i * step[0] + j * step[1] + k * step[2],  i < n[0], j < n[1], k < n[2]. */
typedef struct nm_patch {
    int64_t first, n[NM_WINDOW_AXES], step[NM_WINDOW_AXES];
    int64_t tap[NM_WINDOW_AXES]; /* the kernel tap that sees `first` */
    int64_t n_padded;            /* taps inside the padded image */
} nm_patch;

nm_patch nm_window_patch(const nm_window *w, int64_t position);

/** Attributes of pools. */
typedef struct nm_pool_attr {
    nm_window_attr window;
    bool global;            /* one window over the whole image */
    bool count_include_pad; /* averages divide by the padding's elements too */
} nm_pool_attr;

nm_status nm_pool_parse(const nm_node_view *node, void *attr, nm_err *err);
nm_status nm_pool_infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err);

/** Geometry of a pool that nm_pool_infer() has accepted: every window sees an element. */
nm_window nm_pool_window(const nm_net *net, const nm_op *op);

/** Channels of images of points, each pooled on its own. */
typedef struct nm_planes {
    int64_t n, pixels, positions;
    const nm_patch *patches; /* [positions], in scratch; NULL when memory ran out */
} nm_planes;

nm_planes nm_pool_planes(const nm_exec *ex);

#endif
