#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/net_file.h"
#include "net/op/dense.h"

/* 2-3-2 with input means 1, 2, ranges 4, 8; outputs times 16 plus 32. */
static const char small_text[] = "// a comment\r\n"
                                 "// another\r\n"
                                 "2,2,2,3,\r\n"
                                 "2,3,2,\r\n"
                                 "0,\r\n"
                                 "-1.5,-2.5\r\n"
                                 "1,2.1,\r\n"
                                 "1,2,32,\r\n"
                                 "4,8,16,\r\n"
                                 "1,0,\r\n"
                                 "0,1,\r\n"
                                 "-1,0.1,\r\n"
                                 "0.5,\r\n"
                                 "-0.25\r\n"
                                 "1e-1,\r\n"
                                 "1,2,3,\r\n"
                                 "4,5,6,\r\n"
                                 "0.125,\r\n"
                                 "0,";

static nm_net *from_text(const char *text)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_from_memory((const unsigned char *)text, strlen(text), NM_FORMAT_NNET, NULL,
                                    &net, &err),
                 &err);
    return net;
}

static nm_buffer to_bytes(const nm_net *net, nm_format format)
{
    nm_buffer out;
    nm_err err = {0};

    nm_assert_ok(nm_net_to_memory(net, format, &out, &err), &err);
    return out;
}

/* Writes a net in a format, reads that back, frees what was written. */
static nm_net *through(const nm_net *net, nm_format format)
{
    nm_buffer bytes = to_bytes(net, format);
    nm_net *back;
    nm_err err = {0};

    nm_assert_ok(nm_net_from_memory(bytes.data, bytes.n_bytes, format, NULL, &back, &err), &err);
    nm_buffer_free(&bytes);
    return back;
}

static nm_net *load(const char *path)
{
    nm_ctx *ctx;
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_load(ctx, path, &net, &err), &err);
    nm_ctx_free(ctx);
    return net;
}

static void forward(const nm_net *net, const float *x, int64_t n, float *y)
{
    nm_ctx *ctx;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_forward_f32(ctx, net, x, n, y, &err), &err);
    nm_ctx_free(ctx);
}

/* Weight from input j to neuron i, whichever way the layer stores them. */
static float weight_at(const nm_net *net, int layer, int64_t i, int64_t j)
{
    const nm_tensor *weights = net->values[net->layers[layer].weight].constant;
    const nm_dense_attr *attr = net->ops[net->layers[layer].op].attr;

    return weights
        ->f32[attr->trans_b ? i * weights->shape.dim[1] + j : j * weights->shape.dim[1] + i];
}

static void assert_same_layers(const nm_net *a, const nm_net *b)
{
    assert_int_equal(a->n_layers, b->n_layers);
    for (int k = 0; k < a->n_layers; k++) {
        int64_t n_out = a->layers[k].n_biases, n_in = a->layers[k].n_weights / n_out;

        assert_int_equal(a->layers[k].n_weights, b->layers[k].n_weights);
        assert_int_equal(a->layers[k].n_biases, b->layers[k].n_biases);
        for (int64_t i = 0; i < n_out; i++)
            for (int64_t j = 0; j < n_in; j++) {
                float wa = weight_at(a, k, i, j), wb = weight_at(b, k, i, j);

                assert_memory_equal(&wa, &wb, sizeof wa);
            }
        assert_memory_equal(a->values[a->layers[k].bias].constant->f32,
                            b->values[b->layers[k].bias].constant->f32,
                            (size_t)n_out * sizeof(float));
    }
}

