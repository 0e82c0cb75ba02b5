/* Inputs of a network as images. */
#ifndef NM_REPORT_IMAGE_H
#define NM_REPORT_IMAGE_H

#include "base/file.h"
#include "netmend/net.h"

/** How the numbers of a point are pixels. */
typedef struct nm_image_shape {
    int64_t width, height; /* 0: they are none */
    int n_channels;        /* 1 or 3 */
    bool channels_last;
} nm_image_shape;

/** The shape of a network's inputs as images: [c x h x w] or [h x w x c] with 1 or 3 channels,
 *  [h x w], or a flat square of at least 14 x 14; leading ones do not count. */
nm_image_shape nm_image_shape_of(const nm_net *net);

/** The image as PNG. Values beyond [0, 1] stretch the image's range to it; what is not finite is
 *  black.
 *  @param x    [width * height * n_channels]
 *  @param out  free with nm_buffer_free() */
nm_status nm_image_png(const nm_image_shape *shape, const float *x, nm_buffer *out, nm_err *err);

#endif
