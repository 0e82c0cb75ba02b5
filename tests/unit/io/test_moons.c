#include "support.h"

#include <math.h>
#include <string.h>

#include "netmend/train.h"

/* make_moons(7, noise=0.1, random_state=3), float32, by its definition in numpy. */
static const float SMALL_X[7][2] = {
    {0x1.323450p-1f, -0x1.740b14p-2f}, {0x1.f43912p+0f, 0x1.fa11a4p-2f},
    {0x1.b52f98p+0f, -0x1.b46268p-2f}, {0x1.80b612p-4f, 0x1.87204cp-2f},
    {-0x1.1c886ap-5f, 0x1.01b27ep+0f}, {0x1.acaaeap-1f, 0x1.45f2b6p-5f},
    {-0x1.29b4d8p+0f, -0x1.05b53ep-4f}};
static const int64_t SMALL_LABELS[7] = {1, 1, 1, 1, 0, 0, 0};

static void assert_same_points(const nm_points *got, const nm_points *want)
{
    assert_int_equal(got->n, want->n);
    assert_int_equal(got->n_in, 2);
    assert_memory_equal(got->x, want->x, (size_t)want->n * 2 * sizeof(float));
    assert_memory_equal(got->labels, want->labels, (size_t)want->n * sizeof(int64_t));
}

static void seven_points_are_those_of_the_definition(void **state)
{
    nm_points points;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_moons(7, 0.1, 3, &points, &err), &err);
    assert_int_equal(points.n, 7);
    assert_int_equal(points.n_in, 2);
    assert_memory_equal(points.x, SMALL_X, sizeof SMALL_X);
    assert_memory_equal(points.labels, SMALL_LABELS, sizeof SMALL_LABELS);
    nm_points_free(&points);
}

static void split_takes_the_rows_of_the_definition(void **state)
{
    static const int64_t want_train[] = {3, 1, 0, 2}, want_test[] = {4, 6, 5};
    nm_points all, train, test;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_moons(7, 0.1, 3, &all, &err), &err);
    nm_assert_ok(nm_split(&all, 0.3, 3, &train, &test, &err), &err);
    assert_int_equal(train.n, 4);
    assert_int_equal(test.n, 3);
    assert_memory_equal(train.rows, want_train, sizeof want_train);
    assert_memory_equal(test.rows, want_test, sizeof want_test);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(&test.x[2 * i], SMALL_X[want_test[i]], sizeof SMALL_X[0]);
        assert_int_equal(test.labels[i], SMALL_LABELS[want_test[i]]);
    }
    nm_points_free(&all);
    nm_points_free(&train);
    nm_points_free(&test);
}

static void load_shared(nm_ctx *ctx, const char *x, const char *y, nm_points *out)
{
    const nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};

    nm_assert_ok(nm_points_load(ctx, nm_shared(x), nm_shared(y), &opts, out, &err), &err);
}

static void published_data_come_out_bit_for_bit(void **state)
{
    nm_points want_train, want_test, all, train, test;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    (void)nm_shared("moons/x_train.npy");
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    load_shared(ctx, "moons/x_train.npy", "moons/y_train.npy", &want_train);
    load_shared(ctx, "moons/x_all.npy", "moons/y_all.npy", &want_test);

    nm_assert_ok(nm_moons(1500, 0.2, 42, &all, &err), &err);
    nm_assert_ok(nm_split(&all, 0.2, 42, &train, &test, &err), &err);
    assert_same_points(&train, &want_train);
    assert_same_points(&test, &want_test);

    nm_points_free(&want_train);
    nm_points_free(&want_test);
    nm_points_free(&all);
    nm_points_free(&train);
    nm_points_free(&test);
    nm_ctx_free(ctx);
}

static void points_without_noise_lie_on_half_circles(void **state)
{
    nm_points points;
    nm_err err = {0};
    int n_lower = 0;

    (void)state;
    nm_assert_ok(nm_moons(101, 0.0, 1, &points, &err), &err);
    for (int64_t i = 0; i < points.n; i++) {
        bool lower = points.labels[i] == 1;
        double x = (double)points.x[2 * i] - (lower ? 1.0 : 0.0);
        double y = (double)points.x[2 * i + 1] - (lower ? 0.5 : 0.0);

        assert_true(fabs(hypot(x, y) - 1.0) < 1e-6);
        assert_true(lower ? y < 1e-6 : y > -1e-6);
        n_lower += lower;
    }
    assert_int_equal(n_lower, 51);
    nm_points_free(&points);
}

static void one_point_is_the_start_of_the_lower_moon(void **state)
{
    nm_points points;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_moons(1, 0.0, 0, &points, &err), &err);
    assert_int_equal(points.labels[0], 1);
    assert_true(points.x[0] == 0.0f && points.x[1] == 0.5f);
    nm_points_free(&points);
}

static void assert_refused(nm_status status, nm_err *err, const char *words)
{
    assert_int_equal(status, NM_E_ARG);
    if (!strstr(err->text, words))
        fail_msg("'%s' does not say '%s'", err->text, words);
    *err = (nm_err){0};
}

static void impossible_wishes_are_refused(void **state)
{
    nm_points all, train, test;
    nm_err err = {0};

    (void)state;
    assert_refused(nm_moons(0, 0.1, 0, &all, &err), &err, "0 points asked");
    assert_refused(nm_moons(INT64_MAX, 0.1, 0, &all, &err), &err, "expected 1 to");
    assert_refused(nm_moons(5, -0.1, 0, &all, &err), &err, "noise -0.1");
    assert_refused(nm_moons(5, (double)NAN, 0, &all, &err), &err, "noise");
    assert_refused(nm_moons(5, (double)INFINITY, 0, &all, &err), &err, "noise inf");

    nm_assert_ok(nm_moons(3, 0.1, 0, &all, &err), &err);
    assert_refused(nm_split(&all, 0.0, 0, &train, &test, &err), &err, "between 0 and 1");
    assert_refused(nm_split(&all, 1.0, 0, &train, &test, &err), &err, "between 0 and 1");
    assert_refused(nm_split(&all, (double)NAN, 0, &train, &test, &err), &err, "between 0 and 1");
    assert_refused(nm_split(&all, 0.9, 0, &train, &test, &err), &err, "leaves none to train on");
    assert_null(train.x);
    assert_null(test.x);
    nm_points_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seven_points_are_those_of_the_definition),
        cmocka_unit_test(split_takes_the_rows_of_the_definition),
        cmocka_unit_test(published_data_come_out_bit_for_bit),
        cmocka_unit_test(points_without_noise_lie_on_half_circles),
        cmocka_unit_test(one_point_is_the_start_of_the_lower_moon),
        cmocka_unit_test(impossible_wishes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
