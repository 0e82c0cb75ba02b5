/* Overflow, and the ways to compute the bounds: plain or not, threads, lack of memory. */
#include "deploy_support.h"

#include "base/mem.h"
#include "net/chain.h"
#include "repair/judge.h"

/* -- overflow ----- */

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

/* -- folding -----

   A layer of `k` equal products, perhaps hidden behind something without arithmetic, then one
   operator with a constant. */
static nm_net *folded(int64_t k, double w, const char *passage, const char *folded_op, double by)
{
    net_maker m = make_net(1, MAKE_SHAPE(1, k));

    make_even_layer(&m, w, 0);
    if (passage)
        make_unary(&m, passage);
    make_op(&m, folded_op, (int[]){m.at, make_constant(&m, MAKE_SHAPE(2), by, 0)}, 2, NULL, 0);
    return make_done(&m);
}

static double bound_of(nm_net *net, float value)
{
    float x[64];
    nm_deploy d;
    double bound;

    for (int i = 0; i < 64; i++)
        x[i] = value;
    d = check(net, x, (int64_t[]){0}, 1);
    bound = d.rigorous[0];
    nm_deploy_clear(&d);
    nm_net_free(net);
    return bound;
}

/* Started at 2^24, float32 loses every product of 0.99: 64 for each of the two classes. */
static void passages_do_not_hide_what_is_folded(void **state)
{
    static const char *const passages[] = {"Identity", "Flatten", "Dropout"};
    double bound = bound_of(folded(64, 0.99, NULL, "Add", 0x1p24), 1);

    (void)state;
    assert_true(bound >= 128);
    for (int i = 0; i < 3; i++) {
        double behind = bound_of(folded(64, 0.99, passages[i], "Add", 0x1p24), 1);

        nm_assert_close(&behind, &bound, 1, 1e-12, 0);
    }
}

/* Weights of 1.1e-20 scaled by 1e-18 are flushed to 0: all 64 products of 1e-35 are lost. */
static void folded_weights_may_underflow(void **state)
{
    (void)state;
    assert_true(bound_of(folded(64, 1.1e-20, NULL, "Mul", 1e-18), 1e3F) >= 2 * 64 * 1.1e-35);
    assert_true(bound_of(folded(64, 1.1e-20, NULL, "Div", 1e18), 1e3F) >= 2 * 64 * 1.1e-35);
    assert_true(bound_of(folded(64, 1.1e-20, "Identity", "Mul", 1e-18), 1e3F) >= 2 * 64 * 1.1e-35);
}

/* 2^60 2^90 is beyond float32, though weights, factor and values are within. */
static void folded_weights_may_overflow(void **state)
{
    (void)state;
    assert_true(bound_of(folded(64, 0x1p60, NULL, "Mul", 0x1p90), 0x1p-100F) == (double)INFINITY);
    assert_true(bound_of(folded(64, 0x1p60, NULL, "Div", 0x1p-90), 0x1p-100F) == (double)INFINITY);
    assert_true(bound_of(folded(64, 0x1p30, NULL, "Mul", 0x1p30), 0x1p-60F) < 1);
}

/* Each of 16 scalings rounds the weights once more. */
static void every_folded_scaling_rounds(void **state)
{
    net_maker m = make_net(1, MAKE_SHAPE(1, 64));
    double one = bound_of(folded(64, 0.99, NULL, "Mul", 1), 1);

    (void)state;
    make_even_layer(&m, 0.99, 0);
    for (int i = 0; i < 16; i++)
        make_op(&m, "Mul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(2), 1, 0)}, 2, NULL, 0);
    /* 15 operators with two roundings of their own, and 14 scalings more for each product */
    assert_true(bound_of(make_done(&m), 1) >= one + (15 * 2 + 14) * 2 * 64 * 0.99 * 0x1p-24);
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

/* 2^25 + 1 - 2^25 is 0 in float32 if summed in that order: a pool that averages few numbers into
   many rounds, also where the layer behind it and a view take it in. */
static void pools_that_layers_take_in_round(void **state)
{
    const nm_attr_value attrs[] = {
        {.name = "kernel_shape", .type = NM_ATTR_INTS, .ints = (int64_t[]){1, 5}, .n = 2},
        {.name = "pads", .type = NM_ATTR_INTS, .ints = (int64_t[]){0, 4, 0, 4}, .n = 4},
        {.name = "count_include_pad", .type = NM_ATTR_INT, .i = 1}};
    const float x[3] = {0x1p25F, 1, -0x1p25F};
    const int64_t target = 0;

    (void)state;
    for (int view = 0; view < 2; view++) {
        net_maker m = make_net(16, MAKE_SHAPE(1, 1, 1, 3));
        nm_tensor *w;
        nm_net *net;
        nm_deploy d;

        make_op(&m, "AveragePool", &m.at, 1, attrs, 3);
        make_unary(&m, "Flatten");
        if (view)
            make_unary(&m, "Identity");
        make_op(&m, "Gemm", (int[]){m.at, make_constant(&m, MAKE_SHAPE(7, 2), 0, 0)}, 2, NULL, 0);
        w = m.net->values[m.net->ops[m.net->n_ops - 1].in[1]].constant;
        w->f32[3 * 2] = 1;
        w->f64[3 * 2] = 1;
        net = make_done(&m);
        d = check(net, x, &target, 1);
        nm_assert_close(d.margin, &(double){0.2}, 1, 1e-12, 0);
        assert_false(d.safe[0] || d.safe_first_order[0]);
        nm_deploy_clear(&d);
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

/* -- ways to compute the bounds ----- */

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
        cmocka_unit_test(what_may_overflow_is_never_safe),
        cmocka_unit_test(passages_do_not_hide_what_is_folded),
        cmocka_unit_test(folded_weights_may_underflow),
        cmocka_unit_test(folded_weights_may_overflow),
        cmocka_unit_test(every_folded_scaling_rounds),
        cmocka_unit_test(clipping_does_not_hide_an_overflow),
        cmocka_unit_test(sums_of_convolutions_and_pools_may_overflow),
        cmocka_unit_test(pools_that_layers_take_in_round),
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
