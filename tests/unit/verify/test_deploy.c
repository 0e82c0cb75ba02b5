/* Float32 evaluations of many kinds, and worst-case roundings, against the bounds on deviations. */
#include "float_eval.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "net/chain.h"
#include "netmend/data.h"
#include "repair/judge.h"
#include "verify/deploy.h"

static nm_ctx *ctx;

static int open_context(void **state)
{
    (void)state;
    return nm_ctx_new(&ctx, NULL) == NM_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    nm_ctx_free(ctx);
    return 0;
}

static nm_deploy check(const nm_net *net, const float *x, const int64_t *target, int64_t n)
{
    nm_deploy d;
    nm_err err = {0};

    nm_assert_ok(nm_deploy_check(ctx, net, x, target, n, true, &d, &err), &err);
    return d;
}

/* -- evaluations that a runtime could choose --------------------------------------------- */

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

/* A dense layer or 1 x 1 convolution whose products are all equal, positive for class 0 and
   negative for class 1. */
static void make_even_layer(net_maker *m, double product, double bias)
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

/* -- worst-case rounding ----------------------------------------------------------------- */

enum { DEEP = 3, WIDE = 7 };
static const int64_t fragile_widths[DEEP + 1] = {3, WIDE, WIDE, 2};

/* Dense layers with ReLU, as plain arrays; every sum may be off by `sign` times all that rounding
   allows. Written apart from the library. */
typedef struct fragile {
    double w[DEEP][WIDE * WIDE], b[DEEP][WIDE];
    double sign[DEEP][WIDE];
} fragile;

static double rounding(const double *w, const double *x, double b, int64_t k)
{
    double sum = fabs(b), terms = 2; /* a product and an addition for each, the bias */

    for (int64_t i = 0; i < k; i++) {
        sum += fabs(w[i] * x[i]);
        terms += x[i] != 0;
    }
    return sum * terms * 0x1p-24;
}

/* score[0] - score[1] with each sum moved; *z of layer `stop` when asked for. */
static double margin_of(const fragile *f, const float *x, bool moved)
{
    double a[WIDE], z[WIDE];

    for (int i = 0; i < 3; i++)
        a[i] = (double)x[i];
    for (int l = 0; l < DEEP; l++) {
        int64_t k = fragile_widths[l], n = fragile_widths[l + 1];

        for (int64_t j = 0; j < n; j++) {
            z[j] = f->b[l][j];
            for (int64_t i = 0; i < k; i++)
                z[j] += f->w[l][j * k + i] * a[i];
            if (moved)
                z[j] += f->sign[l][j] * rounding(f->w[l] + j * k, a, f->b[l][j], k);
        }
        for (int64_t j = 0; j < n; j++)
            a[j] = l + 1 < DEEP ? fmax(z[j], 0) : z[j];
    }
    return a[0] - a[1];
}

/* Random weights; biases put the pre-activations at x within a few roundings of 0. */
static void make_fragile(fragile *f, nm_rng *rng, const float *x, double off)
{
    double a[WIDE];

    for (int i = 0; i < 3; i++)
        a[i] = (double)x[i];
    for (int l = 0; l < DEEP; l++) {
        int64_t k = fragile_widths[l], n = fragile_widths[l + 1];
        double next[WIDE];

        for (int64_t j = 0; j < n; j++) {
            double sum = 0, t = off * (2 * nm_rng_uniform(rng) - 1);

            for (int64_t i = 0; i < k; i++) {
                f->w[l][j * k + i] = (double)(float)nm_rng_normal(rng);
                sum += f->w[l][j * k + i] * a[i];
            }
            if (j % 3 == 0 && l + 1 < DEEP) /* some are well on: the others are not all there is */
                t += 1e6;
            f->b[l][j] =
                l + 1 < DEEP ? (double)(float)(-sum + t * rounding(f->w[l] + j * k, a, sum, k)) : 0;
            next[j] = fmax(0, sum + f->b[l][j]);
        }
        memcpy(a, next, sizeof a);
    }
}

static nm_net *net_of(const fragile *f)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_new_chain(fragile_widths, DEEP, &net, &err), &err);
    for (int l = 0; l < DEEP; l++) {
        nm_assert_ok(nm_net_set_layer(net, l, false, f->w[l], &err), &err);
        nm_assert_ok(nm_net_set_layer(net, l, true, f->b[l], &err), &err);
    }
    return net;
}

static void draw_signs(fragile *f, nm_rng *rng)
{
    for (int l = 0; l < DEEP; l++)
        for (int j = 0; j < WIDE; j++)
            f->sign[l][j] = nm_rng_below(rng, 2) ? 1 : -1;
}

