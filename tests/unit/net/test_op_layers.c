#include "op_fixture.h"

/* -- references written without the code under test -------------------------------------- */

/* Geometry of a two-dimensional convolution as the reference takes it. */
typedef struct conv_case {
    int64_t images, in[2], kernel[2], stride[2], dilation[2], pad[4];
    int64_t channels_in, channels_out, groups;
} conv_case;

static int64_t conv_length(const conv_case *c, int a)
{
    return (c->in[a] + c->pad[a] + c->pad[2 + a] - ((c->kernel[a] - 1) * c->dilation[a] + 1)) /
               c->stride[a] +
           1;
}

/* Calls visit for each product of a convolution: output y, input x (skipped in the padding),
   weight w. */
static void for_each_product(const conv_case *c, int64_t n,
                             void (*visit)(void *user, int64_t y, int64_t x, int64_t w), void *user)
{
    int64_t per_in = c->channels_in / c->groups, per_out = c->channels_out / c->groups;
    int64_t h = conv_length(c, 0), v = conv_length(c, 1);

    for (int64_t i = 0; i < n * c->images; i++)
        for (int64_t o = 0; o < c->channels_out; o++)
            for (int64_t p = 0; p < h * v; p++)
                for (int64_t k = 0; k < per_in * c->kernel[0] * c->kernel[1]; k++) {
                    int64_t ch = k / (c->kernel[0] * c->kernel[1]);
                    int64_t ky = k / c->kernel[1] % c->kernel[0], kx = k % c->kernel[1];
                    int64_t iy = p / v * c->stride[0] + ky * c->dilation[0] - c->pad[0];
                    int64_t ix = p % v * c->stride[1] + kx * c->dilation[1] - c->pad[1];
                    int64_t channel = o / per_out * per_in + ch;

                    if (iy >= 0 && iy < c->in[0] && ix >= 0 && ix < c->in[1])
                        visit(user, (i * c->channels_out + o) * h * v + p,
                              ((i * c->channels_in + channel) * c->in[0] + iy) * c->in[1] + ix,
                              o * per_in * c->kernel[0] * c->kernel[1] + k);
                }
}

struct product {
    double *y;
    const double *x, *w;
};

static void add_product(void *user, int64_t y, int64_t x, int64_t w)
{
    struct product *p = user;

    p->y[y] += p->w[w] * p->x[x];
}

/* ConvTranspose is the same sum read from the other end. */
static void add_transposed(void *user, int64_t y, int64_t x, int64_t w)
{
    struct product *p = user;

    p->y[x] += p->w[w] * p->x[y];
}

static void dense_matches_its_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        bool trans = seed % 2, biased = seed % 3 != 0;
        const recipe r = {.onnx_name = "Gemm",
                          .n_in = biased ? 3 : 2,
                          .in = {X(2, 5), trans ? C(4, 5) : C(5, 4), seed % 4 ? C(4) : C(1, 4)},
                          ATTRS(FLOAT("alpha", 0.5), FLOAT("beta", -2), INT("transB", trans))};
        fixture f = make(&r, seed);

        check_all(&f);
        for (int64_t row = 0; row < 2 * N_POINTS; row++)
            for (int64_t j = 0; j < 4; j++) {
                double want = biased ? -2 * f.x[2][j] : 0;

                for (int64_t k = 0; k < 5; k++)
                    want += 0.5 * f.x[0][row * 5 + k] * f.x[1][trans ? j * 5 + k : k * 4 + j];
                nm_assert_close(&f.y[row * 4 + j], &want, 1, 1e-13, 1e-13);
            }
        teardown(&f);
    }
}

static void matmul_keeps_leading_axes(void **state)
{
    const recipe r = {.onnx_name = "MatMul", .n_in = 2, .in = {X(1, 2, 3, 4), C(4, 6)}};
    const recipe vector = {.onnx_name = "MatMul", .n_in = 2, .in = {X(4), C(4, 6)}};
    const recipe with_bias = {.onnx_name = "MatMul", .n_in = 3, .in = {X(1, 4), C(4, 6), C(6)}};
    fixture f = make(&r, 5);
    char text[96];

    (void)state;
    assert_string_equal(nm_shape_text(&f.net->values[f.op->out].shape, text), "1x2x3x6");
    check_all(&f);
    teardown(&f);
    check_recipe(&vector, 6);
    check_recipe(&with_bias, 7);
}

