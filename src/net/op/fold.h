/* What runtimes fold into one sum.
 *
 * ONNX Runtime and others scale the weights of a layer by following BatchNormalizations, Muls or
 * Divs, put added constants into its bias, and start a layer's sums at the other operand of a
 * following Add (residual connections); they look through operators that only rename, reshape or
 * move in between. Then products of the layer and what follows are rounded together: local errors
 * pay for both ways. */
#ifndef NM_NET_OP_FOLD_H
#define NM_NET_OP_FOLD_H

#include "net/op.h"

/** What may be folded into the layer of an execution. */
typedef struct nm_folding {
    bool any;
    /** Roundings beyond its own that each product of the layer may pass: one for each scaling of
     * the weight (two at least, where anything is folded), one for another summand. (Errors of the
     *  scaling factor itself are the same in all products, so they are relative to the output: the
     *  local error of the scaling operator pays for them.) */
    int64_t roundings;
    /** Factors that weights may be scaled by on the way, apart from 0 (which loses nothing): 1 and
     *  below, 1 and above. A scaled weight may underflow or overflow where neither the weight nor
     *  any value does. */
    double least, most;
} nm_folding;

/** Uses scratch; the arena fails when memory ran out. */
nm_folding nm_folding_of(const nm_exec *ex);

/** How many products a layer sums whose result is input i, perhaps scaled and shifted by constants,
 *  reshaped or moved in between: a runtime may add those products one by one to whatever this
 *  operator adds. 0 if input i comes from elsewhere. */
int64_t nm_folded_products(const nm_exec *ex, int i);

#endif
