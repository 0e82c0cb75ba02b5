/* Every allocation of reading and writing a network fails once: an error, no leak, no crash. */
#include "make_onnx.h"

/* Runs the call with the 1st, 2nd, ... allocation failing until it succeeds.
   @return how many allocations it makes */
static int fail_each(nm_status (*call)(const void *user, nm_err *err), const void *user)
{
    for (int n = 1;; n++) {
        nm_err err = {0};
        nm_status rc;

        nm_mem_fail_at(n);
        rc = call(user, &err);
        nm_mem_fail_at(0);
        if (rc == NM_OK)
            return n - 1;
        assert_int_equal(rc, NM_E_NOMEM);
        assert_non_null(strstr(err.text, "memory"));
        assert_true(n < 100000);
    }
}

static nm_status read_onnx(const void *user, nm_err *err)
{
    nm_net *net;
    nm_status rc = load_bytes(user, &net, err);

    nm_net_free(net);
    return rc;
}

static nm_status read_nnet(const void *user, nm_err *err)
{
    const nm_buffer *text = user;
    nm_net *net;
    nm_status rc = nm_net_from_memory(text->data, text->n_bytes, NM_FORMAT_NNET, NULL, &net, err);

    nm_net_free(net);
    return rc;
}

static nm_status write_onnx(const void *net, nm_err *err)
{
    nm_buffer out;
    nm_status rc = nm_net_to_memory(net, NM_FORMAT_ONNX, &out, err);

    nm_buffer_free(&out);
    return rc;
}

static nm_status write_nnet(const void *net, nm_err *err)
{
    nm_buffer out;
    nm_status rc = nm_net_to_memory(net, NM_FORMAT_NNET, &out, err);

    nm_buffer_free(&out);
    return rc;
}

static void reading_and_writing_onnx_survive_failed_allocations(void **state)
{
    nm_buffer bytes = make_tiny(UNPACKED);
    nm_net *net;
    nm_err err = {0};

    (void)state;
    assert_true(fail_each(read_onnx, &bytes) > 20);
    nm_assert_ok(load_bytes(&bytes, &net, &err), &err);
    assert_true(fail_each(write_onnx, net) >= 1);
    nm_net_free(net);
    nm_buffer_free(&bytes);
}

/* With folding: the weights are the negative of an initializer. */
static void folding_survives_failed_allocations(void **state)
{
    nm_buffer bytes;
    maker m = make_begin(13);

    (void)state;
    make_node(&m, "Neg", "", "W", "minus");
    make_node(&m, "MatMul", "", "x,minus", "y");
    make_floats(&m, 5, "W", DIMS(2, 2), 2, FLOATS(1, 2, 3, 4), RAW);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    bytes = make_end(&m);
    assert_true(fail_each(read_onnx, &bytes) > 10);
    nm_buffer_free(&bytes);
}

static void nnet_and_export_survive_failed_allocations(void **state)
{
    const char text[] = "2,2,1,2,\n2,2,1,\n0,\n-1,-1,\n1,1,\n1,2,3,\n2,2,2,\n1,2,\n3,4,\n0,\n0,\n"
                        "1,1,\n5,\n";
    nm_buffer file = {.data = (unsigned char *)(uintptr_t)text, .n_bytes = sizeof text - 1};
    nm_net *net;
    nm_err err = {0};

    (void)state;
    assert_true(fail_each(read_nnet, &file) > 20);
    nm_assert_ok(nm_net_from_memory(file.data, file.n_bytes, NM_FORMAT_NNET, NULL, &net, &err),
                 &err);
    assert_true(fail_each(write_nnet, net) >= 2);
    assert_true(fail_each(write_onnx, net) >= 2);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_and_writing_onnx_survive_failed_allocations),
        cmocka_unit_test(folding_survives_failed_allocations),
        cmocka_unit_test(nnet_and_export_survive_failed_allocations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
