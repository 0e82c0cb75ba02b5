/* Corners around a counterexample: of the largest box that is mostly unsafe, within the property's.
 */
#include "make_net.h"
#include "test_ctx.h"

#include "repair/hunt_corners.h"

enum { N_IN = 2 };

/* y = x_0, and 0 x_1 */
static nm_net *first_input(void)
{
    const int64_t widths[] = {N_IN, 1};
    const double weights[] = {1, 0}, bias = 0;
    nm_net *net = make_chain(1, "Relu", widths, 1);
    nm_err err = {0};

    nm_assert_ok(nm_net_set_layer(net, 0, false, weights, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, true, &bias, &err), &err);
    return net;
}

/* [-1, 1]^2, unsafe where y <= limit */
static nm_property *below(double limit)
{
    const double lo[] = {-1, -1}, hi[] = {1, 1}, coef = 1;
    const int32_t output = 0;
    const nm_out_row row = {
        .n_terms = 1, .output = &output, .coef = &coef, .limit_in = limit, .limit_out = limit};
    const nm_out_case cases = {.n_rows = 1};
    nm_property *property;
    nm_err err = {0};

    nm_assert_ok(nm_property_from_box(lo, hi, N_IN, 1, &cases, 1, &row, 1, &property, &err), &err);
    return property;
}

typedef struct rig {
    nm_net *net;
    nm_property *property;
    nm_preys preys;
    int64_t found;
} rig;

static rig run(double limit, float x0, float x1, double near)
{
    rig r = {.net = first_input(), .property = below(limit), .preys = {.n_in = N_IN}};
    const float x[] = {x0, x1};
    nm_err err = {0};

    nm_assert_ok(nm_preys_add_corners(ctx, r.net, r.property, x, near, &r.preys, &r.found, &err),
                 &err);
    return r;
}

static void close_rig(rig *r)
{
    nm_preys_clear(&r->preys);
    nm_property_free(r->property);
    nm_net_free(r->net);
}

/* All of the box is unsafe: a quarter of its widths to each side, cut off at its ends. */
static void test_largest(void **state)
{
    rig r = run(5, 0.75F, 0, 0);
    const float corners[] = {0.25F, -0.5F, 1, -0.5F, 0.25F, 0.5F, 1, 0.5F};

    (void)state;
    assert_int_equal(r.found, 1);
    assert_int_equal(r.preys.n, 4);
    nm_assert_close_f32(r.preys.x, corners, 8, 0, 0);
    close_rig(&r);
}

/* Unsafe below -0.9, around -0.95: -0.95 + 2 s <= -0.9 for the right corners. */
static void test_shrinks(void **state)
{
    rig r = run(-0.9, -0.95F, 0, 0);

    (void)state;
    assert_int_equal(r.found, 1);
    assert_int_equal(r.preys.n, 4);
    for (int i = 0; i < 4; i++) {
        assert_true(r.preys.x[2 * i] >= -1 && r.preys.x[2 * i] <= -0.9F);
        assert_true(fabsf(fabsf(r.preys.x[2 * i + 1]) - 0.03125F) < 1e-6F); /* 1/64 of 2 */
    }
    close_rig(&r);
}

/* A safe point, one outside of the box, a box of a point: nothing. */
static void test_none(void **state)
{
    rig safe = run(-2, 0, 0, 0), outside = run(5, 2, 0, 0);
    nm_net *net = first_input();
    const double at[] = {0.5, 0.5}, coef = 1;
    const float x[] = {0.5F, 0.5F};
    const int32_t output = 0;
    const nm_out_row row = {.n_terms = 1, .output = &output, .coef = &coef, .limit_out = 9};
    const nm_out_case cases = {.n_rows = 1};
    nm_preys preys = {.n_in = N_IN};
    nm_property *point;
    int64_t found = 0;
    nm_err err = {0};

    (void)state;
    assert_int_equal(safe.found + outside.found + safe.preys.n + outside.preys.n, 0);
    nm_assert_ok(nm_property_from_box(at, at, N_IN, 1, &cases, 1, &row, 1, &point, &err), &err);
    nm_assert_ok(nm_preys_add_corners(ctx, net, point, x, 0, &preys, &found, &err), &err);
    assert_int_equal(found + preys.n, 0);
    nm_property_free(point);
    nm_net_free(net);
    close_rig(&safe);
    close_rig(&outside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_none),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