/* Any order of summation stays within the bound: forwards, backwards, pairwise, from large to
   small, with fused multiply-add. */
static void dense_error_bound_covers_every_order_of_summation(void **state)
{
    enum { K = 300 };
    const recipe r = {.onnx_name = "Gemm", .n_in = 3, .in = {X(1, K), C(K, 1), C(1)}};
    double largest = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        nm_err err = {0};
        fixture f;
        float term[K + 1], sum[4] = {0};
        double *e, *none[5] = {NULL};

        nm_assert_ok(build(&f, &r, seed, &err), &err);
        fill(&f, &r);
        e = bound(&f, f.kind->local_error, none);
        term[K] = (float)f.x[2][0];
        sum[3] = term[K];
        for (int k = 0; k < K; k++) {
            term[k] = (float)f.x[0][k] * (float)f.x[1][k];
            sum[3] = fmaf((float)f.x[0][k], (float)f.x[1][k], sum[3]);
        }
        for (int k = 0; k <= K; k++) {
            sum[0] += term[k];
            sum[1] += term[K - k];
        }
        for (int width = 1; width <= K; width *= 2)
            for (int k = 0; k + width <= K; k += 2 * width)
                term[k] += term[k + width];
        sum[2] = term[0];
        for (int i = 0; i < 4; i++) {
            double off = fabs((double)sum[i] - f.y[0]);

            assert_true(off <= e[0]);
            largest = off / e[0] > largest ? off / e[0] : largest;
        }
        teardown(&f);
    }
    assert_true(largest > 1e-4); /* the bound is not absurdly wide either */
}

/* A sum that meets the worst case of Higham's bound to half: every rounding goes the same way. */
static void dense_error_bound_is_needed(void **state)
{
    enum { K = 64 };
    const recipe r = {.onnx_name = "Gemm", .n_in = 2, .in = {X(1, K), C(K, 1)}};
    fixture f = make(&r, 1);
    double *none[5] = {NULL}, *e, exact = 0;
    float sum = 0;

    (void)state;
    for (int k = 0; k < K; k++) {
        /* 1, then terms of just over half an ulp of the sum, each rounded up. */
        f.x[0][k] = k == 0 ? 1 : (double)(float)(0x1.02p-24);
        f.x[1][k] = 1;
        sum += (float)f.x[0][k];
        exact += f.x[0][k];
    }
    e = bound(&f, f.kind->local_error, none);
    assert_true(fabs((double)sum - exact) <= e[0]);
    assert_true(fabs((double)sum - exact) >= 0.4 * e[0]);
    /* The same inputs as deviations from 0. */
    double *radius[5] = {room(&f, N_POINTS * K)};

    memcpy(radius[0], f.x[0], N_POINTS * K * sizeof(double));
    memset(f.x[0], 0, N_POINTS * K * sizeof(double));
    nm_assert_close(bound(&f, f.kind->local_error, radius), e, 1, 1e-3, 0);
    teardown(&f);
}

/* Partial sums reach the positive terms' sum before a negative one takes them back to nearly 0: the
   bound holds, and is needed, although it is half of what the sum of all magnitudes would give. */
static void dense_error_bound_knows_what_partial_sums_can_reach(void **state)
{
    enum { K = 1026 };
    const recipe r = {.onnx_name = "Gemm", .n_in = 2, .in = {X(1, K), C(K, 1)}};
    fixture f = make(&r, 1);
    double *none[5] = {NULL}, exact = 0, off, *e, magnitude = 0;
    float sum = 0;

    (void)state;
    for (int k = 0; k < K; k++) {
        f.x[0][k] = k == 0 ? 1 : k == K - 1 ? -1 : (double)(float)(0x1.02p-24);
        f.x[1][k] = 1;
        sum += (float)f.x[0][k];
        exact += f.x[0][k];
        magnitude += fabs(f.x[0][k]);
    }
    f.y[0] = exact;
    e = bound(&f, f.kind->local_error, none);
    off = fabs((double)sum - exact);
    assert_true(off <= e[0]);
    assert_true(off >= 0.9 * e[0]);
    assert_true(e[0] <= 0.51 * nm_gamma_f32(K + 3) * magnitude);
    teardown(&f);
}

