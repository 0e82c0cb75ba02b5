/* Sliding windows over images, for convolutions and pools.
 *
 * Images have three spatial axes; those of lower rank have leading axes of length 1. The tap k of
 * the window at output position o looks at o * stride - pad + k * dilation along each axis. */
#ifndef NM_TENSOR_IM2COL_H
#define NM_TENSOR_IM2COL_H

#include <stdbool.h>
#include <stdint.h>

enum { NM_WINDOW_AXES = 3 };

typedef struct nm_window {
    int64_t in[NM_WINDOW_AXES], out[NM_WINDOW_AXES], kernel[NM_WINDOW_AXES];
    int64_t stride[NM_WINDOW_AXES], dilation[NM_WINDOW_AXES];
    int64_t pad[NM_WINDOW_AXES];     /* before the first element */
    int64_t pad_end[NM_WINDOW_AXES]; /* after the last */
} nm_window;

/** Product of three axis lengths: elements of an image, of a kernel, of an output. */
static inline int64_t nm_window_volume(const int64_t axes[NM_WINDOW_AXES])
{
    return axes[0] * axes[1] * axes[2];
}

/** True if every output position looks at just the element with the same index. */
bool nm_window_is_identity(const nm_window *w);

/** Lays what the windows at output positions [from, from + n) see out as columns, of several images
 *  side by side (tensor/lanes.h):
 *      col[((c * taps + k) * n + p - from) * lanes + l] = image[c, position p, tap k, l],
 *  0 in the padding.
 *  @param image  [channels x in x lanes]
 *  @param col    out, [channels * taps x n * lanes] */
void nm_im2col_f32(const nm_window *w, int64_t channels, int64_t lanes, const float *image,
                   int64_t from, int64_t n, float *col);
void nm_im2col_f64(const nm_window *w, int64_t channels, int64_t lanes, const double *image,
                   int64_t from, int64_t n, double *col);

/** The adjoint: adds each column entry to the image element it was read from. */
void nm_col2im_f32(const nm_window *w, int64_t channels, int64_t lanes, const float *col,
                   int64_t from, int64_t n, float *image);
void nm_col2im_f64(const nm_window *w, int64_t channels, int64_t lanes, const double *col,
                   int64_t from, int64_t n, double *image);

/** out[p, l] = the largest of out[p, l] and of what the window at position p sees of lane l, in
 *  window order; out[p, l] stays where it is NaN.
 *  @param image  [in x lanes]
 *  @param out    [positions x lanes], given a value (each window's first element, say) by the
 * caller
 */
void nm_window_max_f32(const nm_window *w, int64_t lanes, const float *image, float *out);
void nm_window_max_f64(const nm_window *w, int64_t lanes, const double *image, double *out);

#endif
