#include "make_onnx.h"

#include <math.h>
#include <stdio.h>

static void assert_tiny_forward(const nm_net *net)
{
    const double x[6] = {0.3, -0.7, 1.25, 0.5, -2, 0.125};
    double want[6], got[6];
    nm_ctx *ctx;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    for (int i = 0; i < 3; i++)
        tiny_forward(x + 2 * i, want + 2 * i);
    nm_assert_ok(nm_net_forward_f64(ctx, net, x, 3, got, &err), &err);
    nm_assert_close(got, want, 6, 1e-14, 1e-14);
    nm_ctx_free(ctx);
}

static const char *locked(const nm_net *net, int layer)
{
    nm_err err = {0};
    nm_layer_info info;

    nm_assert_ok(nm_net_layer_info(net, layer, &info, &err), &err);
    return info.locked;
}

static void assert_locked(const nm_net *net, int layer, const char *part)
{
    const char *why = locked(net, layer);

    if (!why || !strstr(why, part))
        fail_msg("layer %d: got \"%s\", want \"...%s...\"", layer, why ? why : "(editable)", part);
}

static void matmul_and_add_become_one_layer_named_by_the_matmul(void **state)
{
    (void)state;
    for (storage how = RAW; how <= UNPACKED; how++) {
        nm_net *net = load_made(make_tiny(how));
        nm_err err = {0};
        nm_layer_info info;

        assert_int_equal(nm_net_n_ops(net), 3);
        assert_int_equal(nm_net_n_layers(net), 2);
        nm_assert_ok(nm_net_layer_info(net, 1, &info, &err), &err);
        assert_string_equal(info.name, "second");
        assert_int_equal(info.n_weights, 6);
        assert_int_equal(info.n_biases, 2);
        assert_null(info.locked);
        assert_true(net->batch_symbolic);
        assert_tiny_forward(net);
        nm_net_free(net);
    }
}

static void initializers_among_the_inputs_are_no_inputs(void **state)
{
    maker m = make_begin(8);
    nm_net *net;

    (void)state;
    make_value(&m, 11, "A", DIMS(2, 3), 2);
    make_input(&m, "x", 1, 2);
    make_value(&m, 11, "b", DIMS(2), 1);
    make_tiny_nodes(&m);
    make_floats(&m, 5, "A", DIMS(2, 3), 2, tiny_a_weight, RAW);
    make_floats(&m, 5, "a", DIMS(3), 1, tiny_a_bias, RAW);
    make_floats(&m, 5, "B", DIMS(3, 2), 2, tiny_b_weight, RAW);
    make_floats(&m, 5, "b", DIMS(1, 2), 2, tiny_b_bias, RAW);
    make_output(&m, "y", 1, 2);
    net = load_made(make_end(&m));
    assert_int_equal(nm_net_n_in(net), 2);
    assert_int_equal(nm_net_n_ops(net), 3);
    assert_false(net->batch_symbolic);
    assert_null(locked(net, 0));
    assert_tiny_forward(net);
    nm_net_free(net);
}

/* A Constant node whose value is a tensor. */
static void make_constant(maker *m, const char *name, const int64_t *dims, size_t rank,
                          const float *values, storage how)
{
    size_t node = make_node_begin(m, "Constant", "", "", name), attr = nm_out_begin(&m->out, 5);

    nm_out_text(&m->out, 1, "value");
    make_floats(m, 5, "", dims, rank, values, how);
    nm_out_int(&m->out, 20, 4);
    nm_out_end(&m->out, attr);
    nm_out_end(&m->out, node);
}

static nm_buffer make_with_constant_nodes(storage how)
{
    maker m = make_begin(13);

    make_tiny_nodes(&m); /* the constants come after what reads them: legal for us, sorted */
    make_constant(&m, "A", DIMS(2, 3), 2, tiny_a_weight, how);
    make_constant(&m, "a", DIMS(3), 1, tiny_a_bias, how);
    make_constant(&m, "B", DIMS(3, 2), 2, tiny_b_weight, how);
    make_constant(&m, "b", DIMS(2), 1, tiny_b_bias, how);
    make_input(&m, "x", -2, 2);
    make_output(&m, "y", -2, 2);
    return make_end(&m);
}

