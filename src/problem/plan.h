/* Inside view of an edit plan, and the list of the parameters that can act. */
#ifndef NM_PROBLEM_PLAN_H
#define NM_PROBLEM_PLAN_H

#include "net/graph.h"
#include "netmend/plan.h"

struct nm_plan {
    const nm_net *net;
    uint8_t **mask; /* [2 * n_layers]: weights, biases of each layer; NULL = nothing marked */
    double lo, hi;  /* bounds on the change of each parameter */
    bool joint;     /* weights of all marked layers act, not only those of the first */
    double **moved; /* NULL, or [2 * n_layers] how far each parameter of the net is already from
                       where the bounds count from; entries NULL = 0 */
};

/** Free parameters of one tensor. */
typedef struct nm_param_block {
    int layer;
    bool bias;
    int64_t n;      /* free entries */
    int64_t first;  /* position of the first in the vector of all free parameters */
    int64_t *entry; /* [n] flat indices into the tensor, ascending; NULL = all of them */
} nm_param_block;

/** The unknowns of a repair: weights of the first marked layer (of all, in a joint plan), biases of
 *  it and of later ones. */
typedef struct nm_params {
    nm_param_block *blocks;
    int n_blocks;
    int64_t n;     /* unknowns */
    double *moved; /* NULL = 0, or [n] as in the plan */
} nm_params;

/** Bounds on the change of unknown i. */
static inline double nm_param_lo(const nm_plan *plan, const nm_params *params, int64_t i)
{
    return plan->lo - (params->moved ? params->moved[i] : 0);
}

static inline double nm_param_hi(const nm_plan *plan, const nm_params *params, int64_t i)
{
    return plan->hi - (params->moved ? params->moved[i] : 0);
}

/** The same plan for a net of the same structure whose parameters have moved: what is marked stays
 *  marked, bounds count from `from` (NULL: from where `net` is). Free with nm_plan_free(). */
nm_status nm_plan_move(const nm_plan *plan, const nm_net *net, const nm_net *from, nm_plan **out,
                       nm_err *err);

/** Lists the parameters that can act. NM_E_ARG if there are none. */
nm_status nm_params_new(const nm_plan *plan, nm_params **out, nm_err *err);
void nm_params_free(nm_params *params);

/** Entries of the tensor that a block belongs to. */
int64_t nm_block_tensor_size(const nm_net *net, const nm_param_block *block);

/** Spreads a block's part of d [n] over a tensor of zeros. */
void nm_block_scatter(const nm_net *net, const nm_param_block *block, const double *d,
                      double *tensor);

/** Picks a block's part of d [n] out of a tensor. */
void nm_block_gather(const nm_net *net, const nm_param_block *block, const double *tensor,
                     double *d);

/** Gives `net` (a clone of base) the parameters of base + d. Only edited tensors are replaced. */
nm_status nm_params_apply(const nm_params *params, const nm_net *base, const double *d, nm_net *net,
                          nm_err *err);

#endif
