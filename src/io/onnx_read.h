/* Reading an ONNX file as a network. */
#ifndef NM_IO_ONNX_READ_H
#define NM_IO_ONNX_READ_H

#include "base/file.h"
#include "net/graph.h"

/** Operator set versions that are understood. */
enum { NM_OPSET_MIN = 7, NM_OPSET_MAX = 20 };

/** Makes a net from the bytes of an ONNX file.
 *  @param file    the net's source takes its bytes over; on failure they are freed
 *  @param folder  where external data may lie; NULL = refused
 *  Messages do not name the file: the caller knows it. */
nm_status nm_onnx_read(nm_buffer *file, const char *folder, nm_net **out, nm_err *err);

#endif
