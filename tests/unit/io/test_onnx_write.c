#include "make_onnx.h"

/* The bytes a net is written as; free with nm_buffer_free(). */
static nm_buffer written(const nm_net *net)
{
    nm_err err = {0};
    nm_buffer out;

    nm_assert_ok(nm_net_to_memory(net, NM_FORMAT_ONNX, &out, &err), &err);
    return out;
}

static void assert_same_bytes(const nm_buffer *a, const nm_buffer *b)
{
    assert_int_equal(a->n_bytes, b->n_bytes);
    assert_memory_equal(a->data, b->data, a->n_bytes);
}

static size_t n_different(const nm_buffer *a, const nm_buffer *b)
{
    size_t n = 0;

    assert_int_equal(a->n_bytes, b->n_bytes);
    for (size_t i = 0; i < a->n_bytes; i++)
        n += a->data[i] != b->data[i];
    return n;
}

static void a_net_without_edits_is_written_as_the_same_bytes(void **state)
{
    (void)state;
    for (storage how = RAW; how <= UNPACKED; how++) {
        nm_buffer bytes = make_tiny(how), copy = bytes, out;
        nm_net *net;
        nm_err err = {0};

        nm_assert_ok(load_bytes(&copy, &net, &err), &err);
        out = written(net);
        assert_same_bytes(&bytes, &out);
        nm_net_free(net);
        nm_buffer_free(&bytes);
        nm_buffer_free(&out);
    }
}

static void an_edit_changes_the_bytes_of_its_tensor_only(void **state)
{
    (void)state;
    for (storage how = RAW; how <= UNPACKED; how++) {
        const double values[6] = {0.5, -1, 2.5, 0.75, -0.375, -0.0};
        nm_buffer bytes = make_tiny(how), out;
        nm_net *net, *back;
        nm_err err = {0};
        double got[6];

        nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
        nm_assert_ok(nm_net_set_layer(net, 1, false, values, &err), &err);
        out = written(net);
        /* 2 -> 2.5 changes one byte of a float32, 3 -> -0 changes two. */
        assert_int_equal(n_different(&bytes, &out), 3);
        back = load_made(out);
        nm_assert_ok(nm_net_get_layer(back, 1, false, got, &err), &err);
        for (int i = 0; i < 6; i++)
            assert_true(memcmp(&got[i], &values[i], sizeof got[i]) == 0);
        nm_assert_ok(nm_net_get_layer(back, 0, false, got, &err), &err);
        for (int i = 0; i < 6; i++)
            assert_true(got[i] == (double)tiny_a_weight[i]);
        nm_net_free(net);
        nm_net_free(back);
        nm_buffer_free(&bytes);
    }
}

static void a_clone_is_written_with_its_own_edits(void **state)
{
    const double values[2] = {5, 6};
    nm_buffer bytes = make_tiny(RAW), of_net, of_clone;
    nm_net *net, *clone;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
    nm_assert_ok(nm_net_clone(net, &clone, &err), &err);
    nm_assert_ok(nm_net_set_layer(clone, 1, true, values, &err), &err);
    of_net = written(net);
    nm_net_free(net);
    of_clone = written(clone);
    nm_net_free(clone);
    assert_same_bytes(&bytes, &of_net);
    assert_true(n_different(&bytes, &of_clone) > 0);
    nm_buffer_free(&bytes);
    nm_buffer_free(&of_net);
    nm_buffer_free(&of_clone);
}

static void float64_tensors_keep_their_precision(void **state)
{
    const double weights[2] = {0.1, 1.0 / 3}, edited[2] = {0.1, 2.0 / 3};
    nm_buffer bytes, out;
    nm_net *net, *back;
    nm_err err = {0};
    double got[2];
    maker m = make_begin(13);

    (void)state;
    make_node(&m, "MatMul", "only", "x,W", "y");
    make_doubles(&m, "W", DIMS(2, 1), 2, weights, 2);
    make_input(&m, "x", 1, 2);
    make_output(&m, "y", 1, 1);
    bytes = make_end(&m);
    nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
    out = written(net);
    assert_same_bytes(&bytes, &out);
    nm_buffer_free(&out);
    nm_assert_ok(nm_net_set_layer(net, 0, false, edited, &err), &err);
    back = load_made(written(net));
    nm_assert_ok(nm_net_get_layer(back, 0, false, got, &err), &err);
    assert_true(got[0] == edited[0] && got[1] == edited[1]);
    nm_net_free(net);
    nm_net_free(back);
    nm_buffer_free(&bytes);
}

static void files_are_written_whole_and_read_back(void **state)
{
    const char *path = nm_temp_path(".onnx");
    nm_net *net = load_made(make_tiny(PACKED)), *back;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_save(ctx, net, path, &err), &err);
    nm_assert_ok(nm_net_load(ctx, path, &back, &err), &err);
    assert_int_equal(nm_net_n_layers(back), 2);
    assert_int_equal(nm_net_save(ctx, net, "/tmp/model.h5", &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "model.h5"));
    err = (nm_err){0};
    assert_int_equal(nm_net_save(ctx, net, "/nonexistent/model.onnx", &err), NM_E_IO);
    nm_net_free(net);
    nm_net_free(back);
    nm_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_net_without_edits_is_written_as_the_same_bytes),
        cmocka_unit_test(an_edit_changes_the_bytes_of_its_tensor_only),
        cmocka_unit_test(a_clone_is_written_with_its_own_edits),
        cmocka_unit_test(float64_tensors_keep_their_precision),
        cmocka_unit_test(files_are_written_whole_and_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
