/* Sessions give what a check from scratch gives; sharp bounds on nets with bottlenecks. */
#include "deploy_support.h"

#include "netmend/data.h"
#include "verify/linear.h"

static void assert_same(const nm_deploy *a, const nm_deploy *b)
{
    size_t n = (size_t)a->n * sizeof(double);

    assert_memory_equal(a->margin, b->margin, n);
    assert_memory_equal(a->rigorous, b->rigorous, n);
    assert_memory_equal(a->first_order, b->first_order, n);
    assert_memory_equal(a->probable, b->probable, n);
    assert_memory_equal(a->slack, b->slack, n);
    assert_memory_equal(a->safe, b->safe, (size_t)a->n);
}

/* Scales the biases (or weights) of a layer a little. */
static nm_net *edited(const nm_net *net, int layer, double by)
{
    bool bias = net->layers[layer].bias >= 0;
    int64_t n = bias ? net->layers[layer].n_biases : net->layers[layer].n_weights;
    double *values = calloc((size_t)n, sizeof *values);
    nm_net *copy;
    nm_err err = {0};

    nm_assert_ok(nm_net_clone(net, &copy, &err), &err);
    nm_assert_ok(nm_net_get_layer(net, layer, bias, values, &err), &err);
    for (int64_t i = 0; i < n; i++)
        values[i] = (double)(float)(values[i] * by);
    nm_assert_ok(nm_net_set_layer(copy, layer, bias, values, &err), &err);
    free(values);
    return copy;
}

/* Every third point is skipped: its margin is that of the net, its bounds wait for the rest. */
static void check_parts(nm_deploy_session *session, const nm_net *net, const nm_net *next,
                        const float *x, const int64_t *target, int64_t n)
{
    double *enough = calloc((size_t)n, sizeof *enough);
    nm_deploy fresh = check(next, x, target, n), old, again;
    nm_err err = {0};

    for (int64_t p = 0; p < n; p++)
        enough[p] = p % 3 == 0 ? (double)-INFINITY : (double)INFINITY;
    nm_assert_ok(nm_deploy_run(session, net, &old, &err), &err);
    nm_assert_ok(nm_deploy_run(session, net, &again, &err), &err);
    assert_false(nm_deploy_any_stale(&again));
    nm_assert_ok(nm_deploy_run_again(session, next, enough, &again, &err), &err);
    assert_true(nm_deploy_any_stale(&again));
    assert_memory_equal(again.margin, fresh.margin, (size_t)n * sizeof(double));
    for (int64_t p = 0; p < n; p++) {
        const nm_deploy *like = p % 3 == 0 ? &old : &fresh;

        assert_int_equal(again.stale[p], p % 3 == 0);
        assert_true(again.rigorous[p] == like->rigorous[p]);
        assert_true(again.probable[p] == like->probable[p]);
        assert_int_equal(again.safe[p], like->safe[p]);
    }
    nm_assert_ok(nm_deploy_run_rest(session, next, &again, &err), &err);
    assert_false(nm_deploy_any_stale(&again));
    assert_same(&fresh, &again);
    nm_deploy_clear(&fresh);
    nm_deploy_clear(&old);
    nm_deploy_clear(&again);
    free(enough);
}

static void check_sessions(const nm_net *net, const float *x, const int64_t *target, int64_t n)
{
    nm_err err = {0};

    for (int layer = 0; layer < net->n_layers; layer++) {
        nm_deploy_session *session;

        nm_assert_ok(nm_deploy_open(ctx, net, x, target, n, net->layers[layer].op, true,
                                    layer % 2 == 0 ? 0 : NM_DEPLOY_MEMORY, &session, &err),
                     &err);
        for (int round = 0; round < 3; round++) { /* the second again: nothing is used up */
            nm_net *copy = edited(net, layer, round == 0 ? 1 : 1.01);
            nm_deploy fresh = check(copy, x, target, n), again;

            nm_assert_ok(nm_deploy_run(session, copy, &again, &err), &err);
            assert_same(&fresh, &again);
            nm_deploy_clear(&fresh);
            nm_deploy_clear(&again);
            if (round == 2)
                check_parts(session, net, copy, x, target, n);
            nm_net_free(copy);
        }
        nm_deploy_close(session);
    }
}