static void weights_in_constant_nodes_can_be_edited(void **state)
{
    const double edited[3] = {4, 5, 6};

    (void)state;
    for (storage how = RAW; how <= UNPACKED; how++) {
        nm_net *net = load_made(make_with_constant_nodes(how)), *back;
        nm_err err = {0};
        nm_buffer out;
        double got[3];

        assert_tiny_forward(net);
        assert_null(locked(net, 0));
        assert_true(net->batch_symbolic);
        nm_assert_ok(nm_net_set_layer(net, 0, true, edited, &err), &err);
        nm_assert_ok(nm_net_to_memory(net, NM_FORMAT_ONNX, &out, &err), &err);
        back = load_made(out);
        nm_assert_ok(nm_net_get_layer(back, 0, true, got, &err), &err);
        nm_assert_close(got, edited, 3, 0, 0);
        nm_net_free(net);
        nm_net_free(back);
    }
}

static void constants_given_as_plain_numbers_are_read_but_locked(void **state)
{
    maker m = make_begin(13);
    nm_net *net;
    size_t node, attr;

    (void)state;
    node = make_node_begin(&m, "Constant", "", "", "b");
    attr = nm_out_begin(&m.out, 5);
    nm_out_text(&m.out, 1, "value_floats");
    nm_out_packed_floats(&m.out, 7, tiny_b_bias, 2);
    nm_out_int(&m.out, 20, 6);
    nm_out_end(&m.out, attr);
    nm_out_end(&m.out, node);
    make_tiny_nodes(&m);
    make_floats(&m, 5, "A", DIMS(2, 3), 2, tiny_a_weight, RAW);
    make_floats(&m, 5, "a", DIMS(3), 1, tiny_a_bias, RAW);
    make_floats(&m, 5, "B", DIMS(3, 2), 2, tiny_b_weight, RAW);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_tiny_forward(net);
    assert_null(locked(net, 0));
    assert_locked(net, 1, "not stored");
    nm_net_free(net);
}

static void make_square(maker *m, const char *name)
{
    make_floats(m, 5, name, DIMS(2, 2), 2, FLOATS(1, 2, 3, 4), RAW);
}

static void a_shared_initializer_locks_all_its_layers(void **state)
{
    maker m = make_begin(13);
    nm_net *net;

    (void)state;
    make_node(&m, "MatMul", "one", "x,W", "h");
    make_node(&m, "Relu", "", "h", "r");
    make_node(&m, "MatMul", "two", "r,W", "s");
    make_node(&m, "MatMul", "three", "s,V", "y");
    make_square(&m, "W");
    make_square(&m, "V");
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_locked(net, 0, "shared");
    assert_locked(net, 1, "shared");
    assert_null(locked(net, 2));
    nm_net_free(net);
}

static void a_bias_or_weight_with_a_folded_reader_is_locked(void **state)
{
    maker m = make_begin(13);
    nm_net *net;

    (void)state;
    make_node(&m, "MatMul", "one", "x,W", "h");
    make_node(&m, "Neg", "", "W", "minusW"); /* read by the file, but no operator of the net */
    make_node(&m, "MatMul", "two", "h,minusW", "y");
    make_square(&m, "W");
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_int_equal(nm_net_n_ops(net), 2);
    assert_locked(net, 0, "shared");
    assert_locked(net, 1, "not stored");
    nm_net_free(net);
}

