/* A network as a topologically sorted graph of operators over values with static shapes.
 *
 * A *point* is one evaluation of the whole graph. The leading axis of the graph input, where it
 * is symbolic, is the batch and counts as 1, so every value has one fixed shape per point and
 * `size` elements. Evaluating n points keeps each value as a row-major array [n x size]; constant
 * values exist once, [size]. */
#ifndef NM_NET_GRAPH_H
#define NM_NET_GRAPH_H

#include "base/err.h"
#include "netmend/net.h"

enum { NM_MAX_DIMS = 8, NM_OP_MAX_IN = 64 };

/** Elements of one value or tensor; larger files are refused. */
#define NM_MAX_ELEMENTS ((int64_t)1 << 31)

typedef struct nm_shape {
    int rank; /* 0 = scalar */
    int64_t dim[NM_MAX_DIMS];
} nm_shape;

/** Number of elements; dims are known to be >= 1 and their product bounded (nm_shape_check). */
int64_t nm_shape_size(const nm_shape *shape);
bool nm_shape_equal(const nm_shape *a, const nm_shape *b);

/** NM_E_SHAPE unless rank <= NM_MAX_DIMS, all dims >= 1 and the product <= NM_MAX_ELEMENTS. */
nm_status nm_shape_check(const nm_shape *shape, const char *what, nm_err *err);

/** Writes "1x3x32x32" into text; returns text. */
const char *nm_shape_text(const nm_shape *shape, char text[static 96]);

/** Numpy broadcasting of two shapes; false if they do not fit. */
bool nm_shape_broadcast(const nm_shape *a, const nm_shape *b, nm_shape *out);

/** Multiplier of each output axis into the flat index of a (broadcast axes: 0).
 *  step[] has out->rank entries. */
void nm_shape_broadcast_steps(const nm_shape *a, const nm_shape *out, int64_t *step);

typedef enum nm_dtype { NM_F32, NM_F64, NM_I64, NM_BOOL } nm_dtype;

/** A constant. Immutable once in a net; shared between clones by reference count.
 *  Weights are kept as read (f32) and as double for optimisation; integers only as double. */
typedef struct nm_tensor {
    nm_shape shape;
    nm_dtype dtype; /* as stored in the file */
    int64_t size;
    double *f64; /* [size] */
    float *f32;  /* [size]; the value as float32 */
    int n_refs;
} nm_tensor;

/** New zeroed tensor, one reference. */
nm_status nm_tensor_new(nm_tensor **out, const nm_shape *shape, nm_dtype dtype, nm_err *err);
nm_tensor *nm_tensor_ref(nm_tensor *tensor);
void nm_tensor_unref(nm_tensor *tensor);

/** Something an operator reads or writes: graph input, constant or operator output. */
typedef struct nm_value {
    char *name;
    nm_shape shape; /* per point */
    int64_t size;
    nm_tensor *constant;   /* NULL unless a constant */
    int producer;          /* operator that writes it, -1 for input and constants */
    int n_readers;         /* operators that read it (the graph output counts as one more) */
    bool from_initializer; /* constant stored in the file under this name (initializer/Constant) */
} nm_value;

typedef struct nm_op_kind nm_op_kind;

/** One operator with one output. Optional absent inputs are -1. */
typedef struct nm_op {
    const nm_op_kind *kind;
    char *name; /* name of the ONNX node, made up ("Gemm_3") where the file gives none */
    int n_in;
    int in[NM_OP_MAX_IN];
    int out;
    void *attr; /* the kind's own attributes, one allocation without pointers inside */
    size_t attr_bytes;
} nm_op;

/** An affine layer: an operator with weights, and the constants that hold them. */
typedef struct nm_layer {
    int op;
    int weight;        /* value index */
    int bias;          /* value index, -1 if none */
    int64_t n_weights; /* elements */
    int64_t n_biases;
    const char *locked; /* why it must not be edited (shared constant, ...), NULL if it may be */
} nm_layer;

/** The file a net came from, kept for writing it back; what it holds is io's business (io embeds
 *  this struct). Shared between clones. */
typedef struct nm_source {
    int n_refs;
    void (*destroy)(struct nm_source *self);
} nm_source;

struct nm_net {
    nm_value *values;
    int n_values;
    nm_op *ops; /* topologically sorted */
    int n_ops;
    nm_layer *layers; /* affine layers in graph order */
    int n_layers;
    int input, output; /* value indices */
    int scores; /* value that classification looks at: the input of a final Softmax, else output */
    bool batch_symbolic; /* the file's leading input axis is a batch of any size */
    nm_source *source;   /* NULL if built here; the net owns one reference */
};

/* -- building (io/ and tests); a half-built net is freed with nm_net_free() ------------------ */

nm_status nm_net_new(nm_net **out, nm_err *err);

/** Adds a value; the name is copied. @return its index through *index. */
nm_status nm_net_add_value(nm_net *net, const char *name, const nm_shape *shape, int *index,
                           nm_err *err);

/** Adds a constant value; takes over the reference to `tensor` (also on failure). */
nm_status nm_net_add_constant(nm_net *net, const char *name, nm_tensor *tensor, int *index,
                              nm_err *err);

/** Adds an operator whose inputs exist already, infers its output's shape and adds the output
 *  value under `out_name`. attr is copied. @param index receives the operator's index. */
nm_status nm_net_add_op(nm_net *net, const nm_op_kind *kind, const char *name, const int *in,
                        int n_in, const char *out_name, const void *attr, size_t attr_bytes,
                        int *index, nm_err *err);

/** Checks the whole, removes operators the output does not need, fills the layer table and
 *  `scores`. To be called once, after input and output are set. */
nm_status nm_net_finish(nm_net *net, nm_err *err);

/** Independent copy that shares all constants. */
nm_status nm_net_clone(const nm_net *net, nm_net **out, nm_err *err);

/** Products of weights in one evaluation: of each weight as often as it is used. */
double nm_net_work(const nm_net *net);

/** Replaces the weights or biases of a layer by `values` (rounded into f32, kept exactly in f64).
 */
nm_status nm_net_set_layer(nm_net *net, int layer, bool bias, const double *values, nm_err *err);

static inline const nm_tensor *nm_op_constant(const nm_net *net, const nm_op *op, int i)
{
    return i < op->n_in && op->in[i] >= 0 ? net->values[op->in[i]].constant : NULL;
}

static inline const nm_shape *nm_op_shape(const nm_net *net, const nm_op *op, int i)
{
    return &net->values[op->in[i]].shape;
}

#endif