static nm_net *deep_pooled(uint64_t seed)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, 8, 1, 1));

    for (int i = 0; i < 4; i++) {
        make_op(&m, "Conv",
                (int[]){m.at, make_constant(&m, MAKE_SHAPE(8, 8, 1, 1), 0, 0.5),
                        make_constant(&m, MAKE_SHAPE(8), 0.1, 0.1)},
                3, NULL, 0);
        make_unary(&m, "Relu");
    }
    /* As adaptive pooling is exported: each window holds one element that is not padding. */
    make_op(&m, "AveragePool", &m.at, 1,
            (nm_attr_value[]){
                {.name = "kernel_shape", .type = NM_ATTR_INTS, .n = 2, .ints = (int64_t[]){3, 3}},
                {.name = "pads", .type = NM_ATTR_INTS, .n = 4, .ints = (int64_t[]){2, 2, 2, 2}}},
            2);
    make_unary(&m, "Flatten");
    for (int i = 0; i < 2; i++) {
        make_dense(&m, 40);
        make_unary(&m, "Relu");
    }
    make_dense(&m, 5);
    return make_done(&m);
}

static void sessions_give_the_bits_of_a_check_from_scratch(void **state)
{
    static const int64_t widths[] = {128, 31, 29, 27, 17, 7};
    float x[20 * 128];
    int64_t target[20];
    nm_rng rng = {.seed = 3};

    (void)state;
    for (int i = 0; i < 20 * 128; i++)
        x[i] = (float)nm_rng_normal(&rng);
    for (int i = 0; i < 20; i++)
        target[i] = i % 2;
    for (int kind = 0; kind < 4; kind++) {
        nm_net *net = kind == 0   ? make_residual(1)
                      : kind == 3 ? deep_pooled(2)
                                  : make_chain(2, kind == 1 ? "Relu" : "Gelu", widths, 5);

        check_sessions(net, x, target, 20);
        nm_net_free(net);
    }
}

/* A layer that reads copies is passed with them, deep values in front of wide layers are summed up:
   the bound stays near the first-order one. */
static void bounds_of_deep_nets_stay_near_the_first_order(void **state)
{
    float x[20 * 8];
    int64_t target[20] = {0};
    double worst = 0;

    (void)state;
    fill_normal(&(nm_rng){.seed = 4}, x, 20 * 8);
    for (uint64_t seed = 0; seed < 10; seed++) {
        nm_net *net = deep_pooled(seed);
        nm_deploy d = check(net, x, target, 20);
        nm_linear_plan *plan;
        nm_err err = {0};
        int n_fused = 0;

        nm_assert_ok(nm_linear_plan_new(net, &plan, &err), &err);
        for (int k = 0; k < net->n_ops; k++)
            n_fused += plan->ops[k].fused_with >= 0;
        assert_int_equal(n_fused, 1);
        for (int p = 0; p < 20; p++)
            worst = fmax(worst, d.rigorous[p] / d.first_order[p]);
        nm_linear_plan_free(plan);
        nm_deploy_clear(&d);
        nm_net_free(net);
    }
    print_message("rigorous at most %.3f of first order\n", worst);
    assert_true(worst < 3);
}

static void bounds_of_alexnet_are_in_reach(void **state)
{
    const char *model = nm_shared("cifar10/alexnet_cifar10.onnx");
    const char *data = nm_shared("cifar10/test_batch.bin");
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_points points;
    nm_net *net;
    nm_deploy d;
    nm_err err = {0};

    (void)state;
    opts.last = 3;
    nm_assert_ok(nm_net_load(ctx, model, &net, &err), &err);
    nm_assert_ok(nm_points_load(ctx, data, NULL, &opts, &points, &err), &err);
    d = check(net, points.x, points.labels, points.n);
    for (int64_t p = 0; p < points.n; p++)
        assert_true(d.rigorous[p] < 4 * d.first_order[p] && d.first_order[p] < 0.5);
    nm_deploy_clear(&d);
    nm_points_free(&points);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_give_the_bits_of_a_check_from_scratch),
        cmocka_unit_test(bounds_of_deep_nets_stay_near_the_first_order),
        cmocka_unit_test(bounds_of_alexnet_are_in_reach),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
