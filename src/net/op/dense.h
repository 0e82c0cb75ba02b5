/* Attributes of dense layers: y = alpha x W + beta b, W stored [K x N], or [N x K] if trans_b.
 * Readers build such operators themselves (.nnet layers; MatMul followed by Add of a vector). */
#ifndef NM_NET_OP_DENSE_H
#define NM_NET_OP_DENSE_H

#include "net/op.h"

typedef struct nm_dense_attr {
    double alpha, beta;
    bool trans_b;
} nm_dense_attr;

/** The layer in float32, what one row of x gives not depending on the others. x: [rows x n_in] */
void nm_dense_forward(const nm_exec *ex, const float *x, float *out);

/** Weights of a dense layer whose inputs are copies of fewer numbers, added up for each number in
 * float32.
 *  @param from    [n_in] of which number each input is a copy
 *  @param folded  out, [n_out x n]
 *  @return false if they are too large for float32 */
bool nm_dense_fold(const nm_net *net, const nm_op *op, const int32_t *from, int64_t n,
                   float *folded);

/** The layer at those numbers, one row per point. @param x  [ex->n x n] */
void nm_dense_forward_folded(const nm_exec *ex, const float *folded, int64_t n, const float *x,
                             float *out);

#endif
