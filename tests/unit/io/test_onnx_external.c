#include "make_onnx.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* A folder of its own under /tmp with model.onnx and weights.bin (8 bytes, then the weights). */
typedef struct place {
    char folder[64], model[96], weights[96];
} place;

static int make_place(void **state)
{
    static place p;
    nm_err err = {0};
    float weights[6] = {0, 0, 1, 2, 3, 4};

    (void)snprintf(p.folder, sizeof p.folder, "/tmp/nm-external-XXXXXX");
    if (!mkdtemp(p.folder))
        return 1;
    (void)snprintf(p.model, sizeof p.model, "%s/model.onnx", p.folder);
    (void)snprintf(p.weights, sizeof p.weights, "%s/weights.bin", p.folder);
    *state = &p;
    return (int)nm_file_write(p.weights, weights, sizeof weights, &err);
}

static int remove_place(void **state)
{
    const place *p = *state;
    char link[96];

    (void)snprintf(link, sizeof link, "%s/link", p->folder);
    (void)unlink(link);
    (void)unlink(p->model);
    (void)unlink(p->weights);
    return rmdir(p->folder);
}

static void make_entry(maker *m, const char *key, const char *value)
{
    size_t mark = nm_out_begin(&m->out, 13);

    nm_out_text(&m->out, 1, key);
    nm_out_text(&m->out, 2, value);
    nm_out_end(&m->out, mark);
}

/* Writes a model with a 2x2 external weight; NULL entries are left out. */
static void write_model(const place *p, const char *location, const char *offset,
                        const char *length)
{
    maker m = make_begin(13);
    nm_buffer bytes;
    nm_err err = {0};
    size_t mark;

    make_node(&m, "MatMul", "only", "x,W", "y");
    mark = nm_out_begin(&m.out, 5);
    nm_out_int(&m.out, 1, 2);
    nm_out_int(&m.out, 1, 2);
    nm_out_int(&m.out, 2, NM_ONNX_FLOAT);
    nm_out_text(&m.out, 8, "W");
    if (location)
        make_entry(&m, "location", location);
    if (offset)
        make_entry(&m, "offset", offset);
    if (length)
        make_entry(&m, "length", length);
    nm_out_int(&m.out, 14, 1);
    nm_out_end(&m.out, mark);
    make_input(&m, "x", 0, 2);
    make_output(&m, "y", 0, 2);
    bytes = make_end(&m);
    nm_assert_ok(nm_file_write(p->model, bytes.data, bytes.n_bytes, &err), &err);
    nm_buffer_free(&bytes);
}

static nm_status load(const place *p, nm_net **net, nm_err *err)
{
    nm_ctx *ctx;
    nm_status rc;

    nm_assert_ok(nm_ctx_new(&ctx, err), err);
    rc = nm_net_load(ctx, p->model, net, err);
    nm_ctx_free(ctx);
    return rc;
}

static void assert_no_load(const place *p, const char *part)
{
    nm_err err = {0};
    nm_net *net;

    assert_int_not_equal(load(p, &net, &err), NM_OK);
    if (!strstr(err.text, part) || !strstr(err.text, "model.onnx: tensor 'W' (byte "))
        fail_msg("got \"%s\", want \"...%s...\"", err.text, part);
}

static void weights_beside_the_model_are_read_but_locked(void **state)
{
    const place *p = *state;
    nm_layer_info info;
    nm_net *net;
    nm_err err = {0};
    nm_buffer out;
    double got[4];

    write_model(p, "weights.bin", "8", "16");
    nm_assert_ok(load(p, &net, &err), &err);
    nm_assert_ok(nm_net_get_layer(net, 0, false, got, &err), &err);
    nm_assert_close(got, (const double[]){1, 2, 3, 4}, 4, 0, 0);
    nm_assert_ok(nm_net_layer_info(net, 0, &info, &err), &err);
    assert_non_null(info.locked);
    assert_int_equal(nm_net_to_memory(net, NM_FORMAT_ONNX, &out, &err), NM_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "outside its file"));
    err = (nm_err){0};
    nm_assert_ok(nm_net_to_memory(net, NM_FORMAT_NNET, &out, &err), &err);
    nm_buffer_free(&out);
    nm_net_free(net);
}

static void ranges_outside_the_file_are_refused(void **state)
{
    const place *p = *state;

    write_model(p, "weights.bin", "9", "16");
    assert_no_load(p, "has 24 bytes, expected 16 from byte 9 on");
    write_model(p, "weights.bin", "18446744073709551608", "16");
    assert_no_load(p, "from byte 18446744073709551608 on");
    write_model(p, "weights.bin", "18446744073709551616", "16");
    assert_no_load(p, "expected a number below 2^64");
    write_model(p, "weights.bin", "-8", NULL);
    assert_no_load(p, "the offset of its external data is '-8'");
    write_model(p, "weights.bin", NULL, "12");
    assert_no_load(p, "has length 12, expected 16");
    write_model(p, NULL, NULL, NULL);
    assert_no_load(p, "no location is given");
}

static void files_outside_the_folder_are_refused(void **state)
{
    const place *p = *state;
    char link[96];

    write_model(p, "/etc/passwd", NULL, NULL);
    assert_no_load(p, "lies outside the model's folder");
    write_model(p, "../passwd", NULL, NULL);
    assert_no_load(p, "lies outside the model's folder");
    write_model(p, "a/../../passwd", NULL, NULL);
    assert_no_load(p, "lies outside the model's folder");
    (void)snprintf(link, sizeof link, "%s/link", p->folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    write_model(p, "link", NULL, NULL);
    assert_no_load(p, "lies outside the model's folder");
    write_model(p, ".", NULL, NULL);
    assert_no_load(p, "external data '.'");
    write_model(p, "none.bin", NULL, NULL);
    assert_no_load(p, "cannot open its external data 'none.bin': No such file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(weights_beside_the_model_are_read_but_locked, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(ranges_outside_the_file_are_refused, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(files_outside_the_folder_are_refused, make_place,
                                        remove_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
