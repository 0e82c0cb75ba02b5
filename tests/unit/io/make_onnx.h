/* Small ONNX models written by the tests themselves. Header-only: not every test uses all of it. */
#ifndef NM_TESTS_MAKE_ONNX_H
#define NM_TESTS_MAKE_ONNX_H

#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/net_file.h"
#include "io/onnx_model.h"
#include "io/wire_out.h"

#pragma GCC diagnostic ignored "-Wunused-function"

typedef struct maker {
    nm_wire_out out;
    size_t graph;
} maker;

typedef enum storage { RAW, PACKED, UNPACKED } storage;

static maker make_begin(int64_t opset)
{
    maker m = {0};
    size_t mark;

    nm_out_int(&m.out, 1, 7);
    mark = nm_out_begin(&m.out, 8);
    nm_out_int(&m.out, 2, opset);
    nm_out_end(&m.out, mark);
    m.graph = nm_out_begin(&m.out, 7);
    return m;
}

/* The bytes; free with nm_buffer_free(). */
static nm_buffer make_end(maker *m)
{
    nm_out_end(&m->out, m->graph);
    assert_int_equal(m->out.rc, NM_OK);
    return (nm_buffer){.data = m->out.data, .n_bytes = m->out.n_bytes};
}

/* Writes the comma-separated names as one field each; an empty string gives none. */
static void make_names(maker *m, uint32_t field, const char *names)
{
    while (*names) {
        size_t n = strcspn(names, ",");

        nm_out_bytes(&m->out, field, names, n);
        names += n;
        names += *names == ',';
    }
}

static size_t make_node_begin(maker *m, const char *op, const char *name, const char *in,
                              const char *out)
{
    size_t mark = nm_out_begin(&m->out, 1);

    make_names(m, 1, in);
    make_names(m, 2, out);
    if (*name)
        nm_out_text(&m->out, 3, name);
    nm_out_text(&m->out, 4, op);
    return mark;
}

static void make_node(maker *m, const char *op, const char *name, const char *in, const char *out)
{
    nm_out_end(&m->out, make_node_begin(m, op, name, in, out));
}

static void make_int_attr(maker *m, const char *name, int64_t value)
{
    size_t mark = nm_out_begin(&m->out, 5);

    nm_out_text(&m->out, 1, name);
    nm_out_int(&m->out, 3, value);
    nm_out_int(&m->out, 20, 2);
    nm_out_end(&m->out, mark);
}

static void make_ints_attr(maker *m, const char *name, const int64_t *values, size_t n, bool packed)
{
    size_t mark = nm_out_begin(&m->out, 5);

    nm_out_text(&m->out, 1, name);
    if (packed)
        nm_out_packed_ints(&m->out, 8, values, n);
    for (size_t i = 0; !packed && i < n; i++)
        nm_out_int(&m->out, 8, values[i]);
    nm_out_int(&m->out, 20, 7);
    nm_out_end(&m->out, mark);
}

/* A float32 tensor message: field 5 of a graph, field 5 of an attribute. */
static void make_floats(maker *m, uint32_t field, const char *name, const int64_t *dims,
                        size_t rank, const float *values, storage how)
{
    size_t mark = nm_out_begin(&m->out, field), n = 1;

    for (size_t i = 0; i < rank; i++) {
        nm_out_int(&m->out, 1, dims[i]);
        n *= (size_t)dims[i];
    }
    nm_out_int(&m->out, 2, NM_ONNX_FLOAT);
    for (size_t i = 0; how == UNPACKED && i < n; i++)
        nm_out_float(&m->out, NM_ONNX_FLOAT_DATA, values[i]);
    nm_out_text(&m->out, 8, name);
    if (how != UNPACKED)
        nm_out_packed_floats(&m->out, how == RAW ? NM_ONNX_RAW_DATA : NM_ONNX_FLOAT_DATA, values,
                             n);
    nm_out_end(&m->out, mark);
}

static void make_doubles(maker *m, const char *name, const int64_t *dims, size_t rank,
                         const double *values, size_t n)
{
    size_t mark = nm_out_begin(&m->out, 5);

    for (size_t i = 0; i < rank; i++)
        nm_out_int(&m->out, 1, dims[i]);
    nm_out_int(&m->out, 2, NM_ONNX_DOUBLE);
    nm_out_text(&m->out, 8, name);
    nm_out_bytes(&m->out, NM_ONNX_RAW_DATA, values, 8 * n);
    nm_out_end(&m->out, mark);
}

static void make_int64s(maker *m, const char *name, const int64_t *values, size_t n, bool raw)
{
    size_t mark = nm_out_begin(&m->out, 5);

    nm_out_int(&m->out, 1, (int64_t)n);
    nm_out_int(&m->out, 2, NM_ONNX_INT64);
    nm_out_text(&m->out, 8, name);
    if (raw)
        nm_out_bytes(&m->out, NM_ONNX_RAW_DATA, values, 8 * n);
    else
        nm_out_packed_ints(&m->out, NM_ONNX_INT64_DATA, values, n);
    nm_out_end(&m->out, mark);
}

