/* What folding asks of a batch normalisation. */
#ifndef NM_NET_OP_BATCH_NORM_H
#define NM_NET_OP_BATCH_NORM_H

#include "net/op.h"

/** Channel c: |scale|, and 1 / sqrt(variance + epsilon), whose product is the factor. */
void nm_batch_norm_factors(const nm_net *net, const nm_op *op, int64_t c, double *scale,
                           double *steepness);

#endif