/* Orders that keep partial sums as large as possible: positive terms first, or negative ones. */
static void dense_error_bound_covers_orders_by_sign(void **state)
{
    enum { K = 400 };
    const recipe r = {.onnx_name = "Gemm", .n_in = 2, .in = {X(1, K), C(K, 1)}};
    double largest = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        fixture f = make(&r, seed);
        double *none[5] = {NULL}, *e = bound(&f, f.kind->local_error, none);

        for (int way = -1; way <= 1; way += 2) {
            float sum = 0;
            double off;

            for (int turn = 0; turn < 2; turn++)
                for (int k = 0; k < K; k++) {
                    float term = (float)f.x[0][k] * (float)f.x[1][k];

                    sum += ((way > 0) == (term > 0)) == (turn == 0) ? term : 0;
                }
            off = fabs((double)sum - f.y[0]);
            assert_true(off <= e[0]);
            largest = fmax(largest, off / e[0]);
        }
        teardown(&f);
    }
    assert_true(largest > 1e-3);
}

static conv_case random_conv(nm_rng *rng, uint64_t seed)
{
    conv_case c = {.images = 1 + (seed % 5 == 4), .groups = 1 + (int64_t)nm_rng_below(rng, 3)};

    c.channels_in = c.groups * (1 + (int64_t)nm_rng_below(rng, 3));
    c.channels_out = c.groups * (1 + (int64_t)nm_rng_below(rng, 3));
    for (int a = 0; a < 2; a++) {
        c.in[a] = 4 + (int64_t)nm_rng_below(rng, 5);
        c.kernel[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        c.stride[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        c.dilation[a] = 1 + (int64_t)nm_rng_below(rng, 2);
        c.pad[a] = (int64_t)nm_rng_below(rng, 3);
        c.pad[2 + a] = (int64_t)nm_rng_below(rng, 3);
    }
    if (seed % 4 == 0) /* the case without im2col */
        c = (conv_case){.images = 1,
                        .groups = c.groups,
                        .channels_in = c.channels_in,
                        .channels_out = c.channels_out,
                        .in = {5, 4},
                        .kernel = {1, 1},
                        .stride = {1, 1},
                        .dilation = {1, 1}};
    return c;
}

#define CONV_ATTRS(c)                                                                              \
    ATTRS(INTS("strides", (c).stride[0], (c).stride[1]),                                           \
          INTS("dilations", (c).dilation[0], (c).dilation[1]),                                     \
          INTS("pads", (c).pad[0], (c).pad[1], (c).pad[2], (c).pad[3]), INT("group", (c).groups))

static void add_channel_bias(double *y, const double *bias, int64_t channels, int64_t plane,
                             int64_t n)
{
    for (int64_t i = 0; bias && i < n; i++)
        y[i] += bias[i / plane % channels];
}

static void convolution_matches_its_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 16; seed++) {
        nm_rng rng = {.seed = seed};
        conv_case c = random_conv(&rng, seed);
        const recipe r = {
            .onnx_name = "Conv",
            .n_in = seed % 2 ? 3 : 2,
            .in = {X(c.images, c.channels_in, c.in[0], c.in[1]),
                   C(c.channels_out, c.channels_in / c.groups, c.kernel[0], c.kernel[1]),
                   C(c.channels_out)},
            CONV_ATTRS(c)};
        fixture f = make(&r, seed);
        int64_t plane = conv_length(&c, 0) * conv_length(&c, 1), n = N_POINTS * f.size_out;
        double *want = room(&f, n);

        assert_int_equal(f.size_out, c.images * c.channels_out * plane);
        memset(want, 0, (size_t)n * sizeof *want);
        for_each_product(&c, N_POINTS, add_product, &(struct product){want, f.x[0], f.x[1]});
        add_channel_bias(want, f.x[2], c.channels_out, plane, n);
        nm_assert_close(f.y, want, (size_t)n, 1e-12, 1e-12);
        check_all(&f);
        teardown(&f);
    }
}