/* Flips one sign at a time as long as the margin moves further `way`. */
static double climb(fragile *f, const float *x, double exact, double way)
{
    double best = way * (margin_of(f, x, true) - exact);
    bool better = true;

    while (better) {
        better = false;
        for (int l = 0; l < DEEP; l++)
            for (int j = 0; j < fragile_widths[l + 1]; j++) {
                double now;

                f->sign[l][j] = -f->sign[l][j];
                now = way * (margin_of(f, x, true) - exact);
                if (now > best) {
                    best = now;
                    better = true;
                } else {
                    f->sign[l][j] = -f->sign[l][j];
                }
            }
    }
    return best;
}

/* The first-order bound leaves flips out: that worst cases pass it by shows that they reach what
   only the second-order terms (radius and residual) cover. */
static void no_choice_of_roundings_passes_the_rigorous_bound(void **state)
{
    nm_rng rng = {.seed = 7};
    int n_beyond_first_order = 0;
    double closest = 0;

    (void)state;
    for (int i = 0; i < 150; i++) {
        fragile f = {0};
        float x[3];
        double exact, worst = 0;
        nm_net *net;
        nm_deploy d;

        fill_normal(&rng, x, 3);
        make_fragile(&f, &rng, x, i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 3);
        net = net_of(&f);
        exact = margin_of(&f, x, false);
        d = check(net, x, (int64_t[]){0}, 1);
        nm_assert_close(d.margin, &exact, 1, 1e-12, 1e-12);
        for (int start = 0; start < 6; start++) {
            draw_signs(&f, &rng);
            worst = fmax(worst, climb(&f, x, exact, start % 2 ? 1 : -1));
        }
        if (!(worst <= d.rigorous[0]))
            fail_msg("net %d: off by %g, bound %g", i, worst, d.rigorous[0]);
        n_beyond_first_order += worst > 1.001 * d.first_order[0];
        closest = fmax(closest, worst / d.rigorous[0]);
        nm_deploy_clear(&d);
        nm_net_free(net);
    }
    print_message("worst roundings: %d of 150 beyond the first-order bound, %.2f of the rigorous "
                  "bound at most\n",
                  n_beyond_first_order, closest);
    assert_true(n_beyond_first_order > 10);
    assert_true(closest > 0.2);
}

/* Pre-activations at and around 0, each reached exactly: x is the distance from the kink. */
static void kinks_are_within_the_bound(void **state)
{
    static const float off[] = {0.0F, -0.0F, 1e-8F, -1e-8F, 1e-30F, -1e-30F};
    fragile f = {0};

    (void)state;
    for (int j = 0; j < WIDE; j++)
        for (int i = 0; i < 3; i++)
            f.w[0][j * 3 + i] = (i + j) % 3 - 1;
    for (int l = 1; l < DEEP; l++)
        for (int k = 0; k < WIDE * WIDE; k++)
            f.w[l][k] = k % 5 - 2;
    f.b[DEEP - 1][0] = 1e-3;
    for (int i = 0; i < 6; i++) {
        nm_net *net = net_of(&f);
        float x[3] = {off[i], 0, off[i]};

        check_evaluations("kink", net, x, 1, 1, (double)INFINITY);
        nm_net_free(net);
    }
}

/* -- overflow ---------------------------------------------------------------------------- */

static void assert_never_safe(const nm_net *net, const float *x)
{
    for (int64_t target = 0; target < 2; target++) {
        nm_deploy d = check(net, x, &target, 1);

        assert_true(d.rigorous[0] == (double)INFINITY && d.first_order[0] == (double)INFINITY);
        assert_false(d.safe[0] || d.safe_first_order[0] || d.safe_probable[0]);
        for (int safe = NM_SAFE_ANY_ORDER; safe <= NM_SAFE_PROBABLE; safe++)
            assert_false(nm_deploy_passes(&d, (nm_safe)safe, 0));
        nm_deploy_clear(&d);
    }
}

/* x -> [w x] -> [v h + b], two inputs, two hidden neurons, two classes. */
static nm_net *two_by_two(const double *w, const double *v, const double *b)
{
    nm_net *net;
    nm_err err = {0};

    nm_assert_ok(nm_net_new_chain((int64_t[]){2, 2, 2}, 2, &net, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, false, w, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 1, false, v, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 1, true, b, &err), &err);
    return net;
}

