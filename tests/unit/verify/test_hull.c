/* What a network gives over a hull: the bound lies below everything that is sampled there, and
 * where the hull lies in one linear region it is the least over the vertices. */
#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "verify/hull.h"

enum { MOST_IN = 128, MOST_VERTICES = 8, N_SAMPLES = 400, N_ROWS = 3, MOST_OUT = 4 };

typedef struct rig {
    nm_net *net;
    int64_t n_in, n_out, n;
    double vertex[MOST_VERTICES * MOST_IN];
    double coef[N_ROWS * MOST_OUT];
    nm_hull_row rows[N_ROWS];
    nm_hull_bound bound[N_ROWS];
    nm_rng rng;
} rig;

/* Vertices around a random centre, `size` away from it. */
static rig open_rig(nm_net *net, uint64_t seed, int64_t n, double size)
{
    rig r = {.net = net, .n = n, .rng = {.seed = seed}};
    double centre[MOST_IN];

    r.n_in = nm_net_n_in(net);
    r.n_out = nm_net_n_out(net);
    assert_true(r.n_in <= MOST_IN && r.n_out <= MOST_OUT);
    for (int64_t i = 0; i < r.n_in; i++)
        centre[i] = nm_rng_normal(&r.rng);
    for (int64_t k = 0; k < n * r.n_in; k++)
        r.vertex[k] = centre[k % r.n_in] + size * nm_rng_normal(&r.rng);
    for (int64_t k = 0; k < N_ROWS; k++) {
        for (int64_t i = 0; i < r.n_out; i++)
            r.coef[k * r.n_out + i] = nm_rng_normal(&r.rng);
        r.rows[k].coef = r.coef + k * r.n_out;
        r.rows[k].limit = nm_rng_normal(&r.rng);
    }
    /* rows lend from the rig that is given away: set again by check() */
    return r;
}

static void check(rig *r, bool float32)
{
    nm_hull hull = {
        .vertex = r->vertex, .n = r->n, .rows = r->rows, .n_rows = N_ROWS, .float32 = float32};
    nm_err err = {0};

    for (int64_t k = 0; k < N_ROWS; k++)
        r->rows[k].coef = r->coef + k * r->n_out;
    nm_assert_ok(nm_hull_check(r->net, &hull, r->bound, &err), &err);
}

static double row_value(const rig *r, int64_t k, const double *y)
{
    double sum = -r->rows[k].limit;

    for (int64_t i = 0; i < r->n_out; i++)
        sum += r->coef[k * r->n_out + i] * y[i];
    return sum;
}

/* A random point of the hull; some of them on its edges, and the first ones its vertices. */
static void draw(rig *r, int64_t sample, double *x)
{
    double share[MOST_VERTICES] = {0}, sum = 0;

    for (int64_t v = 0; v < r->n; v++) {
        share[v] = -log(nm_rng_uniform(&r->rng) + 1e-12);
        if (sample % 3 == 1 && v > 1)
            share[v] = 0;
        if (sample < r->n)
            share[v] = v == sample;
        sum += share[v];
    }
    for (int64_t i = 0; i < r->n_in; i++) {
        x[i] = 0;
        for (int64_t v = 0; v < r->n; v++)
            x[i] += share[v] / sum * r->vertex[v * r->n_in + i];
    }
}

/* Least of each row over samples. */
static void sample_least(rig *r, double *least)
{
    double *x = malloc((size_t)(N_SAMPLES * r->n_in) * sizeof *x);
    double *y = malloc((size_t)(N_SAMPLES * r->n_out) * sizeof *y);
    nm_err err = {0};

    assert_non_null(x);
    assert_non_null(y);
    for (int64_t s = 0; s < N_SAMPLES; s++)
        draw(r, s, x + s * r->n_in);
    nm_assert_ok(nm_net_forward_f64(ctx, r->net, x, N_SAMPLES, y, &err), &err);
    for (int64_t k = 0; k < N_ROWS; k++) {
        least[k] = INFINITY;
        for (int64_t s = 0; s < N_SAMPLES; s++)
            least[k] = fmin(least[k], row_value(r, k, y + s * r->n_out));
    }
    free(x);
    free(y);
}

