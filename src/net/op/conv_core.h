/* What Conv and ConvTranspose share. Both relate an *image* [images x groups * image_channels x
 * window.in] to *rows* [images x groups * row_channels x window.out] through one window and weights
 * [groups * row_channels x image_channels x taps]:
 *
 *     correlate   rows  += W col(image)      Conv forward, ConvTranspose adjoint
 *     scatter     image += col'(W' rows)     ConvTranspose forward, Conv adjoint
 *     outer       W     += rows col(image)'  adjoint w.r.t. the weights of both
 *
 * col() is im2col, by tiles: some positions of a few images side by side (tensor/lanes.h), so that
 * each matrix product is large enough to run fast, its columns stay in the cache, and even small
 * images are copied in long runs. */
#ifndef NM_NET_OP_CONV_CORE_H
#define NM_NET_OP_CONV_CORE_H

#include "net/op.h"
#include "net/op/window.h"

/** Attributes of both kinds. */
typedef struct nm_conv_attr {
    nm_window_attr window;
    int64_t groups;
    /* ConvTranspose only: */
    size_t n_output_padding;
    int64_t output_padding[NM_WINDOW_AXES];
} nm_conv_attr;

typedef struct nm_conv {
    nm_window window;
    int64_t images;                       /* of all points */
    int64_t groups;                       /* independent blocks of channels */
    int64_t image_channels, row_channels; /* per group */
    bool absolute;                        /* of the weights' and image's or rows' magnitudes */
} nm_conv;

/** rows = bias of the channel (NULL: 0) + W col(image), without writing out the columns
 *  (conv_forward.c): for evaluation, sums in an order of their own, with fused multiplications.
 * What one image gives does not depend on the others. */
void nm_conv_forward(const nm_exec *ex, const nm_conv *c, const float *image, const float *weights,
                     const float *bias, float *rows);

/** rows = bias of the channel (NULL: 0) + W col(image). */
void nm_conv_correlate_f32(const nm_exec *ex, const nm_conv *c, const float *image,
                           const float *weights, const float *bias, float *rows);
void nm_conv_correlate_f64(const nm_exec *ex, const nm_conv *c, const double *image,
                           const double *weights, const double *bias, double *rows);

/** rows, image, weights += the result. */
void nm_conv_correlate_add_f32(const nm_exec *ex, const nm_conv *c, const float *image,
                               const float *weights, float *rows);
void nm_conv_correlate_add_f64(const nm_exec *ex, const nm_conv *c, const double *image,
                               const double *weights, double *rows);
void nm_conv_scatter_f32(const nm_exec *ex, const nm_conv *c, const float *rows,
                         const float *weights, float *image);
void nm_conv_scatter_f64(const nm_exec *ex, const nm_conv *c, const double *rows,
                         const double *weights, double *image);
void nm_conv_outer(const nm_exec *ex, const nm_conv *c, const double *rows, const double *image,
                   double *weights);

/** u[images x positions x image_channels * taps] = what each window sees, one group only. */
void nm_conv_see(const nm_exec *ex, const nm_conv *c, const double *image, double *u);

/** out[...] = bias of the channel, or 0 without biases. */
void nm_conv_fill_f32(const nm_exec *ex, const float *bias, float *out);
void nm_conv_fill_f64(const nm_exec *ex, const double *bias, double *out);

/** gb[channel] += sum of dout over points and positions. */
void nm_conv_bias_vjp(const nm_exec *ex, const double *dout, double *gb);

/** dout += db of the channel. */
void nm_conv_bias_jvp(const nm_exec *ex, const double *db, double *dout);

/** Reads the attributes of both kinds. */
nm_status nm_conv_parse(const nm_node_view *node, void *attr, nm_err *err);

/** Checks that weights are constant, of the input's rank, and fit kernel_shape; that biases are
 *  constant and n_out many. */
nm_status nm_conv_check(const nm_net *net, const nm_op *op, int64_t n_out, nm_err *err);

/** magnitude facet. @param sums  [n x size_out] the sums of absolute products, in float32 */
void nm_conv_magnitude(const nm_exec *ex, int64_t n_terms, const float *sums, bool bias, double *m);

/** local_error facet.
 *  @param n_terms  the most products that one output sums
 *  @param count    [n x size_out] how many of them are not exactly zero */
void nm_conv_local_error(const nm_exec *ex, int64_t n_terms, const double *const *in,
                         const double *out, const double *const *r, const float *count, double *e);

#endif
