#include "op_fixture.h"

/* One-dimensional pools by hand; two-dimensional ones are compared with a loop over everything. */
typedef struct pool_case {
    int64_t in[2], kernel[2], stride[2], dilation[2], pad[4];
    bool ceil_mode, count_include_pad;
} pool_case;

/* Length by ONNX's formula, in ceil mode without windows that start in the end padding. */
static int64_t pool_length(const pool_case *c, int a)
{
    int64_t room = c->in[a] + c->pad[a] + c->pad[2 + a] - ((c->kernel[a] - 1) * c->dilation[a] + 1);
    int64_t n = room / c->stride[a] + 1;

    if (c->ceil_mode && room % c->stride[a] && n * c->stride[a] < c->in[a] + c->pad[a])
        n++;
    return n;
}

static double pool_at(const pool_case *c, bool mean, const double *plane, int64_t oy, int64_t ox)
{
    double sum = 0, largest = -(double)INFINITY;
    int64_t n = 0;

    for (int64_t ky = 0; ky < c->kernel[0]; ky++)
        for (int64_t kx = 0; kx < c->kernel[1]; kx++) {
            int64_t y = oy * c->stride[0] - c->pad[0] + ky * c->dilation[0];
            int64_t x = ox * c->stride[1] - c->pad[1] + kx * c->dilation[1];
            bool inside = y >= 0 && y < c->in[0] && x >= 0 && x < c->in[1];
            bool padded = y < c->in[0] + c->pad[2] && x < c->in[1] + c->pad[3];

            n += c->count_include_pad ? padded : inside;
            if (inside) {
                sum += plane[y * c->in[1] + x];
                largest = fmax(largest, plane[y * c->in[1] + x]);
            }
        }
    return mean ? sum / (double)n : largest;
}

static pool_case random_pool(nm_rng *rng)
{
    pool_case c = {.ceil_mode = nm_rng_below(rng, 2), .count_include_pad = nm_rng_below(rng, 2)};

    for (int a = 0; a < 2; a++) {
        c.in[a] = 4 + (int64_t)nm_rng_below(rng, 4);
        c.kernel[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        c.stride[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        c.dilation[a] = c.kernel[a] < 3 ? 1 + (int64_t)nm_rng_below(rng, 2) : 1;
        c.pad[a] = (int64_t)nm_rng_below(rng, (uint64_t)c.kernel[a]);
        c.pad[2 + a] = (int64_t)nm_rng_below(rng, (uint64_t)c.kernel[a]);
    }
    return c;
}

static void pools_match_their_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        nm_rng rng = {.seed = seed};
        bool mean = seed % 2;
        pool_case c = random_pool(&rng);
        const recipe r = {.onnx_name = mean ? "AveragePool" : "MaxPool",
                          .n_in = 1,
                          .in = {X(1, 2, c.in[0], c.in[1])},
                          ATTRS(INTS("kernel_shape", c.kernel[0], c.kernel[1]),
                                INTS("strides", c.stride[0], c.stride[1]),
                                INTS("dilations", c.dilation[0], c.dilation[1]),
                                INTS("pads", c.pad[0], c.pad[1], c.pad[2], c.pad[3]),
                                INT("ceil_mode", c.ceil_mode),
                                INT("count_include_pad", c.count_include_pad))};
        fixture f = make(&r, seed);
        int64_t h = pool_length(&c, 0), w = pool_length(&c, 1);

        assert_int_equal(f.size_out, 2 * h * w);
        for (int64_t k = 0; k < N_POINTS * f.size_out; k++) {
            double want =
                pool_at(&c, mean, f.x[0] + k / (h * w) * c.in[0] * c.in[1], k / w % h, k % w);

            nm_assert_close(&f.y[k], &want, 1, 1e-13, 1e-13);
        }
        check_points_are_independent(&f);
        check_tangent(&f);
        check_adjoint(&f);
        check_bounds_contain_samples(&f, 0.1);
        check_bounds_contain_samples(&f, 1);
        check_local_error(&f, 0.1);
        if (mean || c.kernel[0] * c.kernel[1] > 1)
            check_pins(&f);
        teardown(&f);
    }
}

