/* Small networks with random parameters, built operator by operator. */
#ifndef NM_TESTS_MAKE_NET_H
#define NM_TESTS_MAKE_NET_H

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/graph.h"
#include "net/op.h"

/** The net under construction; `at` is the value that the next operator reads. */
typedef struct net_maker {
    nm_net *net;
    nm_rng rng;
    double scale; /* of weights: their standard deviation times sqrt(products in a sum) */
    int at, n_made;
} net_maker;

#define MAKE_SHAPE(...)                                                                            \
    ((nm_shape){.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = {__VA_ARGS__}})

static inline net_maker make_net(uint64_t seed, nm_shape input)
{
    net_maker m = {.rng = {.seed = seed}, .scale = 1.5};
    nm_err err = {0};

    nm_assert_ok(nm_net_new(&m.net, &err), &err);
    nm_assert_ok(nm_net_add_value(m.net, "input", &input, &m.at, &err), &err);
    m.net->input = m.at;
    m.net->batch_symbolic = true;
    return m;
}

static inline const nm_shape *make_shape_at(const net_maker *m)
{
    return &m->net->values[m->at].shape;
}

/** A constant of normal numbers, mean and deviation as given. @return its value index */
static inline int make_constant(net_maker *m, nm_shape shape, double mean, double deviation)
{
    nm_tensor *tensor;
    nm_err err = {0};
    char name[32];
    int index;

    (void)snprintf(name, sizeof name, "c%d", m->n_made++);
    nm_assert_ok(nm_tensor_new(&tensor, &shape, NM_F32, &err), &err);
    for (int64_t i = 0; i < tensor->size; i++) {
        tensor->f32[i] = (float)(mean + deviation * nm_rng_normal(&m->rng));
        tensor->f64[i] = (double)tensor->f32[i];
    }
    nm_assert_ok(nm_net_add_constant(m->net, name, tensor, &index, &err), &err);
    return index;
}

/** Adds an operator by its ONNX name; its output becomes the present value. */
static inline void make_op(net_maker *m, const char *onnx_name, const int *in, int n_in,
                           const nm_attr_value *attrs, size_t n_attrs)
{
    nm_node_view node = {.op_type = onnx_name, .opset = 17, .attrs = attrs, .n_attrs = n_attrs};
    const nm_op_kind *kind = nm_op_find(onnx_name);
    _Alignas(16) unsigned char attr[512] = {0};
    nm_err err = {0};
    char name[32], out[32];
    int op;

    assert_non_null(kind);
    assert_true(kind->attr_bytes <= sizeof attr);
    (void)snprintf(name, sizeof name, "%s_%d", onnx_name, m->n_made);
    (void)snprintf(out, sizeof out, "v%d", m->n_made++);
    if (kind->parse)
        nm_assert_ok(kind->parse(&node, attr, &err), &err);
    nm_assert_ok(
        nm_net_add_op(m->net, kind, name, in, n_in, out, attr, kind->attr_bytes, &op, &err), &err);
    m->at = m->net->ops[op].out;
}

/** An operator of the present value alone, without attributes. */
static inline void make_unary(net_maker *m, const char *onnx_name)
{
    make_op(m, onnx_name, &m->at, 1, NULL, 0);
}

static inline void make_dense(net_maker *m, int64_t n_out)
{
    int64_t k = make_shape_at(m)->dim[1];
    double spread = m->scale / sqrt((double)k);
    nm_attr_value trans = {.name = "transB", .type = NM_ATTR_INT, .i = 1};
    int in[3] = {m->at, make_constant(m, MAKE_SHAPE(n_out, k), 0, spread),
                 make_constant(m, MAKE_SHAPE(n_out), 0, 0.3)};

    make_op(m, "Gemm", in, 3, &trans, 1);
}