/* Shape -> Gather -> Unsqueeze -> Concat -> Reshape, as PyTorch writes x.view(x.size(0), -1). */
static nm_buffer make_shape_chain(void)
{
    maker m = make_begin(13);
    size_t node;

    node = make_node_begin(&m, "Constant", "", "", "zero");
    make_int_attr(&m, "value_int", 0);
    nm_out_end(&m.out, node);
    make_node(&m, "Shape", "", "x", "shape");
    make_node(&m, "Gather", "", "shape,zero", "n");
    make_node(&m, "Unsqueeze", "", "n,axes", "n1");
    node = make_node_begin(&m, "Concat", "", "n1,rest", "target");
    make_int_attr(&m, "axis", 0);
    nm_out_end(&m.out, node);
    make_node(&m, "Reshape", "flat", "x,target", "y");
    make_int64s(&m, "axes", DIMS(0), 1, false);
    make_int64s(&m, "rest", DIMS(-1), 1, true);
    make_value(&m, 11, "x", DIMS(0, 2, 3), 3);
    make_output(&m, "y", 0, 6);
    return make_end(&m);
}

static void shapes_computed_in_the_graph_become_constants(void **state)
{
    nm_buffer bytes = make_shape_chain();
    nm_err err = {0};
    nm_net *net;

    (void)state;
    nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
    assert_int_equal(nm_net_n_ops(net), 1);
    assert_string_equal(net->ops[0].name, "flat");
    assert_int_equal(net->values[net->output].shape.rank, 2);
    nm_net_free(net);
    nm_buffer_free(&bytes);
}

static void a_small_file_does_not_fold_into_a_large_constant(void **state)
{
    maker m = make_begin(13);

    (void)state;
    make_node(&m, "Expand", "grow", "one,shape", "large");
    make_node(&m, "Mul", "", "x,large", "y");
    make_floats(&m, 5, "one", DIMS(1), 1, FLOATS(1), RAW);
    make_int64s(&m, "shape", DIMS(1000, 1000), 2, true);
    make_input(&m, "x", 0, 1000);
    make_output(&m, "y", 0, 1000);
    assert_refused(make_end(&m), NM_E_UNSUPPORTED,
                   "its constant result has 1000000 elements, expected at most ");
}

/* "To the end" of a Slice is INT64_MAX, which no double holds. */
static void huge_integers_still_mean_to_the_end(void **state)
{
    maker m = make_begin(13);
    nm_net *net;

    (void)state;
    make_node(&m, "Slice", "", "x,from,to,axes", "y");
    make_int64s(&m, "from", DIMS(1), 1, true);
    make_int64s(&m, "to", DIMS(INT64_MAX), 1, false);
    make_int64s(&m, "axes", DIMS(1), 1, true);
    make_input(&m, "x", 0, 5);
    make_output(&m, "y", 0, 4);
    net = load_made(make_end(&m));
    assert_int_equal(nm_net_n_out(net), 4);
    nm_net_free(net);
}

static void second_outputs_are_refused_only_when_read(void **state)
{
    maker m;

    (void)state;
    for (int read = 0; read < 2; read++) {
        m = make_begin(13);
        make_node(&m, "Dropout", "drop", "x", "d,mask");
        make_node(&m, "Relu", "", read ? "mask" : "d", "y");
        make_input(&m, "x", 0, 2);
        make_output(&m, "y", 0, 2);
        if (read)
            assert_refused(make_end(&m), NM_E_UNSUPPORTED,
                           "reads 'mask', output 1 of a Dropout node");
        else
            nm_net_free(load_made(make_end(&m)));
    }
}

static void a_product_with_two_readers_stays_a_product(void **state)
{
    const double x[2] = {1, 10};
    double y[2];
    maker m = make_begin(13);
    nm_net *net;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    make_node(&m, "MatMul", "", "x,W", "h"); /* 31, 42 */
    make_node(&m, "Add", "", "h,b", "s");
    make_node(&m, "Add", "", "s,h", "y");
    make_square(&m, "W");
    make_floats(&m, 5, "b", DIMS(2), 1, FLOATS(0.5f, 0.25f), RAW);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_int_equal(nm_net_n_ops(net), 3);
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_forward_f64(ctx, net, x, 1, y, &err), &err);
    assert_true(y[0] == 62.5 && y[1] == 84.25);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

