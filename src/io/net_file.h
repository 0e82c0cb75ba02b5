/* Networks in files and in memory. */
#ifndef NM_IO_NET_FILE_H
#define NM_IO_NET_FILE_H

#include "base/file.h"
#include "io/source.h"

/** Larger model files are refused. */
#define NM_MAX_MODEL_BYTES ((size_t)4 << 30)

/** Reads a network from bytes (copied).
 *  @param folder  where external data of an ONNX model may lie; NULL = such data is refused */
nm_status nm_net_from_memory(const unsigned char *data, size_t n_bytes, nm_format format,
                             const char *folder, nm_net **out, nm_err *err);

/** The bytes that nm_net_save() would write. Free with nm_buffer_free(). */
nm_status nm_net_to_memory(const nm_net *net, nm_format format, nm_buffer *out, nm_err *err);

/** Format in which a network is saved, by the end of the name; NM_E_ARG if it has neither. */
nm_status nm_save_format(const char *path, nm_format *format, nm_err *err);

/** Format of a model file: by the end of its name, else by its content (text starts with a comment
 *  or a number, ONNX with neither). */
nm_format nm_format_of(const char *path, const nm_buffer *content);

#endif