static void what_may_overflow_is_never_safe(void **state)
{
    static const struct {
        double w[4], v[4];
        float x[2];
    } cases[] = {
        {{1e30, 0, 0, 1}, {1, 0, 0, 1}, {1e10F, 1}},         /* a value */
        {{1e19, -1e19, 0, 1}, {1, 0, 0, 1}, {1e20F, 1e20F}}, /* terms that cancel */
        {{1e19, -1e19, 0, 1}, {1e-38, 0, 0, 1}, {1e20F, 1e20F}},
        {{1e30, 0, 0, 1}, {0, 0, 0, 1}, {1e10F, 1}},  /* infinity times a weight of 0 */
        {{1e30, 0, 0, 1}, {1, 0, 1, 1}, {1e10F, 1}},  /* the same on both sides of the margin */
        {{-1e30, 0, 0, 1}, {1, 0, 0, 1}, {1e10F, 1}}, /* dead behind its ReLU */
        {{1e-30, 0, 0, 1}, {1, 0, 0, 1}, {INFINITY, 1}},
        {{0, 0, 0, 1}, {1, 0, 0, 1}, {NAN, 1}},
    };
    const double b[2] = {3, 0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_net *net = two_by_two(cases[i].w, cases[i].v, b);

        print_message("case %zu\n", i);
        assert_never_safe(net, cases[i].x);
        nm_net_free(net);
    }
}

/* Clip brings an overflowed value back into range, but not one that is no number. */
static void clipping_does_not_hide_an_overflow(void **state)
{
    static const char *const bounded[] = {"Sigmoid", "Tanh", "Softmax", "HardSigmoid"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        net_maker m = make_net(9, MAKE_SHAPE(1, 2));
        nm_net *net;

        m.scale = 1e30;
        make_dense(&m, 4);
        make_unary(&m, bounded[i]);
        m.scale = 1e-3;
        make_dense(&m, 2);
        net = make_done(&m);
        assert_never_safe(net, (float[]){1e10F, -1e10F});
        nm_net_free(net);
    }
}

/* What a sum cancels to is in range, its terms are not. */
static void sums_of_convolutions_and_pools_may_overflow(void **state)
{
    const float x[4] = {2e38F, 2e38F, -2e38F, -2e38F}, channels[2] = {1e20F, -1e20F};

    (void)state;
    for (int conv = 0; conv < 2; conv++) {
        net_maker m = make_net(10, conv ? MAKE_SHAPE(1, 2, 1, 1) : MAKE_SHAPE(1, 1, 2, 2));
        nm_net *net;

        if (conv)
            make_even_layer(&m, 1e19, 0);
        else
            make_op(&m, "GlobalAveragePool", &m.at, 1, NULL, 0);
        make_unary(&m, "Flatten");
        m.scale = 1e-37;
        make_dense(&m, 2);
        net = make_done(&m);
        assert_never_safe(net, conv ? channels : x);
        nm_net_free(net);
    }
}

static void products_may_overflow(void **state)
{
    net_maker m = make_net(15, MAKE_SHAPE(1, 2));
    nm_net *net;

    (void)state;
    for (int i = 0; i < 4; i++)
        make_op(&m, "Mul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(2), i < 2 ? 1e20 : 1e-20, 0)},
                2, NULL, 0);
    make_dense(&m, 2);
    net = make_done(&m);
    assert_never_safe(net, (float[]){1, -1});
    nm_net_free(net);
}

static void large_weights_alone_have_finite_bounds(void **state)
{
    static const double v[] = {1e6, 0, 0, 1e6}, w[] = {1e6, 1, 1, -1e6}, b[] = {0, 0};
    nm_net *net = two_by_two(w, v, b);
    nm_deploy d = check(net, (float[]){1, 1e-3F}, (int64_t[]){0}, 1);

    (void)state;
    assert_true(d.safe[0] && d.rigorous[0] > 1e3 && d.rigorous[0] < 1e8);
    nm_deploy_clear(&d);
    nm_net_free(net);
}

/* -- ways to compute the bounds ---------------------------------------------------------- */

static void assert_close_deploys(const nm_deploy *a, const nm_deploy *b, double rtol)
{
    size_t n = (size_t)a->n;

    assert_int_equal(a->n, b->n);
    nm_assert_close(a->margin, b->margin, n, rtol, rtol);
    nm_assert_close(a->rigorous, b->rigorous, n, rtol, rtol * 1e-3);
    nm_assert_close(a->first_order, b->first_order, n, rtol, rtol * 1e-3);
    nm_assert_close(a->probable, b->probable, n, rtol, rtol * 1e-3);
}

static void plain_loops_and_blas_agree(void **state)
{
    nm_net *net = make_residual(11);
    int64_t target[40] = {0};
    float x[40 * 128];
    nm_deploy plain, blas;
    nm_err err = {0};

    (void)state;
    fill_normal(&(nm_rng){.seed = 11}, x, 40 * 128);
    plain = check(net, x, target, 40);
    nm_assert_ok(nm_deploy_check(ctx, net, x, target, 40, false, &blas, &err), &err);
    assert_close_deploys(&plain, &blas, 1e-9);
    nm_deploy_clear(&plain);
    nm_deploy_clear(&blas);
    nm_net_free(net);
}

