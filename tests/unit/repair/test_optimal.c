/* The optimum of a repair program against the same program written out in full and solved by CLP
   (tests/oracle/explicit_model.c), which shares no code with linearisation, rows or solvers. */
#include "support.h"

#include <math.h>

#include "confirm_repair.h"
#include "netmend/netmend.h"
#include "oracle/explicit_model.h"

enum { MAX_REPAIR = 100 };

/* The first n points of a set that the net gets wrong. */
static void first_wrong(nm_ctx *ctx, const nm_net *net, const nm_points *all, int64_t n,
                        nm_points *out)
{
    nm_err err = {0};
    int64_t rows[MAX_REPAIR], found = 0;
    int64_t *classes = test_calloc((size_t)all->n, sizeof *classes);

    nm_assert_ok(nm_predict(ctx, net, all->x, all->n, classes, &err), &err);
    for (int64_t p = 0; p < all->n && found < n; p++)
        if (classes[p] != all->labels[p])
            rows[found++] = p;
    assert_int_equal(found, n);
    nm_assert_ok(nm_points_subset(all, rows, n, out, &err), &err);
    test_free(classes);
}

/* All pins, margin 1e-3, linf + l1n, the layer's weights and all biases from there on. */
static void repair_like_the_full_program(nm_ctx *ctx, const nm_net *net, const nm_points *repair,
                                         const nm_explicit_opts *how, nm_repair_report *report)
{
    nm_err err = {0};
    nm_plan *plan;
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_repair_task task = {.repair = repair};

    nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
    for (int i = how->layer; i < nm_net_n_layers(net); i++)
        nm_assert_ok(nm_plan_mark(plan, i, i == how->layer ? NM_FREE_ALL : NM_FREE_BIASES, &err),
                     &err);
    if (!isinf(how->bound))
        nm_assert_ok(nm_plan_set_bounds(plan, -how->bound, how->bound, &err), &err);
    opts.method = NM_METHOD_APRNN;
    opts.norm = NM_NORM_LINF_L1N;
    opts.norm_includes_outputs = how->with_outputs;
    opts.margin = how->margin;
    opts.safe = NM_SAFE_NONE;
    opts.gap = 1e-8;
    nm_assert_ok(nm_repair_confirmed(ctx, net, plan, &task, &opts, NULL, NULL, report, &err), &err);
    nm_plan_free(plan);
}

static void compare(const char *net_path, const char *x_path, const char *y_path, int64_t n_points,
                    const nm_explicit_opts *how)
{
    nm_err err = {0};
    nm_ctx *ctx;
    nm_net *net;
    nm_points all, repair;
    nm_data_opts data = NM_DATA_OPTS_INIT;
    nm_repair_report report;
    nm_explicit_result full;

    data.last = 300; /* enough wrong ones among them */
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_load(ctx, net_path, &net, &err), &err);
    nm_assert_ok(nm_points_load(ctx, x_path, y_path, &data, &all, &err), &err);
    first_wrong(ctx, net, &all, n_points, &repair);
    repair_like_the_full_program(ctx, net, &repair, how, &report);
    nm_assert_ok(nm_explicit_solve(ctx, net, &repair, how, &full, &err), &err);
    print_message("layer %d, %lld points: %.10g, full program %.10g (%lld x %lld, %.2f s)\n",
                  how->layer, (long long)n_points, report.objective, full.objective,
                  (long long)full.n_rows, (long long)full.n_columns, full.seconds);
    assert_int_equal(full.status, 0);
    assert_int_equal(report.outcome, NM_REPAIRED);
    nm_assert_close(&report.objective, &full.objective, 1, 1e-6, 0);
    nm_assert_close(&report.lower_bound, &full.objective, 1, 1e-6, 0);
    nm_repair_report_free(&report);
    nm_points_free(&repair);
    nm_points_free(&all);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

static void compare_moons(int layer, int64_t n, bool with_outputs, double bound)
{
    nm_explicit_opts how = {.layer = layer,
                            .margin = 1e-3,
                            .bound = bound,
                            .with_outputs = with_outputs,
                            .time_limit_s = 100};

    compare(nm_shared("moons/moons_mlp.onnx"), nm_shared("moons/x_all.npy"),
            nm_shared("moons/y_all.npy"), n, &how);
}

static void compare_mnist(int layer, int64_t n)
{
    nm_explicit_opts how = {
        .layer = layer, .margin = 1e-3, .bound = 3, .with_outputs = true, .time_limit_s = 100};

    compare(nm_shared("aprnn/mnist_relu_3_100.onnx"),
            nm_shared("mnist/t10k-fog-images-idx3-ubyte.gz"),
            nm_shared("mnist/t10k-labels-idx1-ubyte.gz"), n, &how);
}

static void moons_programs_reach_the_optimum(void **state)
{
    (void)state;
    compare_moons(3, 19, false, INFINITY);
    compare_moons(2, 10, true, 0.5);
    compare_moons(1, 5, false, 0.5);
    compare_moons(1, 5, true, INFINITY);
    compare_moons(0, 10, false, INFINITY);
    compare_moons(1, 10, false, 0.05); /* many bounds active */
}

static void mnist_last_layer_reaches_the_optimum(void **state)
{
    (void)state;
    compare_mnist(2, 10);
    compare_mnist(2, 25);
}

static void mnist_last_but_one_layer_reaches_the_optimum(void **state)
{
    (void)state;
    compare_mnist(1, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moons_programs_reach_the_optimum),
        cmocka_unit_test(mnist_last_layer_reaches_the_optimum),
        cmocka_unit_test(mnist_last_but_one_layer_reaches_the_optimum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
