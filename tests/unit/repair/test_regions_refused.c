/* Regions that have no repair, or none within limits: said so, and nothing is written. */
#include "regions_support.h"

static void test_nothing_allowed(void **state)
{
    rig r = open_rig(190, "all", true);
    nm_err err = {0};

    (void)state;
    char text[512];

    (void)snprintf(text, sizeof text, "%s(assert (or (>= X_0 0.1) (>= Y_0 1000.0)))", a_box);
    r.property = property_of(text);
    nm_assert_ok(nm_regions_from_property(r.property, &r.regions, &err), &err);
    run(&r);
    check_not_repaired(&r, NM_INFEASIBLE, "allows no outputs");
    close_rig(&r);
}

static void test_contradiction(void **state)
{
    const double twins[] = {0, 0, 0, 1, 0, 0, /**/ 0, 0, 0, 0, 1, 0};
    const double crossing[] = {-1, 0, 0, 1, 0, 0, /**/ 0, -1, 0, 0, 1, 0};
    rig r = open_rig(200, "all", true);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_regions_from_vertices(twins, 2, 2, N_IN, &r.regions, &err), &err);
    r.targets[0] = 0;
    r.targets[1] = 1;
    run(&r);
    check_not_repaired(&r, NM_INFEASIBLE, "regions 0 and 1 share a vertex");
    close_rig(&r);

    r = open_rig(201, "all", true); /* they meet inside */
    nm_assert_ok(nm_regions_from_vertices(crossing, 2, 2, N_IN, &r.regions, &err), &err);
    r.targets[0] = 0;
    r.targets[1] = 1;
    run(&r);
    check_not_repaired(&r, NM_LIMIT, "contradict");
    close_rig(&r);
}

static void test_bounds_too_tight(void **state)
{
    rig r = open_rig(220, "all", true);
    nm_err err = {0};

    (void)state;
    random_hulls(&r, 1, 3, 0.4);
    want_second(&r);
    nm_assert_ok(nm_plan_set_bounds(r.plan, -1e-9, 1e-9, &err), &err);
    run(&r);
    check_not_repaired(&r, NM_LIMIT, "contradict");
    close_rig(&r);
}

static void test_time_limit(void **state)
{
    rig r = open_rig(230, "all", true);

    (void)state;
    random_hulls(&r, 1, 3, 0.4);
    want_second(&r);
    nm_ctx_set_time_limit(ctx, 0);
    run(&r);
    nm_ctx_set_time_limit(ctx, INFINITY);
    check_not_repaired(&r, NM_LIMIT, "time limit");
    assert_true(r.report.repair.stopped);
    close_rig(&r);
}

static void refuse(rig *r, nm_status status, const char *words)
{
    nm_err err = {0};

    assert_int_equal(run_status(r, &err), status);
    if (!strstr(err.text, words))
        fail_msg("'%s' lacks '%s'", err.text, words);
    assert_false(file_exists(r->path));
    close_rig(r);
}

static void test_refusals(void **state)
{
    const double x[] = {1, 2};
    rig r = open_rig(240, "all", true);
    nm_err err = {0};

    (void)state;
    random_hulls(&r, 2, 3, 0.4);
    r.opts.max_parts = 1;
    refuse(&r, NM_E_ARG, "1 parts for 2 regions");

    r = open_rig(240, "all", true);
    random_hulls(&r, 1, 3, 0.4);
    r.targets[0] = N_OUT;
    refuse(&r, NM_E_ARG, "class 3, expected 0 to 2");

    r = open_rig(240, "all", true);
    random_hulls(&r, 1, 3, 0.4);
    r.opts.repair.margin = -1;
    refuse(&r, NM_E_ARG, "margin -1");

    r = open_rig(240, "all", true);
    nm_assert_ok(nm_regions_from_vertices(x, 1, 1, 2, &r.regions, &err), &err);
    refuse(&r, NM_E_SHAPE, "regions of 2 inputs, the network has 3");

    r = open_rig(240, "all", true);
    random_hulls(&r, 3, 2, 0.4);
    r.property = property_of("(assert (or (and (<= X_0 0) (>= X_0 0) (<= X_1 0) (>= X_1 0) (<= X_2 "
                             "0) (>= X_2 0) (<= Y_0 0)) (and (<= X_0 1) (>= X_0 1) (<= X_1 0) (>= "
                             "X_1 0) (<= X_2 0) (>= X_2 0) (<= Y_0 0))))");
    refuse(&r, NM_E_ARG, "has 2 boxes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_allowed),  cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_bounds_too_tight), cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
