/* Float32 evaluations in the ways that runtimes may choose, against the bounds on deviations. */
#include "deploy_support.h"
#include "float_eval.h"

#include "netmend/data.h"

/* -- evaluations that a runtime could choose ----- */

/* Class with the largest score, the target left aside: the other side of the smallest margin. */
static int64_t closest_class(const double *score, int64_t n, int64_t target)
{
    int64_t best = -1;

    for (int64_t j = 0; j < n; j++)
        if (j != target && (best < 0 || score[j] > score[best]))
            best = j;
    return best;
}

/* How far bounds lie above what was seen. */
typedef struct ratios {
    double least, sum;
    int64_t n;
} ratios;

static void note(ratios *r, double bound, double seen)
{
    if (seen == 0)
        return;
    r->least = r->n++ ? fmin(r->least, bound / seen) : bound / seen;
    r->sum += log(bound / seen);
}

/* No evaluation deviates by more than the bound; the bound of the closest class is at most
   margin - slack. The bound that a class was judged by is an upper bound on its own deviation only,
   so the smallest computed margin may fall to the slack, not below. */
static double worst_deviation(const nm_net *net, const float *x, int64_t target,
                              const double *score, const nm_deploy *d, int64_t p, int step)
{
    int64_t n = net->values[net->scores].size, other = closest_class(score, n, target);
    double worst = 0;
    style s;

    for (int i = 0; style_at(i, &s); i += step) {
        float_eval f;
        const float *y;
        double least = (double)INFINITY, off;

        float_eval_open(&f, net, s, (uint64_t)i);
        y = float_eval_run(&f, x);
        off = fabs((double)y[target] - (double)y[other] - (score[target] - score[other]));
        for (int64_t j = 0; j < n; j++)
            if (j != target)
                least = fmin(least, (double)y[target] - (double)y[j]);
        if (!(off <= d->margin[p] - d->slack[p]) || !(least >= fmin(d->slack[p], 0)))
            fail_msg("point %lld, %s: off by %g, least margin %g; bound %g, slack %g", (long long)p,
                     style_text(s), off, least, d->rigorous[p], d->slack[p]);
        worst = fmax(worst, off);
        float_eval_close(&f);
    }
    return worst;
}

static void check_evaluations(const char *name, const nm_net *net, const float *x, int64_t n,
                              int step, double most_ratio)
{
    int64_t n_in = net->values[net->input].size, n_out = net->values[net->scores].size;
    double *scores = calloc((size_t)(n * n_out), sizeof *scores), *x64;
    int64_t *target = calloc((size_t)n, sizeof *target);
    float *y = calloc((size_t)(n * n_out), sizeof *y);
    nm_err err = {0};
    ratios rigorous = {0}, first = {0};
    nm_deploy d;

    x64 = calloc((size_t)(n * n_in), sizeof *x64);
    for (int64_t i = 0; i < n * n_in; i++)
        x64[i] = (double)x[i];
    nm_assert_ok(nm_net_forward_f64(ctx, net, x64, n, scores, &err), &err);
    nm_assert_ok(nm_net_forward_f32(ctx, net, x, n, y, &err), &err);
    for (int64_t p = 0; p < n; p++) /* right for most points, wrong for some */
        target[p] = closest_class(scores + p * n_out, n_out, p % 4 == 3 ? p % n_out : -1);
    d = check(net, x, target, n);
    for (int64_t p = 0; p < n; p++) {
        const double *s = scores + p * n_out;
        int64_t other = closest_class(s, n_out, target[p]);
        double worst = worst_deviation(net, x + p * n_in, target[p], s, &d, p, step);
        double own = (double)y[p * n_out + target[p]] - (double)y[p * n_out + other];

        nm_assert_close(&d.margin[p], &(double){s[target[p]] - s[other]}, 1, 1e-9, 1e-9);
        assert_true(fabs(own - d.margin[p]) <= d.margin[p] - d.slack[p]);
        assert_true(d.safe[p] == (d.margin[p] > 0 && d.slack[p] > 0));
        note(&rigorous, d.rigorous[p], fmax(worst, fabs(own - d.margin[p])));
        note(&first, d.first_order[p], fmax(worst, fabs(own - d.margin[p])));
    }
    print_message("%s: bound / observed: rigorous least %.3g, mean %.3g; first order least %.3g, "
                  "mean %.3g\n",
                  name, rigorous.least, exp(rigorous.sum / (double)rigorous.n), first.least,
                  exp(first.sum / (double)first.n));
    assert_true(rigorous.n == 0 || rigorous.least >= 1);
    if (most_ratio < (double)INFINITY)
        assert_true(rigorous.n > 0 && rigorous.least < most_ratio);
    nm_deploy_clear(&d);
    free(scores);
    free(x64);
    free(target);
    free(y);
}