static void transposed_convolution_matches_its_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        nm_rng rng = {.seed = seed};
        conv_case c = random_conv(&rng, seed);
        int64_t extra[2], out[2] = {conv_length(&c, 0), conv_length(&c, 1)};

        for (int a = 0; a < 2; a++) /* what the convolution did not reach */
            extra[a] = (c.in[a] + c.pad[a] + c.pad[2 + a] - (c.kernel[a] - 1) * c.dilation[a] - 1) %
                       c.stride[a];
        const recipe r = {
            .onnx_name = "ConvTranspose",
            .n_in = seed % 2 ? 3 : 2,
            .in = {X(c.images, c.channels_out, out[0], out[1]),
                   C(c.channels_out, c.channels_in / c.groups, c.kernel[0], c.kernel[1]),
                   C(c.channels_in)},
            ATTRS(INTS("strides", c.stride[0], c.stride[1]),
                  INTS("dilations", c.dilation[0], c.dilation[1]),
                  INTS("pads", c.pad[0], c.pad[1], c.pad[2], c.pad[3]), INT("group", c.groups),
                  INTS("output_padding", extra[0], extra[1]))};
        fixture f = make(&r, seed);
        int64_t n = N_POINTS * f.size_out;
        double *want = room(&f, n);

        assert_int_equal(f.size_out, c.images * c.channels_in * c.in[0] * c.in[1]);
        memset(want, 0, (size_t)n * sizeof *want);
        for_each_product(&c, N_POINTS, add_transposed, &(struct product){want, f.x[0], f.x[1]});
        add_channel_bias(want, f.x[2], c.channels_in, c.in[0] * c.in[1], n);
        nm_assert_close(f.y, want, (size_t)n, 1e-12, 1e-12);
        check_all(&f);
        teardown(&f);
    }
}

static void convolutions_of_other_ranks_have_all_properties(void **state)
{
    const recipe recipes[] = {
        {.onnx_name = "Conv",
         .n_in = 2,
         .in = {X(1, 2, 9), C(3, 2, 3)},
         ATTRS(INTS("strides", 2), INTS("pads", 1, 0))},
        {.onnx_name = "Conv", .n_in = 2, .in = {X(1, 1, 3, 4, 3), C(2, 1, 2, 2, 2)}},
        {.onnx_name = "ConvTranspose", .n_in = 2, .in = {X(1, 2, 4), C(2, 3, 3)}},
        {.onnx_name = "Conv",
         .n_in = 2,
         .in = {X(1, 1, 5, 6), C(1, 1, 3, 2)},
         ATTRS(TEXT("auto_pad", "SAME_UPPER"), INTS("strides", 2, 2))},
        {.onnx_name = "Conv",
         .n_in = 2,
         .in = {X(1, 1, 5, 6), C(1, 1, 2, 2)},
         ATTRS(TEXT("auto_pad", "SAME_LOWER"))},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        check_recipe(&recipes[i], i);
}

/* SAME: as many outputs as ceil(in / stride); the odd element at the end or at the beginning. */
static void same_padding_puts_the_odd_element_where_it_says(void **state)
{
    const recipe upper = {
        .onnx_name = "Conv",
        .n_in = 2,
        .in = {X(1, 1, 4),
               {.shape = SHAPE(1, 1, 2), .role = CONSTANT, .values = (const double[]){1, 10}}},
        ATTRS(TEXT("auto_pad", "SAME_UPPER"))};
    recipe lower = upper;
    const nm_attr_value lower_attr = TEXT("auto_pad", "SAME_LOWER");
    double x[] = {1, 2, 3, 4};

    (void)state;
    lower.attrs = &lower_attr;
    fixture f = make(&upper, 1), g = make(&lower, 1);
    double *in[5] = {x, f.x[1]};

    nm_assert_close(forward(&f, in, 1, false), (const double[]){21, 32, 43, 4}, 4, 1e-15, 0);
    nm_assert_close(forward(&g, in, 1, false), (const double[]){10, 21, 32, 43}, 4, 1e-15, 0);
    teardown(&f);
    teardown(&g);
}

/* Sizes that make several tiles: parts of one image, and groups of several images. */
static void large_convolutions_agree_with_their_definition(void **state)
{
    const conv_case cases[] = {
        {.images = 1,
         .groups = 1,
         .channels_in = 40,
         .channels_out = 2,
         .in = {50, 41},
         .kernel = {3, 3},
         .stride = {1, 1},
         .dilation = {1, 1},
         .pad = {1, 1, 1, 1}},
        {.images = 300,
         .groups = 2,
         .channels_in = 80,
         .channels_out = 4,
         .in = {3, 4},
         .kernel = {3, 3},
         .stride = {1, 1},
         .dilation = {1, 1},
         .pad = {1, 1, 1, 1}},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const conv_case *c = &cases[i];
        const recipe r = {.onnx_name = "Conv",
                          .n_in = 2,
                          .in = {X(c->images, c->channels_in, c->in[0], c->in[1]),
                                 C(c->channels_out, c->channels_in / c->groups, 3, 3)},
                          CONV_ATTRS(*c)};
        fixture f = make(&r, i);
        int64_t n = N_POINTS * f.size_out;
        double *want = room(&f, n);

        memset(want, 0, (size_t)n * sizeof *want);
        for_each_product(c, N_POINTS, add_product, &(struct product){want, f.x[0], f.x[1]});
        nm_assert_close(f.y, want, (size_t)n, 1e-11, 1e-11);
        check_adjoint(&f);
        check_parameters(&f);
        check_local_error(&f, 0);
        teardown(&f);
    }
}

static void batch_normalisation_matches_its_definition(void **state)
{
    const operand variance = {.shape = SHAPE(3), .role = CONSTANT, .lo = 0.1, .hi = 2};
    const recipe recipes[] = {
        {.onnx_name = "BatchNormalization",
         .n_in = 5,
         .in = {X(1, 3, 2, 2), C(3), C(3), C(3), variance},
         ATTRS(FLOAT("epsilon", 0.01))},
        {.onnx_name = "BatchNormalization",
         .n_in = 5,
         .in = {X(2, 3), C(3), C(3), C(3), variance},
         ATTRS(FLOAT("epsilon", 0.01))},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fixture f = make(&recipes[i], i);
        int64_t plane = i == 0 ? 4 : 1;

        for (int64_t k = 0; k < N_POINTS * f.size_out; k++) {
            int64_t c = k / plane % 3;
            double want = f.x[1][c] * (f.x[0][k] - f.x[3][c]) / sqrt(f.x[4][c] + 0.01) + f.x[2][c];

            nm_assert_close(&f.y[k], &want, 1, 1e-13, 1e-13);
        }
        check_all(&f);
        teardown(&f);
    }
}

/* Folding the constants beforehand, as runtimes do, stays within the bound too. */
static void batch_normalisation_bound_covers_folded_constants(void **state)
{
    const operand variance = {.shape = SHAPE(3), .role = CONSTANT, .lo = 1e-4, .hi = 2};
    const operand mean = {.shape = SHAPE(3), .role = CONSTANT, .lo = -50, .hi = 50};
    const recipe r = {.onnx_name = "BatchNormalization",
                      .n_in = 5,
                      .in = {X(1, 3, 40), C(3), C(3), mean, variance}};

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        fixture f = make(&r, seed);
        double *none[5] = {NULL}, *e = bound(&f, f.kind->local_error, none);

        for (int64_t k = 0; k < N_POINTS * f.size_out; k++) {
            int64_t c = k / 40 % 3;
            float scale = (float)f.x[1][c] / sqrtf((float)f.x[4][c] + 1e-5F);
            float shift = (float)f.x[2][c] - (float)f.x[3][c] * scale;
            float y = (float)f.x[0][k] * scale + shift;

            assert_true(fabs((double)y - f.y[k]) <= e[k]);
        }
        teardown(&f);
    }
}

