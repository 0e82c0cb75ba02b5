/* Attributes of dense layers: y = alpha x W + beta b, W stored [K x N], or [N x K] if trans_b.
 * Readers build such operators themselves (.nnet layers; MatMul followed by Add of a vector). */
#ifndef NM_NET_OP_DENSE_H
#define NM_NET_OP_DENSE_H

#include <stdbool.h>

typedef struct nm_dense_attr {
    double alpha, beta;
    bool trans_b;
} nm_dense_attr;

#endif