static void nodes_in_any_order_are_sorted(void **state)
{
    maker m = make_begin(13);
    nm_net *net;

    (void)state;
    make_node(&m, "Add", "second_add", "b,rB", "y");
    make_node(&m, "MatMul", "second", "r,B", "rB");
    make_node(&m, "Relu", "act", "z", "r");
    make_node(&m, "Add", "first_add", "xA,a", "z");
    make_node(&m, "MatMul", "first", "x,A", "xA");
    make_floats(&m, 5, "A", DIMS(2, 3), 2, tiny_a_weight, RAW);
    make_floats(&m, 5, "a", DIMS(3), 1, tiny_a_bias, RAW);
    make_floats(&m, 5, "B", DIMS(3, 2), 2, tiny_b_weight, RAW);
    make_floats(&m, 5, "b", DIMS(2), 1, tiny_b_bias, RAW);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_tiny_forward(net);
    nm_net_free(net);
}

/* One node and its frame; `in` may name W, a 2x2 float matrix. */
static nm_buffer make_one_node(int64_t opset, const char *op, const char *in, const char *out)
{
    maker m = make_begin(opset);

    make_node(&m, op, "node", in, out);
    make_square(&m, "W");
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    return make_end(&m);
}

static void graphs_that_make_no_sense_are_refused(void **state)
{
    maker m = make_begin(13);

    (void)state;
    make_node(&m, "Relu", "p", "b", "a");
    make_node(&m, "Relu", "q", "a", "b");
    make_node(&m, "Relu", "r", "x", "y");
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    assert_refused(make_end(&m), NM_E_FORMAT, "the graph has a cycle");
    assert_refused(make_one_node(13, "Relu", "y", "y"), NM_E_FORMAT, "node 'node' (byte ");
    assert_refused(make_one_node(13, "Relu", "z", "y"), NM_E_FORMAT, "reads tensor 'z', which no");
    assert_refused(make_one_node(13, "Relu", "x", "z"), NM_E_FORMAT, "output 'y' is not the first");
    assert_refused(make_one_node(13, "Relu", "x", "W"), NM_E_FORMAT,
                   "tensor 'W' is defined twice (bytes ");
    assert_refused(make_one_node(13, "Relu", "x", "x"), NM_E_FORMAT, "'x' is defined twice");
    assert_refused(make_one_node(13, "Relu", "W", "y"), NM_E_FORMAT, "is a constant");
    assert_refused(make_one_node(13, "MatMul", "W,W", "y"), NM_E_UNSUPPORTED,
                   "its input is a constant");
    assert_refused(make_one_node(13, "Relu", "", "y"), NM_E_FORMAT,
                   "Relu with 0 inputs, expected at least 1");
    assert_refused(make_one_node(13, "MatMul", "x,W,W", "y"), NM_E_FORMAT, "MatMul with 3 inputs");
    assert_refused(make_one_node(13, "MatMul", ",W", "y"), NM_E_FORMAT,
                   "input 0 of MatMul is left out");
    assert_refused(make_one_node(13, "Relu", "x", ""), NM_E_FORMAT, "output 'y'");
}

static void unsupported_things_are_refused_by_name(void **state)
{
    maker m;
    size_t node;

    (void)state;
    assert_refused(make_one_node(13, "Det", "x", "y"), NM_E_UNSUPPORTED,
                   "operator 'Det' is not supported, expected one of ");
    assert_refused(make_one_node(6, "Relu", "x", "y"), NM_E_UNSUPPORTED,
                   "operator set version 6, expected 7 to 20");
    assert_refused(make_one_node(21, "Relu", "x", "y"), NM_E_UNSUPPORTED, "version 21");
    assert_refused(make_one_node(13, "", "x", "y"), NM_E_FORMAT, "no operator name");
    m = make_begin(13);
    node = make_node_begin(&m, "Relu", "", "x", "y");
    nm_out_text(&m.out, 7, "com.example");
    nm_out_end(&m.out, node);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    assert_refused(make_end(&m), NM_E_UNSUPPORTED, "foreign domain 'com.example'");
}

