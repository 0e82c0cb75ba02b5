/* Tails: parts of a network behind its edited layers, for sets of points. */
#include "problem_support.h"

static void assert_same_values(const nm_tail *a, int64_t from_a, const nm_tail *b, int64_t from_b,
                               int64_t n)
{
    for (int v = 0; v < a->base->n_values; v++) {
        size_t size = (size_t)a->base->values[v].size;

        assert_true(!a->at->val[v] == !b->at->val[v]);
        if (a->at->val[v])
            nm_assert_close(a->at->val[v] + (size_t)from_a * size,
                            b->at->val[v] + (size_t)from_b * size, (size_t)n * size, 1e-13, 1e-13);
    }
}

static void subsets_and_appended_tails_equal_fresh_ones(void **state)
{
    const int64_t points[] = {4, 0, 4, 2};

    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 5);
        nm_tail *subset, *lean;
        nm_err err = {0};

        nm_assert_ok(nm_tail_new(ctx, p.net, p.params, p.x, p.n, true, &lean, &err), &err);
        nm_assert_ok(
            nm_tail_subset(ctx, i % 2 ? p.tail : lean, points, 4, p.tail->delta, &subset, &err),
            &err);
        for (int k = 0; k < 4; k++)
            assert_same_values(subset, k, p.tail, points[k], 1);
        nm_assert_ok(nm_tail_append(subset, lean, (int64_t[]){1, 3}, 2, &err), &err);
        nm_assert_ok(nm_tail_append(subset, subset, (int64_t[]){0}, 1, &err), &err);
        nm_assert_ok(nm_tail_move(ctx, subset, p.tail->delta, &err), &err);
        assert_int_equal(subset->at->n, 7);
        assert_same_values(subset, 4, p.tail, 1, 1);
        assert_same_values(subset, 5, p.tail, 3, 1);
        assert_same_values(subset, 6, p.tail, 4, 1);
        assert_same_values(subset, 0, p.tail, 4, 1);
        nm_tail_free(subset);
        nm_tail_free(lean);
        close_problem(&p);
    }
}

static void twins_are_points_with_equal_frontiers(void **state)
{
    static const int64_t widths[] = {3, 4, 4, 2};
    nm_net *net = make_chain(20, "Relu", widths, 3);
    float *x = random_points(20, 5 * 3);
    double dead[4] = {-1e3, -1e3, -1e3, -1e3};
    problem p;
    nm_err err = {0};

    (void)state;
    memcpy(x + 6, x, 3 * sizeof *x);
    p = open_problem(net, x, 5, edits[0]);
    assert_int_equal(nm_tail_same_as(p.tail, 0), -1);
    assert_int_equal(nm_tail_same_as(p.tail, 1), -1);
    assert_int_equal(nm_tail_same_as(p.tail, 2), 0);
    assert_int_equal(nm_tail_same_as(p.tail, 3), -1);
    close_problem(&p);
    /* behind a dead layer all points are one */
    net = make_chain(20, "Relu", widths, 3);
    nm_assert_ok(nm_net_set_layer(net, 1, true, dead, &err), &err);
    p = open_problem(net, random_points(20, 5 * 3), 5, edits[5]);
    for (int64_t i = 1; i < 5; i++)
        assert_int_equal(nm_tail_same_as(p.tail, i), 0);
    close_problem(&p);
}

static void only_the_last_layer_has_an_affine_tail(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 2);

        assert_true(p.tail->affine == (i == 5));
        close_problem(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subsets_and_appended_tails_equal_fresh_ones),
        cmocka_unit_test(twins_are_points_with_equal_frontiers),
        cmocka_unit_test(only_the_last_layer_has_an_affine_tail),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
