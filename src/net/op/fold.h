/* What runtimes fold into one sum.
 *
 * ONNX Runtime and others scale the weights of a layer by a following BatchNormalization or Mul,
 * put added constants into its bias, and start a layer's sums at the other operand of a following
 * Add (residual connections). Then products of the layer and what follows are rounded together:
 * local errors pay for both ways. */
#ifndef NM_NET_OP_FOLD_H
#define NM_NET_OP_FOLD_H

#include "net/op.h"

/** Roundings beyond its own that each product of a layer may pass: 3 if an operator that may be
 *  folded into the layer reads its output, else 0. One for each of two scalings of the weight, one
 *  for another summand. (Errors of the scaling factor itself are the same in all products, so they
 *  are relative to the output: the local error of the scaling operator pays for them.) */
int64_t nm_folded_roundings(const nm_exec *ex);

/** How many products a layer sums whose result is input i, perhaps scaled and shifted by constants
 *  in between: a runtime may add those products one by one to whatever this operator adds. 0 if
 *  input i comes from elsewhere. */
int64_t nm_folded_products(const nm_exec *ex, int i);

#endif