static void global_and_other_pools_have_all_properties(void **state)
{
    const recipe recipes[] = {
        {.onnx_name = "GlobalAveragePool", .n_in = 1, .in = {X(1, 3, 4, 5)}},
        {.onnx_name = "GlobalMaxPool", .n_in = 1, .in = {X(1, 3, 2, 3)}},
        {.onnx_name = "GlobalAveragePool", .n_in = 1, .in = {X(1, 3, 6)}},
        {.onnx_name = "MaxPool", .n_in = 1, .in = {X(1, 1, 6)}, ATTRS(INTS("kernel_shape", 2))},
        {.onnx_name = "MaxPool",
         .n_in = 1,
         .in = {X(1, 1, 2, 3, 2)},
         ATTRS(INTS("kernel_shape", 2, 2, 2))},
        {.onnx_name = "ReduceMean", .n_in = 1, .in = {X(1, 3, 4, 2)}, ATTRS(INTS("axes", 2, 3))},
        {.onnx_name = "ReduceSum", .n_in = 2, .in = {X(1, 3, 4, 2), NUMBERS(-2)}},
        {.onnx_name = "ReduceSum", .n_in = 1, .in = {X(1, 3, 2)}, ATTRS(INT("keepdims", 0))},
        {.onnx_name = "ReduceSum",
         .n_in = 1,
         .in = {X(1, 3, 2)},
         ATTRS(INT("noop_with_empty_axes", 1))},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        check_recipe(&recipes[i], i);
}

static void reductions_match_their_definition(void **state)
{
    const recipe r = {.onnx_name = "ReduceMean",
                      .n_in = 1,
                      .in = {X(1, 3, 4, 2)},
                      ATTRS(INTS("axes", -2, 1), INT("keepdims", 0))};
    fixture f = make(&r, 3);

    (void)state;
    assert_int_equal(f.net->values[f.op->out].shape.rank, 2);
    for (int64_t p = 0; p < N_POINTS; p++)
        for (int64_t k = 0; k < 2; k++) {
            double want = 0;

            for (int64_t i = 0; i < 12; i++)
                want += f.x[0][p * 24 + i * 2 + k] / 12;
            nm_assert_close(&f.y[p * 2 + k], &want, 1, 1e-13, 1e-13);
        }
    teardown(&f);
}

static void sums_over_an_inner_axis_keep_the_others(void **state)
{
    const recipe r = {.onnx_name = "ReduceSum", .n_in = 2, .in = {X(1, 3, 4, 2), NUMBERS(2)}};
    fixture f = make(&r, 3);

    (void)state;
    assert_int_equal(f.net->values[f.op->out].shape.rank, 4);
    for (int64_t k = 0; k < N_POINTS * 6; k++) {
        double want = 0;

        for (int64_t i = 0; i < 4; i++)
            want += f.x[0][k / 2 * 8 + i * 2 + k % 2];
        nm_assert_close(&f.y[k], &want, 1, 1e-13, 1e-13);
    }
    teardown(&f);
}

static void a_tie_goes_to_the_first_element(void **state)
{
    const recipe r = {
        .onnx_name = "MaxPool", .n_in = 1, .in = {X(1, 1, 3)}, ATTRS(INTS("kernel_shape", 3))};
    fixture f = make(&r, 1);
    nm_exec ex = exec_of(&f, 1, false);
    const double z[] = {1, 2, 2}, *in = z, g = 1;
    double back[3] = {0}, *din = back;

    (void)state;
    f.kind->vjp(&ex, &in, z, &g, &din);
    nm_assert_close(back, (const double[]){0, 1, 0}, 3, 0, 0);
    assert_int_equal(f.kind->n_pins(f.net, f.op), 2);
    for (int64_t k = 0; k < 2; k++) {
        nm_pin pin = f.kind->pin(f.net, f.op, z, k);

        assert_int_equal(pin.plus, 1);
        assert_int_equal(pin.minus, k == 0 ? 0 : 2);
    }
    teardown(&f);
}

static void max_pool_bounds_are_tight(void **state)
{
    const recipe r = {
        .onnx_name = "MaxPool", .n_in = 1, .in = {X(1, 1, 3)}, ATTRS(INTS("kernel_shape", 3))};
    fixture f = make(&r, 1);
    nm_exec ex = exec_of(&f, 1, false);
    const double z[] = {0, 1, 0.7}, radius[] = {0.5, 0.1, 0.3}, *in = z, *radii = radius;
    double s, q;

    (void)state;
    f.kind->spread(&ex, &in, &z[1], &radii, &s);
    f.kind->residual(&ex, &in, &z[1], &radii, &q);
    nm_assert_close(&s, &(double){0.3}, 1, 1e-11, 0); /* the first cannot win */
    nm_assert_close(&q, &(double){0.1}, 1, 1e-11, 0); /* 0.3 + 0.1 - (1 - 0.7) */
    teardown(&f);
}

static void senseless_pools_are_refused(void **state)
{
    (void)state;
#define REFUSE_POOL(part, ...)                                                                     \
    assert_refused(                                                                                \
        &(recipe){.onnx_name = "MaxPool", .n_in = 1, .in = {X(1, 2, 5, 5)}, ATTRS(__VA_ARGS__)},   \
        part)
    REFUSE_POOL("'kernel_shape' is missing", INTS("strides", 1, 1));
    REFUSE_POOL("kernel_shape has 1", INTS("kernel_shape", 2));
    REFUSE_POOL("holds 0", INTS("kernel_shape", 0, 2));
    REFUSE_POOL("holds 0", INTS("kernel_shape", 2, 2), INTS("strides", 0, 0));
    REFUSE_POOL("padded image", INTS("kernel_shape", 6, 2));
    REFUSE_POOL("less than the kernel's 2", INTS("kernel_shape", 2, 2), INTS("pads", 2, 0, 0, 0));
    REFUSE_POOL("expected 1 to", INTS("kernel_shape", INT64_MAX, 2));
    assert_refused(&(recipe){.onnx_name = "GlobalMaxPool", .n_in = 1, .in = {X(1, 2)}},
                   "expected batch, channels");
    assert_refused(
        &(recipe){.onnx_name = "ReduceMean", .n_in = 1, .in = {X(1, 2)}, .batch_symbolic = true},
        "mix the points");
    assert_refused(
        &(recipe){
            .onnx_name = "ReduceMean", .n_in = 1, .in = {X(1, 2)}, ATTRS(INTS("axes", 1, -1))},
        "twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_match_their_definition),
        cmocka_unit_test(global_and_other_pools_have_all_properties),
        cmocka_unit_test(reductions_match_their_definition),
        cmocka_unit_test(sums_over_an_inner_axis_keep_the_others),
        cmocka_unit_test(a_tie_goes_to_the_first_element),
        cmocka_unit_test(max_pool_bounds_are_tight),
        cmocka_unit_test(senseless_pools_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
