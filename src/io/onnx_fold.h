/* Evaluating at load time what does not depend on the input. */
#ifndef NM_IO_ONNX_FOLD_H
#define NM_IO_ONNX_FOLD_H

#include "net/op.h"

/** True if the operator's result is known now: all inputs are constants, or only their shape
 *  matters (Shape). */
bool nm_can_fold(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in);

/** Evaluates such an operator in double.
 *  @param net   holds its inputs
 *  @param room  elements that may still be computed; reduced by the result's size
 *  @param out   receives a new reference; int64 if all inputs are, or only their shape matters
 *  NM_E_UNSUPPORTED if the result exceeds the room or the operator has weights (a layer that does
 *  not depend on the input is no layer), NM_E_FORMAT if a value is not finite */
nm_status nm_fold(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in,
                  const void *attr, int64_t *room, nm_tensor **out, nm_err *err);

#endif
