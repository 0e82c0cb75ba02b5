/* The network as a verifier sees it: nodes of neurons, each an activation of an affine form of the
 * nodes before it,
 *     z_k = sum_j W_kj x_j + b_k + d_k,   |d_k| <= error_k,     x_k = act_k(z_k),
 * x_0 the input, the last node (linear) the output. Every operator that is linear, or piecewise
 * linear, is brought to this form exactly:
 *     f(z) = K + s_0 z + sum_i (s_{i+1} - s_i) relu(z - t_i)    with breaks t_i and slopes s_i,
 *     max(a, b) = b + relu(a - b)                               (pools, as a tree)
 * so that relu is the only piecewise linear node; sigmoid and tanh are nodes of their own. Linear
 * operators are joined where that needs no sums: matrix entries are those of the file, or products
 * of a few numbers.
 *
 * error_k makes statements about this form hold for the network: it covers what the entries and
 * biases are off by, the rounding of carrying rows backward through the node in double (bound.h),
 * and with float32 semantics what any float32 evaluation may deviate (net/op.h, local_error). All
 * for inputs within the box that the form was made for. */
#ifndef NM_VERIFY_VNET_H
#define NM_VERIFY_VNET_H

#include "base/ctx.h"
#include "net/arena.h"
#include "net/op.h"

typedef enum nm_vkind {
    NM_VNODE_INPUT,
    NM_VNODE_LINEAR,
    NM_VNODE_RELU,
    NM_VNODE_SIGMOID,
    NM_VNODE_TANH
} nm_vkind;

/** W_kj: dense [n_out x n_in], or rows of entries. */
typedef struct nm_vmap {
    int from;       /* node j < k */
    double *dense;  /* NULL = sparse */
    int64_t *start; /* [n_out + 1] */
    int32_t *at;
    double *w;
} nm_vmap;

typedef struct nm_vnode {
    nm_vkind kind;
    int64_t n;
    int64_t first; /* neurons of the nodes before */
    int n_maps;
    nm_vmap *maps;
    double *bias;    /* [n] */
    double *error;   /* [n] as above */
    double *lo, *hi; /* [n] z for inputs in the box, by intervals; the input's: the box */
    double *size;    /* [n] largest |x| there, of the values that the network computes */
} nm_vnode;

typedef struct nm_vnet {
    nm_vnode *nodes;
    int n_nodes;
    int64_t n_neurons; /* of all nodes, the input included */
    int64_t widest;    /* most neurons of a node */
    nm_arena arena;
} nm_vnet;

/** Brings a network to this form.
 *  @param lo, hi   [n_in] box of inputs
 *  @param float32  let it hold for any float32 evaluation, not only for real arithmetic
 *  @return NM_E_UNSUPPORTED for operators that have no such form (the message names them);
 *          NM_E_NOMEM */
nm_status nm_vnet_new(const nm_net *net, const double *lo, const double *hi, bool float32,
                      nm_vnet **out, nm_err *err);
void nm_vnet_free(nm_vnet *v);

static inline const nm_vnode *nm_vnet_output(const nm_vnet *v)
{
    return &v->nodes[v->n_nodes - 1];
}

/** The value of the activation. */
double nm_vnode_value(nm_vkind kind, double z);

/** x of all nodes at a point, in double.
 *  @param x  [n_neurons] node after node; the input's is given */
void nm_vnet_evaluate(const nm_vnet *v, double *x);

#endif
