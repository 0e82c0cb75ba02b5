/* Mean cross entropy of a classifier over a batch, and its gradient w.r.t. all parameters of its
 * affine layers, by one pass forward and one back through the operators' adjoints. */
#ifndef NM_TRAIN_GRADIENT_H
#define NM_TRAIN_GRADIENT_H

#include "base/ctx.h"
#include "net/graph.h"

/** Working memory for one net, bounded however many points a batch has. */
typedef struct nm_gradient nm_gradient;

/** For batches of at most `max_points`. The net is lent, its parameters may be replaced between
 *  calls. Free with nm_gradient_free(). */
nm_status nm_gradient_new(const nm_net *net, int64_t max_points, nm_gradient **out, nm_err *err);
void nm_gradient_free(nm_gradient *g);

/** Numbers in the gradient: weights, then biases, layer after layer. */
int64_t nm_gradient_size(const nm_gradient *g);

/** @param x       [n_all x n_in]
 *  @param labels  [n_all], each below n_out
 *  @param order   [n] indices of the points of this batch
 *  @param values  out, [nm_gradient_size()], caller's buffer
 *  @param loss    out, the mean cross entropy of the batch
 *  Same bits for any number of threads. @return NM_OK; NM_E_CANCELLED, NM_E_LIMIT, NM_E_NOMEM */
nm_status nm_gradient_at(const nm_ctx *ctx, nm_gradient *g, const float *x, const int64_t *labels,
                         const int64_t *order, int64_t n, double *values, double *loss,
                         nm_err *err);

#endif
