/* What layers give and receive at points, in float32. */
#ifndef NM_CHOOSE_LAYER_VALUES_H
#define NM_CHOOSE_LAYER_VALUES_H

#include "base/ctx.h"
#include "net/graph.h"

/** The value behind a layer and the elementwise operators that follow it alone (its activation). */
int nm_layer_activation(const nm_net *net, int layer);

/** The last layer that must be passed on the way to the scores; -1 if there is no layer. */
int nm_last_layer(const nm_net *net);

/** Values of the net at n points, [n x size] each, into wanted[value] where that is not NULL. */
nm_status nm_values_at(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                       float *const *wanted, nm_err *err);

/** One value, [n x size], for nm_free(). */
nm_status nm_value_at(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, int value,
                      float **out, nm_err *err);

#endif