/* The first n points of a shared file. */
static nm_points load_points(const char *path, const nm_data_opts *opts)
{
    nm_points points;
    nm_err err = {0};

    nm_assert_ok(nm_points_load(ctx, path, NULL, opts, &points, &err), &err);
    return points;
}

static nm_net *load_net(const char *path)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_load(ctx, path, &net, &err), &err);
    return net;
}

static void check_shared(const char *model, const char *data, int64_t first, int64_t last, int step,
                         double most_ratio)
{
    static const double mean[] = {0.4914, 0.4822, 0.4465}, std[] = {0.247, 0.2435, 0.2616};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    const char *model_path = nm_shared(model), *data_path = nm_shared(data);
    nm_net *net = load_net(model_path);
    nm_points points;

    opts.first = first;
    opts.last = last;
    if (strstr(model, "cifar")) {
        opts.mean = mean;
        opts.std = std;
        opts.n_channels = 3;
    }
    points = load_points(data_path, &opts);
    check_evaluations(model, net, points.x, points.n, step, most_ratio);
    nm_points_free(&points);
    nm_net_free(net);
}

static void evaluations_of_moons_stay_within_the_bound(void **state)
{
    (void)state;
    check_shared("moons/moons_mlp.onnx", "moons/x_all.npy", 0, 40, 1, 1e6);
}

static void evaluations_of_mnist_nets_stay_within_the_bound(void **state)
{
    const char *images = "mnist/t10k-fog-images-idx3-ubyte.gz";

    (void)state;
    check_shared("aprnn/mnist_relu_3_100.onnx", images, 0, 6, 3, 1e6);
    check_shared("aprnn/mnist_hardswish_3_100.onnx", images, 0, 4, 5, 1e6);
    check_shared("aprnn/mnist_gelu_3_100.onnx", images, 0, 4, 5, 1e6);
}

static void evaluations_of_image_nets_stay_within_the_bound(void **state)
{
    (void)state;
    check_shared("cifar10/small_cnn_cifar10.onnx", "cifar10/test_batch.bin", 0, 1, 13, 1e9);
    check_shared("cifar10/alexnet_cifar10.onnx", "cifar10/test_batch.bin", 0, 1, 29, 1e6);
    check_shared("cifar10/resnet_tiny_cifar10.onnx", "cifar10/test_batch.bin", 3, 4, 13, 1e12);
}

static void evaluations_of_random_dense_nets_stay_within_the_bound(void **state)
{
    static const char *const activation[] = {"Relu", "HardSwish", "Sigmoid", "Abs"};
    static const int64_t widths[] = {5, 12, 9, 2};
    nm_rng rng = {.seed = 1};
    float x[10 * 5];

    (void)state;
    for (uint64_t i = 0; i < 4; i++) {
        nm_net *net = make_chain(i, activation[i], widths, 3);

        fill_normal(&rng, x, 10 * 5);
        memset(x, 0, 5 * sizeof *x); /* zeros do not count as terms */
        x[5] = -0.0F;
        check_evaluations(activation[i], net, x, 10, 1, 1e6);
        nm_net_free(net);
    }
}

static void evaluations_of_random_residual_nets_stay_within_the_bound(void **state)
{
    nm_rng rng = {.seed = 2};
    float x[3 * 128];

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        nm_net *net = make_residual(seed);

        fill_normal(&rng, x, 3 * 128);
        for (int i = 0; i < 128; i++) /* windows of equal numbers: ties in pools, zeros */
            x[i] = i % 64 < 32 ? 0 : 1;
        check_evaluations("residual", net, x, 3, 1, 1e9);
        nm_net_free(net);
    }
}

/* Gemm with alpha, beta and either layout. */
static void evaluations_of_scaled_layers_stay_within_the_bound(void **state)
{
    nm_rng rng = {.seed = 3};
    float x[6 * 7];

    (void)state;
    for (int variant = 0; variant < 8; variant++) {
        net_maker m = make_net((uint64_t)variant, MAKE_SHAPE(1, 7));
        nm_attr_value attrs[] = {
            {.name = "alpha", .type = NM_ATTR_FLOAT, .f = variant & 1 ? 1e-3 : 1.7},
            {.name = "beta", .type = NM_ATTR_FLOAT, .f = variant & 2 ? -30 : 0.3},
            {.name = "transB", .type = NM_ATTR_INT, .i = variant >> 2}};
        nm_shape w = variant >> 2 ? MAKE_SHAPE(9, 7) : MAKE_SHAPE(7, 9);
        nm_net *net;

        make_op(&m, "Gemm",
                (int[]){m.at, make_constant(&m, w, 0, 1), make_constant(&m, MAKE_SHAPE(9), 0, 1)},
                3, attrs, 3);
        make_unary(&m, "Relu");
        make_dense(&m, 2);
        net = make_done(&m);
        fill_normal(&rng, x, 6 * 7);
        check_evaluations("scaled", net, x, 6, 1, 1e6);
        nm_net_free(net);
    }
}

