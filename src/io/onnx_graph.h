/* Who defines which tensor of an ONNX graph, and an order in which the nodes can be evaluated. */
#ifndef NM_IO_ONNX_GRAPH_H
#define NM_IO_ONNX_GRAPH_H

#include "io/onnx_model.h"

typedef enum nm_origin { NM_FROM_INPUT, NM_FROM_INITIALIZER, NM_FROM_NODE } nm_origin;

/** One tensor name. A name is defined once: an initializer that is also listed as an input (IR
 *  version 3) counts as an initializer. */
typedef struct nm_def {
    const char *name;
    size_t at; /* file position of what defines it */
    nm_origin origin;
    size_t index;   /* into the model's inputs, initializers or nodes */
    size_t slot;    /* which output of the node */
    size_t n_reads; /* by nodes and as the graph's output */
    size_t reader;  /* a node that reads it */
    int value;      /* index in the net once it is there, else -1 */
} nm_def;

typedef struct nm_onnx_graph {
    const nm_onnx_model *model;
    nm_def *defs; /* [n_defs] sorted by name */
    size_t n_defs;
    size_t *order; /* [n_nodes] nodes, each after those it reads from */
    nm_def *input, *output;
} nm_onnx_graph;

/** Links nodes through the names of tensors. Refused: names defined twice or not at all, cycles,
 *  any number of real inputs or outputs but one. Lives in `pool`. */
nm_status nm_onnx_link(const nm_onnx_model *model, nm_pool *pool, nm_onnx_graph *out, nm_err *err);

/** The definition of a name, NULL if there is none. */
nm_def *nm_onnx_find_def(const nm_onnx_graph *graph, const char *name);

#endif
