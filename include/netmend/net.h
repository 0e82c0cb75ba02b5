/* Networks: loading, writing, evaluating, describing. */
#ifndef NETMEND_NET_H
#define NETMEND_NET_H

#include "netmend/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nm_net nm_net;

/** Reads a network; the format is chosen by content and name (.onnx, .nnet).
 *  Messages name the file, the node or tensor, and what was expected. Free with nm_net_free(). */
NM_API nm_status nm_net_load(nm_ctx *ctx, const char *path, nm_net **out, nm_err *err);

/** Reads a .nnet file without its normalisation: the network takes and gives normalised values, as
 *  VNN-LIB properties and the ONNX forms of the ACAS Xu networks do.
 *  @return NM_E_UNSUPPORTED for other formats */
NM_API nm_status nm_net_load_normalised(nm_ctx *ctx, const char *path, nm_net **out, nm_err *err);

/** The range of inputs that a .nnet file states, in the units that the network takes.
 *  @param lo, hi  out, [n_in]
 *  @return false for networks from other formats */
NM_API bool nm_net_in_range(const nm_net *net, double *lo, double *hi);

/** Writes a network to .onnx or .nnet (by name). A net that was read from ONNX keeps every byte of
 *  its file but the data of edited constants. The file appears only when complete. */
NM_API nm_status nm_net_save(nm_ctx *ctx, const nm_net *net, const char *path, nm_err *err);

NM_API void nm_net_free(nm_net *net);

/** Numbers per point that go in and come out. */
NM_API int64_t nm_net_n_in(const nm_net *net);
NM_API int64_t nm_net_n_out(const nm_net *net);

/** Shape of the input of one point; dims must have room for 8. @return the rank. */
NM_API int nm_net_in_shape(const nm_net *net, int64_t *dims);

/** Evaluates n points.
 *  @param x  [n x n_in]
 *  @param y  out, [n x n_out], caller's buffer
 *  Runs on the threads of ctx; the same bits for any number of threads. */
NM_API nm_status nm_net_forward_f32(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                                    float *y, nm_err *err);
NM_API nm_status nm_net_forward_f64(nm_ctx *ctx, const nm_net *net, const double *x, int64_t n,
                                    double *y, nm_err *err);

/** What `info` shows of one affine layer. Strings are lent by the net. */
typedef struct nm_layer_info {
    const char *name; /**< ONNX node name */
    const char *kind; /**< operator kind, e.g. "Gemm" */
    int64_t n_weights, n_biases;
    int64_t n_in, n_out; /**< numbers per point that go in and come out */
    const char *locked;  /**< why it cannot be edited; NULL if it can */
} nm_layer_info;

NM_API int nm_net_n_layers(const nm_net *net);
NM_API nm_status nm_net_layer_info(const nm_net *net, int layer, nm_layer_info *out, nm_err *err);
NM_API int64_t nm_net_n_params(const nm_net *net);

/** Copies the weights (or biases) of a layer: as double, n_weights or n_biases of them. */
NM_API nm_status nm_net_get_layer(const nm_net *net, int layer, bool bias, double *values,
                                  nm_err *err);

/** Number of operators, and kind, name and output shape of the i-th. @return rank, -1 if no such.
 */
NM_API int nm_net_n_ops(const nm_net *net);
NM_API int nm_net_op_info(const nm_net *net, int i, const char **kind, const char **name,
                          int64_t *dims);

/** Resolves "3", "-1", "last" or an ONNX node name to a layer index. */
NM_API nm_status nm_net_find_layer(const nm_net *net, const char *text, int *layer, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
