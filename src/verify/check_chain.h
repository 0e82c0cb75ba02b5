/* The checker's own view of a network: a chain of affine maps with ReLU between them, each map
 * written out as a matrix. Made from the operators' adjoints, with plain loops; shares nothing with
 * the prover's form (vnet.h). Networks that are no such chain cannot be checked this way. */
#ifndef NM_VERIFY_CHECK_CHAIN_H
#define NM_VERIFY_CHECK_CHAIN_H

#include "net/arena.h"
#include "net/graph.h"

/** z = W x + b + d, |d| <= e for x in the box that the chain was made for: e covers the rounding of
 *  b, and that of carrying a row back through W in double (check_bound.h). */
typedef struct nm_chain_layer {
    int64_t n_out, n_in;
    double *w;      /* [n_out x n_in] as in the file: entries are not computed */
    int64_t *start; /* [n_out + 1] entries that are not 0, where most are; else NULL */
    int32_t *at;
    double *b, *e;
    double *lo, *hi; /* [n_out] z by intervals */
} nm_chain_layer;

typedef struct nm_check_chain {
    int n_layers;
    nm_chain_layer *layers;          /* the last one is the output */
    int64_t n_in, n_neurons, widest; /* neurons: of all layers */
    nm_arena arena;
} nm_check_chain;

/** @param lo, hi  [n_in] box of inputs
 *  @return NM_E_UNSUPPORTED if the network is no such chain; NM_E_NOMEM */
nm_status nm_check_chain_new(const nm_net *net, const double *lo, const double *hi,
                             nm_check_chain **out, nm_err *err);
void nm_check_chain_free(nm_check_chain *c);

#endif