static void raw_values_go_in_and_come_out(void **state)
{
    const double x[2] = {3, -6};
    double y[2], want[2], z0, z1, r[3];
    nm_net *net = from_text(small_text);
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    z0 = (x[0] - 1) / 4;
    z1 = (x[1] - 2) / 8;
    r[0] = z0 + 0.5;
    r[1] = z1 - 0.25 > 0 ? z1 - 0.25 : 0;
    r[2] = -z0 + (double)0.1f * z1 + (double)0.1f;
    r[2] = r[2] > 0 ? r[2] : 0;
    want[0] = 16 * (r[0] + 2 * r[1] + 3 * r[2] + 0.125) + 32;
    want[1] = 16 * (4 * r[0] + 5 * r[1] + 6 * r[2]) + 32;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_forward_f64(ctx, net, x, 1, y, &err), &err);
    nm_assert_close(y, want, 2, 1e-14, 0);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void what_is_written_is_what_was_read(void **state)
{
    nm_net *net = from_text(small_text), *back = through(net, NM_FORMAT_NNET);
    nm_buffer once = to_bytes(net, NM_FORMAT_NNET), twice = to_bytes(back, NM_FORMAT_NNET);

    (void)state;
    assert_same_layers(net, back);
    assert_int_equal(once.n_bytes, twice.n_bytes);
    assert_memory_equal(once.data, twice.data, once.n_bytes);
    assert_memory_equal(once.data, small_text, strlen("// a comment\r\n// another\r\n"));
    assert_non_null(strstr((const char *)once.data, "\n-1.5,-2.5,\n1,2.1,\n1,2,32,\n4,8,16,\n"));
    nm_net_free(net);
    nm_net_free(back);
    nm_buffer_free(&once);
    nm_buffer_free(&twice);
}

/* A 3-4-2 net with weights of all magnitudes, no normalisation. */
static void random_weights_survive_every_conversion(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        char text[4096] = "2,3,2,4,\n3,4,2,\n0,\n-1,-1,-1,\n1,1,1,\n0,0,0,0,\n1,1,1,1,\n";
        nm_rng rng = {.seed = seed};
        nm_net *net, *onnx, *back;
        const float x[6] = {1, -2, 0.5f, 3, 0.25f, -1};
        float y[4], y_onnx[4], y_back[4];

        for (int row = 0; row < 4 + 4 + 2 + 2; row++) {
            int n = row < 4 ? 3 : row < 8 ? 1 : row < 10 ? 4 : 1;

            for (int i = 0; i < n; i++)
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.17g,",
                               nm_rng_normal(&rng) * pow(10, 8 * nm_rng_uniform(&rng) - 4));
            (void)strcat(text, "\n");
        }
        net = from_text(text);
        onnx = through(net, NM_FORMAT_ONNX);
        back = through(onnx, NM_FORMAT_NNET);
        assert_same_layers(net, onnx);
        assert_same_layers(net, back);
        forward(net, x, 2, y);
        forward(onnx, x, 2, y_onnx);
        forward(back, x, 2, y_back);
        assert_memory_equal(y, y_onnx, sizeof y);
        assert_memory_equal(y, y_back, sizeof y);
        nm_net_free(net);
        nm_net_free(onnx);
        nm_net_free(back);
    }
}

static void normalisation_survives_the_way_through_onnx(void **state)
{
    const float x[4] = {3, -6, 0.5f, 7};
    float want[4], got[4];
    nm_net *net = from_text(small_text), *onnx = through(net, NM_FORMAT_ONNX);
    nm_net *back = through(onnx, NM_FORMAT_NNET);
    nm_buffer text = to_bytes(back, NM_FORMAT_NNET);

    (void)state;
    forward(net, x, 2, want);
    forward(onnx, x, 2, got);
    assert_memory_equal(got, want, sizeof want);
    forward(back, x, 2, got);
    assert_memory_equal(got, want, sizeof want);
    assert_non_null(strstr((const char *)text.data, "\n1,2,32,\n4,8,16,\n"));
    nm_buffer_free(&text);
    nm_net_free(net);
    nm_net_free(onnx);
    nm_net_free(back);
}