/* A large bias, or a shift that is folded into the layer before, swallows its small products one by
 * one. */
static void large_shifts_stay_within_the_bound(void **state)
{
    enum { K = 400 };
    float x[4 * K];

    (void)state;
    for (int i = 0; i < 4 * K; i++)
        x[i] = (float)(1 + i / K) / 4;
    for (int variant = 0; variant < 6; variant++) {
        net_maker m = make_net(5, variant < 5 ? MAKE_SHAPE(1, K) : MAKE_SHAPE(1, K, 1, 1));
        nm_net *net;
        int skip = -1;

        if (variant == 2) {
            m.scale = 1e3;
            make_dense(&m, 2);
            skip = m.at;
            m.at = m.net->input;
        }
        make_even_layer(&m, 0.0017, variant < 4 ? 0 : 1e5);
        if (variant == 0 || variant == 3)
            make_batch_norm(&m, 1e5);
        if (variant == 3) /* and through the normalisation into a residual */
            skip = make_constant(&m, MAKE_SHAPE(2), 1e5, 1e3);
        if (skip >= 0)
            make_add(&m, skip);
        if (variant == 5)
            make_unary(&m, "Flatten");
        if (variant == 1)
            make_op(&m, "Sub", (int[]){m.at, make_constant(&m, MAKE_SHAPE(2), 1e5, 1e3)}, 2, NULL,
                    0);
        net = make_done(&m);
        check_evaluations("shifted", net, x, 4, 1, 1e6);
        nm_net_free(net);
    }
}

/* Tiny weights and inputs: results underflow, denormals may be flushed to 0. */
static void flushed_denormals_stay_within_the_bound(void **state)
{
    static const int64_t widths[] = {4, 6, 2};
    static const double size[][3] = {
        {1e-39, 1, 1e27}, {1, 1e-39, 1e27}, {1e-20, 1e-20, 1}, {1e-39, 1e-39, 1}, {1e25, 1, 1e-39}};
    nm_rng rng = {.seed = 6};

    (void)state;
    for (int i = 0; i < 5; i++) {
        nm_net *net = make_chain(6, "Relu", widths, 2);
        double values[24];
        float x[6 * 4];
        nm_err err = {0};

        for (int layer = 0; layer < 2; layer++) {
            for (int k = 0; k < 24; k++)
                values[k] = (double)(float)(size[i][layer] * nm_rng_normal(&rng));
            nm_assert_ok(nm_net_set_layer(net, layer, false, values, &err), &err);
            memset(values, 0, sizeof values);
            nm_assert_ok(nm_net_set_layer(net, layer, true, values, &err), &err);
        }
        for (int k = 0; k < 24; k++)
            x[k] = (float)(size[i][2] * nm_rng_normal(&rng));
        check_evaluations("tiny", net, x, 6, 1, (double)INFINITY);
        nm_net_free(net);
    }
}

/* Pre-activations at and around 0, each reached exactly: x is the distance from the kink. */
static void kinks_are_within_the_bound(void **state)
{
    static const float off[] = {0.0F, -0.0F, 1e-8F, -1e-8F, 1e-30F, -1e-30F};
    static const int64_t widths[] = {3, 7, 7, 2};
    nm_net *net = make_chain(8, "Relu", widths, 3);
    double w[49], b[7] = {0};
    nm_err err = {0};

    (void)state;
    for (int layer = 0; layer < 3; layer++) {
        for (int k = 0; k < 49; k++)
            w[k] = layer == 0 ? (k % 3 + k / 3) % 3 - 1 : k % 5 - 2;
        b[0] = layer == 2 ? 0x1p-10 : 0;
        nm_assert_ok(nm_net_set_layer(net, layer, false, w, &err), &err);
        nm_assert_ok(nm_net_set_layer(net, layer, true, b, &err), &err);
    }
    for (int i = 0; i < 6; i++) {
        float x[3] = {off[i], 0, off[i]};

        check_evaluations("kink", net, x, 1, 1, (double)INFINITY);
    }
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluations_of_moons_stay_within_the_bound),
        cmocka_unit_test(evaluations_of_mnist_nets_stay_within_the_bound),
        cmocka_unit_test(evaluations_of_image_nets_stay_within_the_bound),
        cmocka_unit_test(evaluations_of_random_dense_nets_stay_within_the_bound),
        cmocka_unit_test(evaluations_of_random_residual_nets_stay_within_the_bound),
        cmocka_unit_test(evaluations_of_scaled_layers_stay_within_the_bound),
        cmocka_unit_test(large_shifts_stay_within_the_bound),
        cmocka_unit_test(flushed_denormals_stay_within_the_bound),
        cmocka_unit_test(kinks_are_within_the_bound),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