/* Many classes with nearly equal scores: chunks with different numbers of pairs. */
static void threads_do_not_change_a_bit(void **state)
{
    enum { N = 1500, N_IN = 20 };
    static const int64_t widths[] = {N_IN, 31, 29, 7};
    nm_net *net = make_chain(12, "Relu", widths, 3);
    int64_t *target = calloc(N, sizeof *target);
    float *x = calloc(N * N_IN, sizeof *x);
    int threads = nm_ctx_threads(ctx);
    nm_rng rng = {.seed = 12};
    nm_err err = {0};

    (void)state;
    fill_normal(&rng, x, N * N_IN);
    for (int p = 0; p < N; p++) {
        target[p] = p % 7;
        for (int i = 0; p % 3 == 0 && i < N_IN; i++)
            x[p * N_IN + i] *= 1e-20F;
    }
    for (int plain = 0; plain < 2; plain++) {
        nm_deploy one, more;

        nm_ctx_set_threads(ctx, 1);
        nm_assert_ok(nm_deploy_check(ctx, net, x, target, N, plain, &one, &err), &err);
        for (int t = 2; t < 6; t += 3) {
            nm_ctx_set_threads(ctx, t);
            nm_assert_ok(nm_deploy_check(ctx, net, x, target, N, plain, &more, &err), &err);
            assert_memory_equal(one.margin, more.margin, N * sizeof(double));
            assert_memory_equal(one.rigorous, more.rigorous, N * sizeof(double));
            assert_memory_equal(one.first_order, more.first_order, N * sizeof(double));
            assert_memory_equal(one.probable, more.probable, N * sizeof(double));
            assert_memory_equal(one.slack, more.slack, N * sizeof(double));
            nm_deploy_clear(&more);
        }
        nm_deploy_clear(&one);
    }
    nm_ctx_set_threads(ctx, threads);
    nm_net_free(net);
    free(target);
    free(x);
}

static nm_net *with_softmax(bool softmax)
{
    net_maker m = make_net(13, MAKE_SHAPE(1, 4));

    make_dense(&m, 6);
    make_unary(&m, "Relu");
    make_dense(&m, 3);
    if (softmax)
        make_unary(&m, "Softmax");
    return make_done(&m);
}

static void softmax_at_the_end_is_looked_through(void **state)
{
    nm_net *bare = with_softmax(false), *soft = with_softmax(true);
    const int64_t target[5] = {0, 1, 2, 0, 1};
    float x[5 * 4];
    nm_deploy a, b;

    (void)state;
    fill_normal(&(nm_rng){.seed = 13}, x, 5 * 4);
    a = check(bare, x, target, 5);
    b = check(soft, x, target, 5);
    assert_memory_equal(a.margin, b.margin, 5 * sizeof(double));
    assert_memory_equal(a.rigorous, b.rigorous, 5 * sizeof(double));
    nm_deploy_clear(&a);
    nm_deploy_clear(&b);
    nm_net_free(bare);
    nm_net_free(soft);
}

static void failed_allocations_are_reported(void **state)
{
    nm_net *net = make_residual(14);
    float x[2 * 128];
    int n_fails = 0;

    (void)state;
    fill_normal(&(nm_rng){.seed = 14}, x, 2 * 128);
    nm_ctx_set_threads(ctx, 1);
    for (int n = 1;; n++) {
        nm_deploy d;
        nm_err err = {0};
        nm_status rc;

        nm_mem_fail_at(n);
        rc = nm_deploy_check(ctx, net, x, (int64_t[]){0, 1}, 2, true, &d, &err);
        nm_mem_fail_at(0);
        if (rc == NM_OK) {
            nm_deploy_clear(&d);
            break;
        }
        assert_int_equal(rc, NM_E_NOMEM);
        assert_null(d.margin);
        n_fails++;
    }
    assert_true(n_fails > 30);
    nm_net_free(net);
}

static void no_points_are_no_work(void **state)
{
    nm_net *net = with_softmax(false);
    nm_deploy d = check(net, NULL, NULL, 0);

    (void)state;
    assert_int_equal(d.n, 0);
    nm_deploy_clear(&d);
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
        cmocka_unit_test(no_choice_of_roundings_passes_the_rigorous_bound),
        cmocka_unit_test(kinks_are_within_the_bound),
        cmocka_unit_test(what_may_overflow_is_never_safe),
        cmocka_unit_test(clipping_does_not_hide_an_overflow),
        cmocka_unit_test(sums_of_convolutions_and_pools_may_overflow),
        cmocka_unit_test(products_may_overflow),
        cmocka_unit_test(large_weights_alone_have_finite_bounds),
        cmocka_unit_test(plain_loops_and_blas_agree),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(softmax_at_the_end_is_looked_through),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(no_points_are_no_work),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