static void the_locale_of_the_program_does_not_matter(void **state)
{
    nm_net *net, *in_locale;
    nm_buffer plain, with_locale;

    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "de_DE"))
        skip();
    in_locale = from_text(small_text);
    with_locale = to_bytes(in_locale, NM_FORMAT_NNET);
    (void)setlocale(LC_ALL, "C");
    net = from_text(small_text);
    plain = to_bytes(net, NM_FORMAT_NNET);
    assert_int_equal(plain.n_bytes, with_locale.n_bytes);
    assert_memory_equal(plain.data, with_locale.data, plain.n_bytes);
    nm_net_free(net);
    nm_net_free(in_locale);
    nm_buffer_free(&plain);
    nm_buffer_free(&with_locale);
}

/* ACAS Xu: the .nnet takes raw inputs and gives raw scores, the ONNX form of the same network takes
   and gives normalised ones (see the README beside the data). */
static void the_two_forms_of_acas_xu_agree(void **state)
{
    static const char *const names[] = {"1_1", "1_9", "2_1", "2_9", "3_3",
                                        "3_7", "4_5", "4_8", "5_3", "5_9"};
    static const double mean[5] = {19791.091, 0, 0, 650, 600};
    static const double range[5] = {60261, 6.28318530718, 6.28318530718, 1100, 1200};
    enum { N = 200 };

    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char relative[128];
        nm_net *nnet, *onnx;
        nm_rng rng = {.seed = 7, .stream = k};
        float raw[5 * N], x[5 * N], y_raw[5 * N], y[5 * N];

        (void)snprintf(relative, sizeof relative, "acasxu/nnet/ACASXU_experimental_v2a_%s.nnet",
                       names[k]);
        nnet = load(nm_shared(relative));
        (void)snprintf(relative, sizeof relative, "acasxu/onnx/ACASXU_run2a_%s_batch_2000.onnx",
                       names[k]);
        onnx = load(nm_shared(relative));
        for (int i = 0; i < 5 * N; i++) {
            x[i] = (float)(nm_rng_uniform(&rng) - 0.5);
            raw[i] = (float)((double)x[i] * range[i % 5] + mean[i % 5]);
        }
        forward(nnet, raw, N, y_raw);
        forward(onnx, x, N, y);
        for (int i = 0; i < 5 * N; i++) {
            double want = (double)y[i] * 373.94992 + 7.518884;

            /* Six digits in the text, and raw inputs rounded to float32. */
            if (!(fabs((double)y_raw[i] - want) <= 0.01 + 1e-4 * fabs(want)))
                fail_msg("%s output %d: %g, want %g", names[k], i, (double)y_raw[i], want);
        }
        nm_net_free(nnet);
        nm_net_free(onnx);
    }
}

static void acas_xu_goes_from_onnx_to_nnet_and_back_unchanged(void **state)
{
    nm_net *net = load(nm_shared("acasxu/onnx/ACASXU_run2a_1_1_batch_2000.onnx"));
    nm_net *nnet = through(net, NM_FORMAT_NNET), *back = through(nnet, NM_FORMAT_ONNX);
    float x[5] = {0.1f, -0.2f, 0.3f, 0.05f, -0.45f}, want[5], got[5];

    (void)state;
    assert_int_equal(nm_net_n_layers(back), 7);
    forward(net, x, 1, want);
    forward(nnet, x, 1, got);
    nm_assert_close_f32(got, want, 5, 1e-6, 1e-7);
    assert_same_layers(net, nnet);
    assert_same_layers(net, back);
    nm_net_free(net);
    nm_net_free(nnet);
    nm_net_free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_values_go_in_and_come_out),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(random_weights_survive_every_conversion),
        cmocka_unit_test(normalisation_survives_the_way_through_onnx),
        cmocka_unit_test(the_locale_of_the_program_does_not_matter),
        cmocka_unit_test(the_two_forms_of_acas_xu_agree),
        cmocka_unit_test(acas_xu_goes_from_onnx_to_nnet_and_back_unchanged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
