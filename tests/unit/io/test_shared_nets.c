/* Every network of the shared data is read, and computes what others say it computes. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/net_file.h"

static nm_ctx *ctx;

static int make_ctx(void **state)
{
    (void)state;
    return (int)nm_ctx_new(&ctx, NULL);
}

static int free_ctx(void **state)
{
    (void)state;
    nm_ctx_free(ctx);
    return 0;
}

static nm_net *load(const char *relative)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_load(ctx, nm_shared(relative), &net, &err), &err);
    return net;
}

static void *zeroed(size_t n, size_t size)
{
    void *room;

    assert_int_equal(nm_alloc(&room, n, size, NULL), NM_OK);
    return room;
}

/* The whole file, gzip inflated; free with nm_buffer_free(). */
static nm_buffer bytes_of(const char *relative)
{
    nm_buffer bytes;
    nm_err err = {0};

    nm_assert_ok(nm_file_read_gz(nm_shared(relative), 1u << 28, &bytes, &err), &err);
    return bytes;
}

/* Elements of a little-endian .npy file: 10 bytes, then a header of the length they end with. */
static const void *npy_data(const nm_buffer *file)
{
    return file->data + 10 + file->data[8] + 256 * file->data[9];
}

static int argmax(const float *y, int n)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (y[i] > y[best])
            best = i;
    return best;
}

static void forward(const nm_net *net, const float *x, int64_t n, float *y)
{
    nm_err err = {0};

    nm_assert_ok(nm_net_forward_f32(ctx, net, x, n, y, &err), &err);
}

/* Saving what was read gives the same bytes. */
static void assert_writes_back(const nm_net *net, const char *relative)
{
    nm_buffer file = bytes_of(relative), out;
    nm_err err = {0};

    nm_assert_ok(nm_net_to_memory(net, NM_FORMAT_ONNX, &out, &err), &err);
    assert_int_equal(out.n_bytes, file.n_bytes);
    assert_memory_equal(out.data, file.data, file.n_bytes);
    nm_buffer_free(&file);
    nm_buffer_free(&out);
}

/* -- CIFAR-10 ---------------------------------------------------------------------------- */

static void check_cifar10(const char *name, int n_layers, const double *mean, const double *std)
{
    enum { N = 16, SIZE = 3072 };
    char relative[128];
    nm_buffer images = bytes_of("cifar10/test_batch.bin"), expected;
    float *x = zeroed(N * SIZE, sizeof *x), y[10 * N];
    nm_net *net;

    for (int i = 0; i < N * SIZE; i++) {
        int channel = i % SIZE / 1024;
        double pixel = images.data[i / SIZE * (SIZE + 1) + 1 + i % SIZE] / 255.0;

        x[i] = (float)((pixel - mean[channel]) / std[channel]);
    }
    (void)snprintf(relative, sizeof relative, "cifar10/%s.expected_logits.npy", name);
    expected = bytes_of(relative);
    (void)snprintf(relative, sizeof relative, "cifar10/%s.onnx", name);
    net = load(relative);
    assert_int_equal(nm_net_n_layers(net), n_layers);
    assert_true(net->batch_symbolic);
    forward(net, x, N, y);
    nm_assert_close_f32(y, npy_data(&expected), 10 * N, 1e-4, 1e-5);
    assert_writes_back(net, relative);
    nm_net_free(net);
    nm_free(x);
    nm_buffer_free(&images);
    nm_buffer_free(&expected);
}

static const double no_mean[3] = {0, 0, 0}, no_std[3] = {1, 1, 1};
static const double cifar_mean[3] = {0.4914, 0.4822, 0.4465},
                    cifar_std[3] = {0.247, 0.2435, 0.2616};

static void the_alexnet_gives_the_expected_logits(void **state)
{
    (void)state;
    check_cifar10("alexnet_cifar10", 8, no_mean, no_std);
}

static void the_small_cnn_gives_the_expected_logits(void **state)
{
    (void)state;
    check_cifar10("small_cnn_cifar10", 4, cifar_mean, cifar_std);
}

/* 9 convolutions and 2 dense layers; the batch normalisations of the first form are layers too. */
static void both_residual_nets_give_the_expected_logits(void **state)
{
    (void)state;
    check_cifar10("resnet_tiny_cifar10_folded", 11, cifar_mean, cifar_std);
    check_cifar10("resnet_tiny_cifar10", 20, cifar_mean, cifar_std);
}

/* -- moons and MNIST --------------------------------------------------------------------- */

static void the_moons_network_gets_281_of_300(void **state)
{
    nm_buffer x = bytes_of("moons/x_all.npy"), labels = bytes_of("moons/y_all.npy");
    nm_net *net = load("moons/moons_mlp.onnx");
    float y[600];
    int64_t label;
    int right = 0;

    (void)state;
    forward(net, npy_data(&x), 300, y);
    for (int i = 0; i < 300; i++) {
        memcpy(&label, (const int64_t *)npy_data(&labels) + i, sizeof label);
        right += argmax(y + 2 * i, 2) == label;
    }
    assert_int_equal(right, 281);
    assert_int_equal(nm_net_n_params(net), 4354);
    assert_writes_back(net, "moons/moons_mlp.onnx");
    nm_net_free(net);
    nm_buffer_free(&x);
    nm_buffer_free(&labels);
}