static nm_buffer make_relu(const int64_t *in, size_t in_rank, const int64_t *out, size_t out_rank)
{
    maker m = make_begin(13);

    make_node(&m, "Relu", "", "x", "y");
    make_value(&m, 11, "x", in, in_rank);
    make_value(&m, 12, "y", out, out_rank);
    return make_end(&m);
}

static void declared_shapes_are_checked(void **state)
{
    (void)state;
    nm_net_free(load_made(make_relu(DIMS(0, 3), 2, DIMS(0, 3), 2)));
    nm_net_free(load_made(make_relu(DIMS(0, 3), 2, DIMS(1, 0), 2)));
    nm_net_free(load_made(make_relu(DIMS(4, 3), 2, DIMS(4, 3), 2)));
    nm_net_free(load_made(make_relu(DIMS(-1, 3), 2, DIMS(-1, -1), 2)));
    assert_refused(make_relu(DIMS(0, 3), 2, DIMS(0, 9), 2), NM_E_SHAPE,
                   "is declared as -1x9, but computed as 1x3");
    assert_refused(make_relu(DIMS(4, 3), 2, DIMS(1, 3), 2), NM_E_SHAPE, "but computed as 4x3");
    assert_refused(make_relu(DIMS(0, 3), 2, DIMS(3), 1), NM_E_SHAPE, "but computed as 1x3");
    assert_refused(make_relu(DIMS(1, 0), 2, DIMS(1, 3), 2), NM_E_UNSUPPORTED,
                   "extent 'N' of axis 1 is symbolic");
    assert_refused(make_relu(DIMS(1, -3), 2, DIMS(1, 3), 2), NM_E_FORMAT, "extent -3 on axis 1");
    assert_refused(make_relu(NULL, 0, DIMS(1, 3), 2), NM_E_UNSUPPORTED, "no declared axes");
    assert_refused(make_relu(DIMS(1, INT64_C(1) << 40), 2, DIMS(1, 3), 2), NM_E_SHAPE, "too large");
    assert_refused(make_relu(DIMS(1, 1, 1, 1, 1, 1, 1, 1, 3), 9, DIMS(1, 3), 2), NM_E_UNSUPPORTED,
                   "8 axes");
}

/* x W with W a tensor message of the caller's making: extents, type, raw bytes, float_data. */
static nm_buffer make_with_tensor(const int64_t *dims, size_t rank, int64_t type, const void *raw,
                                  size_t n_raw, const float *floats, size_t n_floats)
{
    maker m = make_begin(13);
    size_t mark;

    make_node(&m, "MatMul", "", "x,W", "y");
    mark = nm_out_begin(&m.out, 5);
    for (size_t i = 0; i < rank; i++)
        nm_out_int(&m.out, 1, dims[i]);
    nm_out_int(&m.out, 2, type);
    nm_out_text(&m.out, 8, "W");
    if (raw)
        nm_out_bytes(&m.out, NM_ONNX_RAW_DATA, raw, n_raw);
    if (floats)
        nm_out_packed_floats(&m.out, NM_ONNX_FLOAT_DATA, floats, n_floats);
    nm_out_end(&m.out, mark);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    return make_end(&m);
}