static inline void make_conv(net_maker *m, int64_t channels, int64_t kernel, int64_t stride)
{
    int64_t from = make_shape_at(m)->dim[1], pad = kernel / 2;
    double spread = m->scale / sqrt((double)(from * kernel * kernel));
    nm_attr_value attrs[] = {
        {.name = "strides", .type = NM_ATTR_INTS, .ints = (int64_t[]){stride, stride}, .n = 2},
        {.name = "pads", .type = NM_ATTR_INTS, .ints = (int64_t[]){pad, pad, pad, pad}, .n = 4}};
    int in[3] = {m->at, make_constant(m, MAKE_SHAPE(channels, from, kernel, kernel), 0, spread),
                 make_constant(m, MAKE_SHAPE(channels), 0, 0.3)};

    make_op(m, "Conv", in, 3, attrs, 2);
}

/** Variances lie in [0.3, 1.7]. */
static inline void make_batch_norm(net_maker *m, double mean)
{
    int64_t c = make_shape_at(m)->dim[1];
    int in[5] = {m->at, make_constant(m, MAKE_SHAPE(c), 1, 0.3),
                 make_constant(m, MAKE_SHAPE(c), 0, 0.3),
                 make_constant(m, MAKE_SHAPE(c), mean, 0.3), make_constant(m, MAKE_SHAPE(c), 1, 0)};
    nm_tensor *variance = m->net->values[in[4]].constant;

    for (int64_t i = 0; i < c; i++) {
        variance->f32[i] = (float)(0.3 + 1.4 * nm_rng_uniform(&m->rng));
        variance->f64[i] = (double)variance->f32[i];
    }
    make_op(m, "BatchNormalization", in, 5, NULL, 0);
}

/** MaxPool or AveragePool of 2 x 2 windows. */
static inline void make_pool(net_maker *m, const char *onnx_name)
{
    nm_attr_value attrs[] = {
        {.name = "kernel_shape", .type = NM_ATTR_INTS, .ints = (int64_t[]){2, 2}, .n = 2},
        {.name = "strides", .type = NM_ATTR_INTS, .ints = (int64_t[]){2, 2}, .n = 2}};

    make_op(m, onnx_name, &m->at, 1, attrs, 2);
}

static inline void make_add(net_maker *m, int other)
{
    make_op(m, "Add", (int[]){m->at, other}, 2, NULL, 0);
}

/** Finishes the net. */
static inline nm_net *make_done(net_maker *m)
{
    nm_err err = {0};

    m->net->output = m->at;
    nm_assert_ok(nm_net_finish(m->net, &err), &err);
    return m->net;
}

/** A chain of dense layers with one kind of activation between them. */
static inline nm_net *make_chain(uint64_t seed, const char *activation, const int64_t *widths,
                                 int n_layers)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, widths[0]));

    for (int i = 1; i <= n_layers; i++) {
        make_dense(&m, widths[i]);
        if (i < n_layers)
            make_unary(&m, activation);
    }
    return make_done(&m);
}

/** A small residual network with everything that images use, and a hidden dense layer with the
 * given activation; two classes. */
static inline nm_net *make_residual_with(uint64_t seed, const char *activation)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, 2, 8, 8));
    nm_attr_value alpha = {.name = "alpha", .type = NM_ATTR_FLOAT, .f = 0.1};
    int skip;

    make_conv(&m, 4, 3, 1);
    make_batch_norm(&m, 3);
    make_unary(&m, "Relu");
    make_pool(&m, "MaxPool");
    skip = m.at;
    make_conv(&m, 4, 3, 1);
    make_op(&m, "LeakyRelu", &m.at, 1, &alpha, 1);
    make_conv(&m, 4, 3, 1);
    make_batch_norm(&m, -2);
    make_add(&m, skip);
    make_op(&m, "Clip",
            (int[]){m.at, make_constant(&m, (nm_shape){0}, -0.5, 0),
                    make_constant(&m, (nm_shape){0}, 2, 0)},
            3, NULL, 0);
    make_pool(&m, "AveragePool");
    make_unary(&m, "Flatten");
    make_dense(&m, 6);
    make_unary(&m, activation);
    make_dense(&m, 2);
    return make_done(&m);
}

static inline nm_net *make_residual(uint64_t seed)
{
    return make_residual_with(seed, "HardSwish");
}

/** Normal numbers, rounded to float32. */
static inline void fill_normal(nm_rng *rng, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)nm_rng_normal(rng);
}

#endif
