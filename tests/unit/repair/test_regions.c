/* Repair of regions: what comes out is looked at by dense sampling, by the verifier and by plain
 * loops over the vertices' signs. */
#include "regions_support.h"

/* All layers, one after the other: every vertex of a region ends on one side of every neuron. */
static void test_hulls_in_steps(void **state)
{
    int n_wrong = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        rig r = open_rig(seed, "all", true);

        random_hulls(&r, 1 + (int64_t)(seed % 3), 2 + (int64_t)(seed % 4), 0.4);
        want_second(&r);
        n_wrong += count_wrong(&r, r.net) > 0;
        run(&r);
        check_repaired(&r);
        for (int64_t p = 0; p < r.regions.n; p++)
            if (r.report.regions[p].n_parts == 1) {
                assert_int_equal(r.report.regions[p].proof, NM_REGION_LINEAR);
                assert_int_equal(count_split_neurons(&r, r.fixed, p), 0);
            }
        close_rig(&r);
    }
    assert_true(n_wrong > 15); /* there was something to do */
}

static void test_boxes_in_steps(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        rig r = open_rig(50 + seed, "all", true);

        random_boxes(&r, 1 + (int64_t)(seed % 3), 0.5);
        want_second(&r);
        run(&r);
        check_repaired(&r);
        close_rig(&r);
    }
}

/* Weights of the first layer and biases of all: one program. */
static void test_one_program(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        rig r = open_rig(80 + seed, "0..", false);

        random_hulls(&r, 1, 3, 0.3);
        want_second(&r);
        run(&r);
        check_repaired(&r);
        close_rig(&r);
    }
}

/* Pieces end in front of the last layer, where nothing may change: boxes are cut, or left to the
   verifier. */
static void test_last_layer(void **state)
{
    int64_t parts = 0, searched = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        rig r = open_rig(100 + seed, "last", false);

        random_boxes(&r, 1, 0.6);
        want_second(&r);
        run(&r);
        check_repaired(&r);
        parts += r.report.n_parts;
        searched += r.report.regions[0].proof == NM_REGION_SEARCH;
        close_rig(&r);
    }
    assert_true(parts > 8 || searched > 0);
}

/* Without the verifier, and for hulls, cutting is all there is. */
static void test_cut_hulls(void **state)
{
    int64_t parts = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        rig r = open_rig(120 + seed, "last", false);

        random_hulls(&r, 1, 3, 0.15);
        want_second(&r);
        run(&r);
        check_repaired(&r);
        parts += r.report.n_parts;
        close_rig(&r);
    }
    assert_true(parts > 4);
}

/* Two boxes with a face in common that lie on different pieces of the original. */
static void test_shared_face(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        const double lo[] = {-0.6, -0.3, 0, 0, -0.3, 0}, hi[] = {0, 0.3, 0.4, 0.6, 0.3, 0.4};
        rig r = open_rig(140 + seed, "all", true);
        nm_err err = {0};

        nm_assert_ok(nm_regions_from_boxes(lo, hi, 2, N_IN, &r.regions, &err), &err);
        want_second(&r);
        r.targets[1] = r.targets[0];
        run(&r);
        check_repaired(&r);
        assert_true(r.report.n_vertices < r.regions.first[2] || r.report.n_parts > 2);
        close_rig(&r);
    }
}

static void test_points_and_twice_the_same(void **state)
{
    const double x[] = {0.3, -0.2, 0.9, 0.3, -0.2, 0.9};
    rig r = open_rig(160, "all", true);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_regions_from_vertices(x, 1, 2, N_IN, &r.regions, &err), &err);
    assert_int_equal(r.regions.first[1], 1);
    want_second(&r);
    run(&r);
    check_repaired(&r);
    close_rig(&r);

    r = open_rig(160, "all", true); /* one region twice */
    nm_assert_ok(nm_regions_from_vertices(x, 2, 1, N_IN, &r.regions, &err), &err);
    want_second(&r);
    run(&r);
    check_repaired(&r);
    assert_int_equal(r.report.n_vertices, 1);
    close_rig(&r);
}

/* Outputs that are excluded by several conditions at once: one of them has to be broken. */
static void test_property(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        char text[512];
        rig r = open_rig(180 + seed, "all", true);
        nm_err err = {0};

        (void)snprintf(text, sizeof text,
                       "%s(assert (or (and (<= Y_0 Y_1) (<= Y_0 Y_2)) (and (<= Y_1 Y_0) (>= Y_2 "
                       "0.1))))",
                       a_box);
        r.property = property_of(text);
        nm_assert_ok(nm_regions_from_property(r.property, &r.regions, &err), &err);
        run(&r);
        check_repaired(&r);
        close_rig(&r);
    }
}

static void test_already_right(void **state)
{
    rig r = open_rig(210, "all", true);
    double y[N_OUT];
    nm_err err = {0};

    (void)state;
    random_hulls(&r, 1, 3, 1e-6);
    nm_assert_ok(nm_net_forward_f64(ctx, r.net, r.regions.vertex, 1, y, &err), &err);
    for (int64_t i = 1; i < N_OUT; i++)
        r.targets[0] = y[i] > y[r.targets[0]] ? i : r.targets[0];
    run(&r);
    check_repaired(&r);
    assert_true(r.report.regions[0].proven_before);
    assert_int_equal(r.report.repair.n_changed, 0);
    assert_int_equal(r.report.n_programs, 0);
    close_rig(&r);
}

/* Convolutions, pools, a residual connection: whatever is piecewise linear. */
static void test_image_network(void **state)
{
    rig r = rig_of(make_residual_with(3, "Relu"), 3, "last", true);

    (void)state;
    nm_plan_free(r.plan);
    r.plan = NULL;
    {
        nm_err err = {0};

        nm_assert_ok(nm_plan_new(r.net, &r.plan, &err), &err);
        for (int l = 0; l < nm_net_n_layers(r.net); l++) {
            nm_layer_info info;

            nm_assert_ok(nm_net_layer_info(r.net, l, &info, &err), &err);
            if (!info.locked)
                nm_assert_ok(nm_plan_mark(r.plan, l, NM_FREE_ALL, &err), &err);
        }
        nm_plan_set_joint(r.plan, true);
    }
    random_hulls(&r, 1, 3, 0.01);
    want_second(&r);
    assert_true(count_wrong(&r, r.net) > 0);
    r.path[0] = '\0'; /* such a network cannot be written anew: in memory */
    run(&r);
    assert_int_equal(r.report.repair.outcome, NM_REPAIRED);
    assert_int_equal(r.report.n_proven, 1);
    assert_int_equal(count_wrong(&r, r.fixed), 0);
    close_rig(&r);
}

/* The same bits for any number of threads. */
static void test_threads(void **state)
{
    double change[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        rig r = open_rig(250, "all", true);

        nm_ctx_set_threads(ctx, i ? 2 : 1);
        random_boxes(&r, 3, 0.5);
        want_second(&r);
        run(&r);
        change[i] = r.report.repair.change_l2;
        close_rig(&r);
    }
    assert_true(change[0] == change[1] && change[0] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hulls_in_steps),
        cmocka_unit_test(test_boxes_in_steps),
        cmocka_unit_test(test_one_program),
        cmocka_unit_test(test_last_layer),
        cmocka_unit_test(test_cut_hulls),
        cmocka_unit_test(test_shared_face),
        cmocka_unit_test(test_points_and_twice_the_same),
        cmocka_unit_test(test_property),
        cmocka_unit_test(test_already_right),
        cmocka_unit_test(test_image_network),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
