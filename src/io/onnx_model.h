/* An ONNX file taken apart: what its protobuf messages say, before any of it is understood as a
 * network. Field numbers: onnx/onnx.proto of the ONNX project (IR version 3 and later). */
#ifndef NM_IO_ONNX_MODEL_H
#define NM_IO_ONNX_MODEL_H

#include "io/pool.h"
#include "io/wire.h"
#include "net/op.h"

/** Names come from the file and may be of any length: messages show this much of them. */
#define NM_NAME "'%.80s'"

/** TensorProto.DataType, the types that are read. */
enum {
    NM_ONNX_FLOAT = 1,
    NM_ONNX_INT32 = 6,
    NM_ONNX_INT64 = 7,
    NM_ONNX_STRING = 8,
    NM_ONNX_BOOL = 9,
    NM_ONNX_DOUBLE = 11
};

/** Fields of TensorProto that may hold the elements. */
enum {
    NM_ONNX_FLOAT_DATA = 4,
    NM_ONNX_INT32_DATA = 5,
    NM_ONNX_STRING_DATA = 6,
    NM_ONNX_INT64_DATA = 7,
    NM_ONNX_RAW_DATA = 9,
    NM_ONNX_DOUBLE_DATA = 10,
    NM_ONNX_UINT64_DATA = 11
};

/** A TensorProto. Its elements stay in the file: they are the contents, in file order, of all
 *  fields `data_field` of `message` (nm_onnx_next_run()). */
typedef struct nm_onnx_tensor {
    const char *name;
    size_t at; /* file position */
    nm_wire message;
    int64_t data_type;
    nm_shape shape;
    uint32_t data_field; /* NM_ONNX_..._DATA, 0 if the message holds no elements */
    bool external;       /* elements are in another file: */
    const char *location, *offset, *length; /* NULL where not given */
} nm_onnx_tensor;

typedef struct nm_onnx_node {
    const char *name, *op_type, *domain; /* "" where not given */
    size_t at;
    size_t n_in, n_out, n_attrs;
    const char **in, **out; /* "" = left out */
    nm_attr_value *attrs;
    const nm_onnx_tensor *tensor; /* its tensor attribute (Constant), NULL if none */
} nm_onnx_node;

/** Declared graph input or output. */
typedef struct nm_onnx_value {
    const char *name;
    size_t at;
    int64_t elem_type;
    bool has_shape;
    int rank;
    int64_t dim[NM_MAX_DIMS];       /* -1 = any */
    const char *param[NM_MAX_DIMS]; /* name of a symbolic extent, NULL if it has none */
} nm_onnx_value;

typedef struct nm_onnx_model {
    int64_t opset; /* of the default operator domain, 0 if not given */
    nm_onnx_node *nodes;
    nm_onnx_tensor *initializers;
    nm_onnx_value *inputs, *outputs;
    size_t n_nodes, n_initializers, n_inputs, n_outputs;
} nm_onnx_model;

/** Takes a file apart. The model lives in `pool` and points into `file`.
 *  NM_E_FORMAT, NM_E_UNSUPPORTED (subgraphs, sparse tensors) with the byte position. */
nm_status nm_onnx_decode(const unsigned char *file, size_t n_bytes, nm_pool *pool,
                         nm_onnx_model *out, nm_err *err);

/** The same for one TensorProto (onnx_tensor.c). */
nm_status nm_onnx_decode_tensor(nm_wire message, nm_pool *pool, nm_onnx_tensor *out, nm_err *err);

/** Next run of element bytes of a message; start with *rest = tensor->message.
 *  @return false at the end. The message has been decoded before, so it is well formed. */
bool nm_onnx_next_run(nm_wire *rest, uint32_t data_field, nm_field *run);

/** Makes a constant from a tensor, checking type, element count and that all values are finite.
 *  @param folder  where external data may lie; NULL = external data is refused */
nm_status nm_onnx_load_tensor(const nm_onnx_tensor *tensor, const char *folder, nm_tensor **out,
                              nm_err *err);

/** Reads the elements of an external tensor (onnx_external.c): n_bytes of them, no more, from a
 *  file inside `folder`. Free *out with nm_free(). */
nm_status nm_onnx_read_external(const nm_onnx_tensor *tensor, const char *folder, size_t n_bytes,
                                unsigned char **out, nm_err *err);

/** The last field of that number as text, looked up before a message is decoded so that failures
 *  inside can name it; *out stays as it is if there is none. */
nm_status nm_onnx_find_text(nm_wire message, uint32_t number, nm_pool *pool, const char **out,
                            nm_err *err);

/** Puts "node 'Conv_3' (byte 18221): " before the message of a failure. */
void nm_onnx_blame(const nm_onnx_node *node, nm_err *err);

/** A bytes field as text in the pool; NM_E_FORMAT if it holds a NUL. */
nm_status nm_onnx_text(const nm_wire *wire, const nm_field *field, nm_pool *pool, const char **out,
                       nm_err *err);

#endif
