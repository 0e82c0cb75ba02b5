/* Analysing repair sets whose properties are known. */
#include "heuristic_support.h"

#include "choose/hull.h"

static nm_set_analysis analyse(nm_net *net, nm_points *points, nm_points *reference)
{
    nm_repair_task task = {.repair = points, .reference = reference};
    nm_set_analysis a;
    nm_ctx *ctx;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_set_analyse(ctx, net, &task, &a, &err), &err);
    nm_ctx_free(ctx);
    return a;
}

/* A square with its middle, and one corner twice. */
static void a_square_has_four_vertices(void **state)
{
    float x[] = {0, 0, 2, 0, 0, 2, 2, 2, 1, 1, 0, 0};
    nm_net *net = identity_net();
    nm_points points = make_points(x, (int64_t[]){0, 1, 1, 0, 0, 0}, 6, 2);
    nm_set_analysis a = analyse(net, &points, NULL);

    (void)state;
    assert_int_equal(a.hull_dimension, 2);
    assert_int_equal(a.hull_vertices, 4);
    assert_int_equal(a.n_classes, 2);
    nm_assert_close(&a.class_entropy, &(double){log(3) - 2.0 / 3 * log(2)}, 1, 1e-12, 0);
    nm_assert_close(&a.input.least, &(double){0}, 1, 0, 1e-9);
    /* (2,0) is class 0 but wants 1 by 2; (0,2) is right; ties count as wrong and behind by 0 */
    nm_assert_close(&a.deficit, &(double){2}, 1, 1e-6, 0);
    assert_int_equal(a.n_wrong, 5);
    assert_int_equal(a.rows, 6);
    assert_int_equal(a.patterns, -1);
    assert_int_equal(a.n_conflicts, 0);
    nm_set_analysis_free(&a);
    nm_points_free(&points);
    nm_net_free(net);
}

/* Points on a line in many dimensions: dimension 1, two vertices. */
static void a_line_has_two_vertices(void **state)
{
    float x[7 * 40], direction[40];
    nm_rng rng = {.seed = 4};
    nm_hull hull;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    fill_normal(&rng, direction, 40);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 40; k++)
            x[40 * i + k] = (float)((i * i - 8) * 0.25) * direction[k];
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_hull_of(ctx, x, 7, 40, &hull, &err), &err);
    assert_int_equal(hull.dimension, 1);
    assert_int_equal(hull.vertices, 2);
    nm_assert_ok(nm_hull_of(ctx, x, 1, 40, &hull, &err), &err);
    assert_int_equal(hull.dimension, 0);
    assert_int_equal(hull.vertices, 1);
    nm_ctx_free(ctx);
}

/* In the plane, against the gift-wrapping count of the hull. */
static void random_hulls_are_those_of_gift_wrapping(void **state)
{
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    for (uint64_t seed = 0; seed < 20; seed++) {
        enum { N = 15 };
        float x[2 * N];
        nm_rng rng = {.seed = seed};
        nm_hull hull;
        int start = 0, at, wrapped = 0;

        fill_normal(&rng, x, 2 * N);
        for (int i = 1; i < N; i++)
            start = x[2 * i] < x[2 * start] ? i : start;
        at = start;
        do {
            int next = (at + 1) % N;

            for (int i = 0; i < N; i++) {
                double ax = (double)x[2 * next] - (double)x[2 * at];
                double ay = (double)x[2 * next + 1] - (double)x[2 * at + 1];
                double bx = (double)x[2 * i] - (double)x[2 * at];
                double by = (double)x[2 * i + 1] - (double)x[2 * at + 1];

                next = ax * by - ay * bx < 0 ? i : next;
            }
            at = next;
            wrapped++;
        } while (at != start);
        nm_assert_ok(nm_hull_of(ctx, x, N, 2, &hull, &err), &err);
        assert_int_equal(hull.dimension, 2);
        if (hull.vertices != wrapped)
            fail_msg("seed %d: %d vertices, wrapped %d", (int)seed, (int)hull.vertices, wrapped);
    }
    nm_ctx_free(ctx);
}

/* |x| by two neurons: each half axis is one pattern; behind the first layer -1 and 1 look the same
   when both neurons give the same. */
static void patterns_and_merged_points_are_found(void **state)
{
    float x[] = {-2, -1, 1, 2, 1};
    nm_net *net = make_chain(1, "Relu", (int64_t[]){1, 2, 1, 2}, 3);
    nm_points points = make_points(x, (int64_t[]){0, 0, 1, 0, 0}, 5, 1);
    nm_set_analysis a;

    (void)state;
    set_layer(net, 0, (double[]){1, -1}, (double[]){0, 0});
    set_layer(net, 1, (double[]){1, 1}, (double[]){0});
    set_layer(net, 2, (double[]){1, 0}, (double[]){0, 0});
    a = analyse(net, &points, NULL);
    assert_int_equal(a.patterns, 2);
    assert_true(a.n_conflicts >= 2);
    assert_int_equal(a.conflicts[0].a, 2); /* the same input, other label */
    assert_int_equal(a.conflicts[0].b, 4);
    assert_int_equal(a.conflicts[0].layer, -1);
    assert_int_equal(a.conflicts[1].a, 1); /* -1 and 1, from layer 2 on */
    assert_int_equal(a.conflicts[1].b, 2);
    assert_int_equal(a.conflicts[1].layer, 2);
    nm_set_analysis_free(&a);
    nm_points_free(&points);
    nm_net_free(net);
}

static void convolutional_sets_are_analysed_alike_by_any_threads(void **state)
{
    nm_net *net = make_residual(3);
    float x[12 * 128];
    int64_t labels[12];
    nm_rng rng = {.seed = 8};
    nm_points points;
    nm_set_analysis one, two;

    (void)state;
    fill_normal(&rng, x, 12 * 128);
    for (int i = 0; i < 12; i++)
        labels[i] = i % 2;
    points = make_points(x, labels, 12, 128);
    one = analyse(net, &points, &points);
    two = analyse(net, &points, &points);
    assert_int_equal(one.hull_dimension, 11);
    assert_int_equal(one.hull_vertices, 12);
    assert_int_equal(one.patterns, 12);
    nm_assert_close(&one.near_share, &(double){1}, 1, 1e-12, 0);
    assert_true(one.feature.mean == two.feature.mean && one.deficit == two.deficit);
    nm_set_analysis_free(&one);
    nm_set_analysis_free(&two);
    nm_points_free(&points);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_square_has_four_vertices),
        cmocka_unit_test(a_line_has_two_vertices),
        cmocka_unit_test(random_hulls_are_those_of_gift_wrapping),
        cmocka_unit_test(patterns_and_merged_points_are_found),
        cmocka_unit_test(convolutional_sets_are_analysed_alike_by_any_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