static void senseless_layers_are_refused(void **state)
{
    const operand image = X(1, 2, 5, 5), kernel = C(3, 2, 3, 3);
    const operand negative = {.shape = SHAPE(3), .role = CONSTANT, .lo = -2, .hi = -1};

    (void)state;
#define REFUSE_CONV(part, ...)                                                                     \
    assert_refused(                                                                                \
        &(recipe){.onnx_name = "Conv", .n_in = 2, .in = {image, kernel}, ATTRS(__VA_ARGS__)},      \
        part)
    REFUSE_CONV("strides holds 0", INTS("strides", 0, 1));
    REFUSE_CONV("strides has 1 values", INTS("strides", 1));
    REFUSE_CONV("dilations holds -1", INTS("dilations", 1, -1));
    REFUSE_CONV("pads holds 2147483647", INTS("pads", 0, 0, 0, 2147483647));
    REFUSE_CONV("pads holds", INTS("pads", 0, 0, 0, INT64_MAX));
    REFUSE_CONV("pads holds -1", INTS("pads", 0, 0, 0, -1));
    REFUSE_CONV("pads has 2 values", INTS("pads", 0, 0));
    REFUSE_CONV("more than the padded image's 5", INTS("dilations", 3, 3));
    REFUSE_CONV("kernel_shape's 2", INTS("kernel_shape", 3, 2));
    REFUSE_CONV("at most 3", INTS("kernel_shape", 1, 1, 1, 1));
    REFUSE_CONV("group is 0", INT("group", 0));
    REFUSE_CONV("2 groups", INT("group", 2));
    REFUSE_CONV("auto_pad is 'SOME'", TEXT("auto_pad", "SOME"));
    assert_refused(&(recipe){.onnx_name = "Conv", .n_in = 2, .in = {image, C(3, 1, 3, 3)}},
                   "weights have shape 3x1x3x3");
    assert_refused(&(recipe){.onnx_name = "Conv", .n_in = 2, .in = {image, C(3, 2, 3)}},
                   "equal ranks");
    assert_refused(&(recipe){.onnx_name = "Conv", .n_in = 3, .in = {image, kernel, C(2)}},
                   "bias has shape 2, expected 3");
    assert_refused(&(recipe){.onnx_name = "Conv", .n_in = 2, .in = {image, X(3, 2, 3, 3)}},
                   "weight is computed");
    assert_refused(&(recipe){.onnx_name = "Conv", .n_in = 2, .in = {X(1, 2), C(3, 2)}},
                   "batch, channels");
    assert_refused(&(recipe){.onnx_name = "ConvTranspose", .n_in = 2, .in = {image, C(3, 2, 3, 3)}},
                   "does not fit");
    assert_refused(&(recipe){.onnx_name = "ConvTranspose",
                             .n_in = 2,
                             .in = {image, C(2, 3, 3, 3)},
                             ATTRS(INTS("pads", 4, 4, 4, 4))},
                   "pads remove all");
    assert_refused(&(recipe){.onnx_name = "ConvTranspose",
                             .n_in = 2,
                             .in = {image, C(2, 3, 3, 3)},
                             ATTRS(INTS("output_padding", 1, 1))},
                   "output_padding holds 1");
    assert_refused(&(recipe){.onnx_name = "ConvTranspose",
                             .n_in = 2,
                             .in = {image, C(2, 3, 3, 3)},
                             ATTRS(INTS("strides", 2147483648, 2147483648))},
                   "elements");
    assert_refused(&(recipe){.onnx_name = "Gemm", .n_in = 2, .in = {X(1, 3), C(4, 2)}},
                   "weights have shape 4x2");
    assert_refused(&(recipe){.onnx_name = "Gemm", .n_in = 2, .in = {X(1, 3), X(3, 2)}}, "computed");
    assert_refused(&(recipe){.onnx_name = "Gemm", .n_in = 3, .in = {X(1, 3), C(3, 2), C(3)}},
                   "bias has shape 3, expected 2");
    assert_refused(&(recipe){.onnx_name = "Gemm", .n_in = 3, .in = {X(1, 3), C(3, 2), C(2, 1)}},
                   "bias has shape 2x1");
    assert_refused(
        &(recipe){
            .onnx_name = "Gemm", .n_in = 2, .in = {X(1, 3), C(3, 2)}, ATTRS(INT("transA", 1))},
        "transA");
    assert_refused(&(recipe){.onnx_name = "MatMul", .n_in = 2, .in = {C(2, 3), X(3, 2)}},
                   "computed");
    assert_refused(&(recipe){.onnx_name = "BatchNormalization",
                             .n_in = 5,
                             .in = {X(1, 3), C(3), C(3), C(3), negative}},
                   "variance 0");
    assert_refused(&(recipe){.onnx_name = "BatchNormalization",
                             .n_in = 5,
                             .in = {X(1, 3), C(3), C(2), C(3), C(3)}},
                   "bias has shape 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_matches_its_definition),
        cmocka_unit_test(matmul_keeps_leading_axes),
        cmocka_unit_test(dense_error_bound_covers_every_order_of_summation),
        cmocka_unit_test(dense_error_bound_is_needed),
        cmocka_unit_test(dense_error_bound_knows_what_partial_sums_can_reach),
        cmocka_unit_test(dense_error_bound_covers_orders_by_sign),
        cmocka_unit_test(convolution_matches_its_definition),
        cmocka_unit_test(transposed_convolution_matches_its_definition),
        cmocka_unit_test(convolutions_of_other_ranks_have_all_properties),
        cmocka_unit_test(same_padding_puts_the_odd_element_where_it_says),
        cmocka_unit_test(large_convolutions_agree_with_their_definition),
        cmocka_unit_test(batch_normalisation_matches_its_definition),
        cmocka_unit_test(batch_normalisation_bound_covers_folded_constants),
        cmocka_unit_test(senseless_layers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
