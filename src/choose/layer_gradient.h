/* Gradients of a classifier's loss or margin at points: w.r.t. its values, and w.r.t. the
 * parameters of one layer at a time, so that memory is that of the largest layer. */
#ifndef NM_CHOOSE_LAYER_GRADIENT_H
#define NM_CHOOSE_LAYER_GRADIENT_H

#include "base/ctx.h"
#include "net/graph.h"

typedef enum nm_objective {
    NM_OF_LOSS,  /**< cross entropy with the label */
    NM_OF_MARGIN /**< score of the label minus the largest other one */
} nm_objective;

typedef struct nm_layer_gradient nm_layer_gradient;

/** Values and adjoints at n points, in double.
 *  @param x       [n x n_in] @param labels  [n] */
nm_status nm_layer_gradient_open(const nm_ctx *ctx, const nm_net *net, const float *x,
                                 const int64_t *labels, int64_t n, nm_objective of,
                                 nm_layer_gradient **out, nm_err *err);
void nm_layer_gradient_close(nm_layer_gradient *g);

/** The objective at each point, [n]; values of the net and their adjoints, [n x size]. Lent. */
const double *nm_layer_gradient_objective(const nm_layer_gradient *g);
const double *nm_layer_gradient_value(const nm_layer_gradient *g, int value);
const double *nm_layer_gradient_adjoint(const nm_layer_gradient *g, int value);

/** Derivative of the sum of the objective over points first .. first + n - 1 w.r.t. the parameters
 *  of a layer. @param weights, biases  out, [n_weights], [n_biases] */
nm_status nm_layer_gradient_params(const nm_layer_gradient *g, int layer, int64_t first, int64_t n,
                                   double *weights, double *biases, nm_err *err);

/** Loss at each of the points, [n], with the values from `value` on computed anew from `given`
 *  ([n x size], replaces value). */
nm_status nm_layer_gradient_rerun(nm_layer_gradient *g, const nm_ctx *ctx, int value,
                                  const double *given, double *objective, nm_err *err);

#endif