static int n_wrong_fog(const char *relative, int n)
{
    nm_buffer images = bytes_of("mnist/t10k-fog-images-idx3-ubyte.gz");
    nm_buffer labels = bytes_of("mnist/t10k-labels-idx1-ubyte.gz");
    nm_net *net = load(relative);
    float *x = zeroed((size_t)n * 784, sizeof *x), *y = zeroed((size_t)n * 10, sizeof *y);
    int wrong = 0;

    for (int i = 0; i < n * 784; i++)
        x[i] = (float)(images.data[16 + i] / 255.0);
    forward(net, x, n, y);
    for (int i = 0; i < n; i++)
        wrong += argmax(y + 10 * i, 10) != labels.data[8 + i];
    assert_writes_back(net, relative);
    nm_net_free(net);
    nm_free(x);
    nm_free(y);
    nm_buffer_free(&images);
    nm_buffer_free(&labels);
    return wrong;
}

static void the_foggy_digits_are_misread_as_published(void **state)
{
    (void)state;
    assert_int_equal(n_wrong_fog("aprnn/mnist_relu_3_100.onnx", 1000), 824);
    assert_int_equal(n_wrong_fog("aprnn/mnist_hardswish_3_100.onnx", 1000), 871);
    assert_int_equal(n_wrong_fog("aprnn/mnist_gelu_3_100.onnx", 1000), 802);
}

static void the_two_forms_of_acas_2_9_agree(void **state)
{
    nm_net *onnx = load("aprnn/acasxu_2_9.onnx"), *other;
    const float x[10] = {0.1f, -0.2f, 0.3f, 0.05f, -0.45f, 0.6f, 0, 0.5f, 0.45f, -0.45f};
    float y[10], want[10];

    (void)state;
    other = load("acasxu/onnx/ACASXU_run2a_2_9_batch_2000.onnx");
    forward(onnx, x, 2, y);
    forward(other, x, 2, want);
    nm_assert_close_f32(y, want, 10, 1e-4, 1e-5);
    nm_net_free(other);
    other = load("aprnn/ACASXU_run2a_2_9_batch_2000.nnet");
    assert_int_equal(nm_net_n_layers(other), 7);
    nm_net_free(onnx);
    nm_net_free(other);
}

/* -- counterexamples: inputs with the outputs that another runtime computed -------------- */

/* Reads "(X_3 0.5)" and "(Y_0 -0.02)" in order. */
static void read_counterexample(char *text, float *x, int64_t n_in, float *y, int64_t n_out)
{
    int64_t n_x = 0, n_y = 0;

    for (char *at = strpbrk(text, "XY"); at; at = strpbrk(at + 1, "XY")) {
        float value = strtof(strchr(at, ' '), NULL);

        if (*at == 'X' && n_x < n_in)
            x[n_x++] = value;
        else if (*at == 'Y' && n_y < n_out)
            y[n_y++] = value;
    }
    assert_true(n_x == n_in && n_y == n_out);
}

static void check_counterexample(const char *model, const char *relative)
{
    nm_net *net = load(model);
    nm_buffer text = bytes_of(relative);
    int64_t n_in = nm_net_n_in(net), n_out = nm_net_n_out(net);
    float *x = zeroed((size_t)n_in, sizeof *x), *want = zeroed((size_t)n_out, sizeof *want);
    float *y = zeroed((size_t)n_out, sizeof *y);

    read_counterexample((char *)text.data, x, n_in, want, n_out);
    forward(net, x, 1, y);
    nm_assert_close_f32(y, want, (size_t)n_out, 1e-4, 2e-6);
    assert_writes_back(net, model);
    nm_net_free(net);
    nm_buffer_free(&text);
    nm_free(x);
    nm_free(y);
    nm_free(want);
}

static void outputs_at_published_counterexamples_agree(void **state)
{
    static const char *const pairs[][2] = {
        {"mnistfc/onnx/mnist-net_256x2.onnx", "mnistfc/cex/mnist-net_256x2__prop_1_0.05.cex"},
        {"mnistfc/onnx/mnist-net_256x2.onnx", "mnistfc/cex/mnist-net_256x2__prop_7_0.03.cex"},
        {"mnistfc/onnx/mnist-net_256x4.onnx", "mnistfc/cex/mnist-net_256x4__prop_2_0.03.cex"},
        {"mnistfc/onnx/mnist-net_256x4.onnx", "mnistfc/cex/mnist-net_256x4__prop_3_0.05.cex"},
        {"cifar_verif/onnx/cifar10_small.onnx",
         "cifar_verif/cex/"
         "cifar10_small__networkcifar10_small_index8498_eps0.012_target2_orig1.cex"},
        {"cifar_verif/onnx/cifar_base_kw.onnx",
         "cifar_verif/cex/cifar_base_kw__cifar_base_kw-img1697-eps0.0014379084967320263.cex"},
        {"acasxu/onnx/ACASXU_run2a_1_9_batch_2000.onnx",
         "acasxu/cex/ACASXU_run2a_1_9_batch_2000__prop_3.cex"},
        {"acasxu/onnx/ACASXU_run2a_1_9_batch_2000.onnx",
         "acasxu/cex/ACASXU_run2a_1_9_batch_2000__prop_7.cex"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        check_counterexample(pairs[i][0], pairs[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alexnet_gives_the_expected_logits),
        cmocka_unit_test(the_small_cnn_gives_the_expected_logits),
        cmocka_unit_test(both_residual_nets_give_the_expected_logits),
        cmocka_unit_test(the_moons_network_gets_281_of_300),
        cmocka_unit_test(the_foggy_digits_are_misread_as_published),
        cmocka_unit_test(the_two_forms_of_acas_2_9_agree),
        cmocka_unit_test(outputs_at_published_counterexamples_agree),
    };

    return cmocka_run_group_tests(tests, make_ctx, free_ctx);
}