/* Bounds lie below samples, give or take the rounding of a sample's input. */
static void check_below(rig *r)
{
    double least[N_ROWS];

    check(r, false);
    sample_least(r, least);
    for (int64_t k = 0; k < N_ROWS; k++)
        assert_true(r->bound[k].least <= least[k] + 1e-9 * (1 + fabs(least[k])));
}

static void test_below_samples(void **state)
{
    static const char *const activations[] = {"Relu", "HardSwish", "Sigmoid", "Tanh", "Abs"};
    const int64_t widths[] = {4, 9, 7, 3};

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        const char *name = activations[seed % 5];
        rig r = open_rig(make_chain(seed, name, widths, 3), seed, 2 + (int64_t)(seed % 6),
                         pow(10, -3 + (double)(seed % 4)));

        check_below(&r);
        nm_net_free(r.net);
    }
}

/* Convolution, batch normalisation, pools, residual connections, clip. */
static void test_below_samples_of_images(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        rig r = open_rig(make_residual(seed), 100 + seed, 3, pow(10, -4 + (double)(seed % 4)));

        check_below(&r);
        nm_net_free(r.net);
    }
}

/* In a hull so small that no piece ends in it the network is affine: nothing is lost but roundings.
   Both kinds have to occur. */
static void test_sharp_in_one_region(void **state)
{
    const int64_t widths[] = {3, 8, 8, 3};
    int n_sharp = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        rig r = open_rig(make_chain(seed, "Relu", widths, 3), 7 + seed, 4, 1e-4);
        double least[N_ROWS];

        check(&r, false);
        sample_least(&r, least);
        for (int64_t k = 0; k < N_ROWS; k++) {
            if (r.bound[k].bends > 0)
                continue;
            n_sharp++;
            assert_true(fabs(r.bound[k].least - least[k]) < 1e-9);
            assert_true(fabs(r.bound[k].at_vertex - least[k]) < 1e-9);
        }
        nm_net_free(r.net);
    }
    assert_true(n_sharp > 60);
}

/* What float32 evaluation gives lies above the bound for it, which lies below the other one. */
static void test_float32(void **state)
{
    const int64_t widths[] = {20, 60, 40, 3};

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r = open_rig(make_chain(seed, "Relu", widths, 3), seed, 3, 1e-3);
        float x[MOST_IN], y[MOST_OUT];
        double real[N_ROWS];
        nm_err err = {0};

        for (int64_t i = 0; i < r.n * r.n_in; i++)
            r.vertex[i] = (double)(float)r.vertex[i];
        check(&r, false);
        for (int64_t k = 0; k < N_ROWS; k++)
            real[k] = r.bound[k].least;
        check(&r, true);
        for (int64_t v = 0; v < r.n; v++) {
            double y64[MOST_OUT];

            for (int64_t i = 0; i < r.n_in; i++)
                x[i] = (float)r.vertex[v * r.n_in + i];
            nm_assert_ok(nm_net_forward_f32(ctx, r.net, x, 1, y, &err), &err);
            for (int64_t i = 0; i < r.n_out; i++)
                y64[i] = (double)y[i];
            for (int64_t k = 0; k < N_ROWS; k++)
                assert_true(r.bound[k].least <= row_value(&r, k, y64));
        }
        for (int64_t k = 0; k < N_ROWS; k++) {
            assert_true(r.bound[k].least < real[k]);
            assert_true(r.bound[k].rounding > 1e-7);
        }
        nm_net_free(r.net);
    }
}

