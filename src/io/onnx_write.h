/* Writing networks as ONNX. */
#ifndef NM_IO_ONNX_WRITE_H
#define NM_IO_ONNX_WRITE_H

#include "base/file.h"
#include "net/graph.h"

/** The file a net was read from, with the elements of edited constants in place of the old ones;
 *  every other byte as it was. NM_E_UNSUPPORTED if the file keeps data outside. */
nm_status nm_onnx_patch(const nm_net *net, nm_buffer *out, nm_err *err);

/** A new ONNX file (IR version 7, opset 13) for a net that was not read from ONNX: dense layers,
 *  Relu, Flatten, and Add, Sub, Mul, Div with a constant. Weights are stored [out x in] as raw
 *  float32, the batch is symbolic ("N"), input and output are called "input" and "logits".
 *  NM_E_UNSUPPORTED names any other operator. */
nm_status nm_onnx_export(const nm_net *net, nm_buffer *out, nm_err *err);

#endif
