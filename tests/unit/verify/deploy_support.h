/* What the tests of deviation bounds share: a context, one check, nets of equal products. */
#ifndef NM_TESTS_DEPLOY_SUPPORT_H
#define NM_TESTS_DEPLOY_SUPPORT_H

#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "verify/deploy.h"

static inline nm_deploy check(const nm_net *net, const float *x, const int64_t *target, int64_t n)
{
    nm_deploy d;
    nm_err err = {0};

    nm_assert_ok(nm_deploy_check(ctx, net, x, target, n, true, &d, &err), &err);
    return d;
}

/* A dense layer or 1 x 1 convolution whose products are all equal, positive for class 0 and
   negative for class 1. */
static inline void make_even_layer(net_maker *m, double product, double bias)
{
    const nm_shape *x = make_shape_at(m);
    int64_t k = x->dim[1];
    bool conv = x->rank == 4;
    nm_attr_value trans = {.name = "transB", .type = NM_ATTR_INT, .i = 1};
    int w = make_constant(m, conv ? MAKE_SHAPE(2, k, 1, 1) : MAKE_SHAPE(2, k), product, 0);
    nm_tensor *weights = m->net->values[w].constant;

    for (int64_t i = k; i < 2 * k; i++) {
        weights->f32[i] = -weights->f32[i];
        weights->f64[i] = -weights->f64[i];
    }
    make_op(m, conv ? "Conv" : "Gemm", (int[]){m->at, w, make_constant(m, MAKE_SHAPE(2), bias, 0)},
            3, &trans, !conv);
}

#endif