/* A vertex that sticks out of a linear region by little costs little. */
static void test_degrades_gently(void **state)
{
    const int64_t widths[] = {1, 1, 1};
    nm_net *net = make_chain(3, "Relu", widths, 2);
    const double one = 1, zero = 0;
    double coef = 1;
    nm_hull_row row = {.coef = &coef};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_set_layer(net, 0, false, &one, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, true, &zero, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 1, false, &one, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 1, true, &zero, &err), &err);
    for (double out = 1e-9; out < 1e-2; out *= 10) { /* relu on [-out, 1] */
        const double vertex[] = {-out, 1};
        nm_hull hull = {.vertex = vertex, .n = 2, .rows = &row, .n_rows = 1};
        nm_hull_bound bound;

        nm_assert_ok(nm_hull_check(net, &hull, &bound, &err), &err);
        assert_true(bound.least <= 0 && bound.least >= -2.1 * out);
        assert_true(bound.bends >= out && bound.bends <= 1.1 * out);
    }
    nm_net_free(net);
}

/* Numbers that run over are no proof. */
static void test_overflow(void **state)
{
    const int64_t widths[] = {2, 4, 2};
    rig r = open_rig(make_chain(5, "Relu", widths, 2), 5, 3, 1);

    (void)state;
    for (int64_t i = 0; i < r.n * r.n_in; i++)
        r.vertex[i] *= 1e300;
    for (int64_t k = 0; k < N_ROWS; k++)
        r.rows[k].limit = -1e30;
    check(&r, true);
    for (int64_t k = 0; k < N_ROWS; k++)
        assert_true(r.bound[k].least == -INFINITY);
    nm_net_free(r.net);
}

/* 1e10 times 1e30 is too much for float32, whatever comes behind it: also where nothing depends on
 * it. */
static void test_overflow_of_float32(void **state)
{
    (void)state;
    for (int depends = 0; depends < 2; depends++) {
        net_maker m = make_net(6, MAKE_SHAPE(1, 2));
        rig r;

        make_op(&m, "Mul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(1, 2), 1e30, 0)}, 2, NULL, 0);
        make_unary(&m, "Relu");
        make_op(&m, "Mul",
                (int[]){m.at, make_constant(&m, MAKE_SHAPE(1, 2), depends ? 1e-30 : 0, 0)}, 2, NULL,
                0);
        r = open_rig(make_done(&m), 6, 2, 1);
        for (int64_t i = 0; i < 4; i++)
            r.vertex[i] = 1e10 * (double)(i % 2 + 1) + 1e9 * (double)(i / 2);
        for (int64_t k = 0; k < N_ROWS; k++) {
            r.coef[2 * k] = -1;
            r.coef[2 * k + 1] = 1;
            r.rows[k].limit = -1;
        }
        check(&r, true);
        for (int64_t k = 0; k < N_ROWS; k++)
            assert_true(r.bound[k].least == -INFINITY);
        check(&r, false); /* real arithmetic does not overflow */
        for (int64_t k = 0; k < N_ROWS; k++)
            assert_true(r.bound[k].least > 0);
        nm_net_free(r.net);
    }
}

/* A denormal input may be read as 0. */
static void test_denormal_inputs(void **state)
{
    net_maker m = make_net(7, MAKE_SHAPE(1, 2));
    rig r;

    (void)state;
    make_unary(&m, "Relu");
    r = open_rig(make_done(&m), 7, 1, 1);
    r.vertex[0] = 0x1p-130;
    r.vertex[1] = 0;
    for (int64_t k = 0; k < N_ROWS; k++) {
        r.coef[2 * k] = 1;
        r.coef[2 * k + 1] = -1;
        r.rows[k].limit = 0;
    }
    check(&r, true);
    assert_true(r.bound[0].least <= 0);
    check(&r, false);
    assert_true(r.bound[0].least > 0);
    nm_net_free(r.net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below_samples),       cmocka_unit_test(test_below_samples_of_images),
        cmocka_unit_test(test_sharp_in_one_region), cmocka_unit_test(test_float32),
        cmocka_unit_test(test_degrades_gently),     cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_overflow_of_float32), cmocka_unit_test(test_denormal_inputs),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