static void tensors_that_do_not_fit_their_data_are_refused(void **state)
{
    const unsigned char raw[24] = {0};
    const float nan_and_inf[4] = {0, 1, (float)NAN, (float)INFINITY};

    (void)state;
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, raw, 12, NULL, 0), NM_E_FORMAT,
                   "holds 3 elements, expected 4 (2x2)");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, raw, 20, NULL, 0), NM_E_FORMAT, "5 elements");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, raw, 15, NULL, 0), NM_E_FORMAT,
                   "expected a multiple of 4");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, NULL, 0, NULL, 0), NM_E_FORMAT,
                   "holds 0 elements");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, raw, 16, nan_and_inf, 4), NM_E_FORMAT,
                   "data in fields 9 and 4");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 7, NULL, 0, nan_and_inf, 4), NM_E_FORMAT,
                   "its data is in field 4, expected field 7 or 9");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 1, NULL, 0, nan_and_inf, 4), NM_E_FORMAT,
                   "element 2 (byte ");
    assert_refused(make_with_tensor(DIMS(-2, -2), 2, 1, raw, 16, NULL, 0), NM_E_FORMAT,
                   "extent -2 on axis 0");
    assert_refused(make_with_tensor(DIMS(2, 0), 2, 1, raw, 0, NULL, 0), NM_E_FORMAT, "extent 0");
    assert_refused(
        make_with_tensor(DIMS(INT64_C(1) << 32, INT64_C(1) << 32), 2, 1, raw, 0, NULL, 0),
        NM_E_SHAPE, "too large");
    assert_refused(make_with_tensor(DIMS(2, INT64_C(1) << 29), 2, 1, raw, 24, NULL, 0), NM_E_FORMAT,
                   "holds 6 elements, expected 1073741824");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 10, raw, 8, NULL, 0), NM_E_UNSUPPORTED,
                   "data type 10 (float16)");
    assert_refused(make_with_tensor(DIMS(2, 2), 2, 77, raw, 8, NULL, 0), NM_E_UNSUPPORTED,
                   "data type 77 (unknown)");
    assert_refused(make_with_tensor(DIMS(1, 1, 1, 1, 1, 1, 1, 2, 2), 9, 1, raw, 16, NULL, 0),
                   NM_E_UNSUPPORTED, "more than 8 axes");
}

static void a_long_chain_does_not_use_our_stack(void **state)
{
    enum { N = 50000 };
    maker m = make_begin(13);
    char in[32], out[32];
    nm_net *net;

    (void)state;
    for (int i = N; i > 0; i--) { /* last node first: the worst case of a recursive sort */
        (void)snprintf(in, sizeof in, i == 1 ? "x" : "v%d", i - 1);
        (void)snprintf(out, sizeof out, i == N ? "y" : "v%d", i);
        make_node(&m, "Relu", "", in, out);
    }
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    net = load_made(make_end(&m));
    assert_int_equal(nm_net_n_ops(net), N);
    nm_net_free(net);
}

static void subgraphs_are_refused_however_deep(void **state)
{
    enum { DEPTH = 3000 };
    maker m = make_begin(13);
    size_t marks[3 * DEPTH];

    (void)state;
    for (int i = 0; i < DEPTH; i++) {
        marks[3 * i] = make_node_begin(&m, "If", "", "x", "y");
        marks[3 * i + 1] = nm_out_begin(&m.out, 5);
        marks[3 * i + 2] = nm_out_begin(&m.out, 6);
    }
    for (int i = 3 * DEPTH - 1; i >= 0; i--)
        nm_out_end(&m.out, marks[i]);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    assert_refused(make_end(&m), NM_E_UNSUPPORTED, "subgraphs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul_and_add_become_one_layer_named_by_the_matmul),
        cmocka_unit_test(initializers_among_the_inputs_are_no_inputs),
        cmocka_unit_test(weights_in_constant_nodes_can_be_edited),
        cmocka_unit_test(constants_given_as_plain_numbers_are_read_but_locked),
        cmocka_unit_test(a_shared_initializer_locks_all_its_layers),
        cmocka_unit_test(a_bias_or_weight_with_a_folded_reader_is_locked),
        cmocka_unit_test(a_product_with_two_readers_stays_a_product),
        cmocka_unit_test(shapes_computed_in_the_graph_become_constants),
        cmocka_unit_test(a_small_file_does_not_fold_into_a_large_constant),
        cmocka_unit_test(huge_integers_still_mean_to_the_end),
        cmocka_unit_test(second_outputs_are_refused_only_when_read),
        cmocka_unit_test(nodes_in_any_order_are_sorted),
        cmocka_unit_test(graphs_that_make_no_sense_are_refused),
        cmocka_unit_test(unsupported_things_are_refused_by_name),
        cmocka_unit_test(declared_shapes_are_checked),
        cmocka_unit_test(tensors_that_do_not_fit_their_data_are_refused),
        cmocka_unit_test(a_long_chain_does_not_use_our_stack),
        cmocka_unit_test(subgraphs_are_refused_however_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