/* Declares an input (field 11) or output (field 12); extent 0 = symbolic "N", -2 = absent. */
static void make_value(maker *m, uint32_t field, const char *name, const int64_t *dims, size_t rank)
{
    size_t info = nm_out_begin(&m->out, field), type, tensor, shape;

    nm_out_text(&m->out, 1, name);
    type = nm_out_begin(&m->out, 2);
    tensor = nm_out_begin(&m->out, 1);
    nm_out_int(&m->out, 1, NM_ONNX_FLOAT);
    shape = nm_out_begin(&m->out, 2);
    for (size_t i = 0; i < rank; i++) {
        size_t dim = nm_out_begin(&m->out, 1);

        if (dims[i] == 0)
            nm_out_text(&m->out, 2, "N");
        else if (dims[i] != -2)
            nm_out_int(&m->out, 1, dims[i]);
        nm_out_end(&m->out, dim);
    }
    nm_out_end(&m->out, shape);
    nm_out_end(&m->out, tensor);
    nm_out_end(&m->out, type);
    nm_out_end(&m->out, info);
}

#define DIMS(...)                                                                                  \
    (const int64_t[])                                                                              \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define FLOATS(...)                                                                                \
    (const float[])                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void make_input(maker *m, const char *name, int64_t batch, int64_t n)
{
    make_value(m, 11, name, DIMS(batch, n), 2);
}

static void make_output(maker *m, const char *name, int64_t batch, int64_t n)
{
    make_value(m, 12, name, DIMS(batch, n), 2);
}

/* y = Relu(x A + a) B + b with 2 inputs, 3 hidden and 2 outputs; the values of A .. b. */
static const float tiny_a_weight[6] = {1.5f, -0.25f, 0.125f, 2, 0.5f, -1};
static const float tiny_a_bias[3] = {0.25f, -0.5f, 1};
static const float tiny_b_weight[6] = {0.5f, -1, 2, 0.75f, -0.375f, 3};
static const float tiny_b_bias[2] = {-0.125f, 0.0625f};

static void make_tiny_nodes(maker *m)
{
    make_node(m, "MatMul", "first", "x,A", "xA");
    make_node(m, "Add", "first_add", "xA,a", "z");
    make_node(m, "Relu", "act", "z", "r");
    make_node(m, "MatMul", "second", "r,B", "rB");
    make_node(m, "Add", "second_add", "b,rB", "y");
}

static nm_buffer make_tiny(storage how)
{
    maker m = make_begin(13);

    make_tiny_nodes(&m);
    make_floats(&m, 5, "A", DIMS(2, 3), 2, tiny_a_weight, how);
    make_floats(&m, 5, "a", DIMS(3), 1, tiny_a_bias, how);
    make_floats(&m, 5, "B", DIMS(3, 2), 2, tiny_b_weight, how);
    make_floats(&m, 5, "b", DIMS(2), 1, tiny_b_bias, how);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    return make_end(&m);
}

static void tiny_forward(const double *x, double *y)
{
    double r[3];

    for (int j = 0; j < 3; j++) {
        double z = (double)tiny_a_bias[j];

        for (int i = 0; i < 2; i++)
            z += x[i] * (double)tiny_a_weight[3 * i + j];
        r[j] = z > 0 ? z : 0;
    }
    for (int k = 0; k < 2; k++) {
        y[k] = (double)tiny_b_bias[k];
        for (int j = 0; j < 3; j++)
            y[k] += r[j] * (double)tiny_b_weight[2 * j + k];
    }
}

static nm_status load_bytes(const nm_buffer *bytes, nm_net **net, nm_err *err)
{
    return nm_net_from_memory(bytes->data, bytes->n_bytes, NM_FORMAT_ONNX, NULL, net, err);
}

/* Loads and frees the bytes. */
static nm_net *load_made(nm_buffer bytes)
{
    nm_err err = {0};
    nm_net *net;

    nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
    nm_buffer_free(&bytes);
    return net;
}

/* Expects a refusal whose message holds `part`; frees the bytes. */
static void assert_refused(nm_buffer bytes, nm_status code, const char *part)
{
    nm_err err = {0};
    nm_net *net;
    nm_status rc = load_bytes(&bytes, &net, &err);

    nm_buffer_free(&bytes);
    nm_net_free(net);
    if (rc != code || !strstr(err.text, part))
        fail_msg("got %s: \"%s\", want %s: \"...%s...\"", nm_status_name(rc), err.text,
                 nm_status_name(code), part);
}

#endif
