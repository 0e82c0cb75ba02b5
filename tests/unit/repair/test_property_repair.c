/* Repair until a property holds: what comes out is proven again from the file, without attacks, and
 * sampled; what cannot be repaired is said to be so. */
#include "make_net.h"

#include <sys/stat.h>

#include "base/mem.h"
#include "netmend/property_repair.h"

enum { N_IN = 3, N_OUT = 3, N_NETS = 6, N_SAMPLES = 20000 };

typedef struct rig {
    nm_ctx *ctx;
    nm_net *net;
    nm_plan *plan;
    nm_property *property[2];
    int n;
    char path[256];
    nm_property_opts opts;
    nm_property_report report;
} rig;

static rig open_rig(uint64_t seed, const char *layer)
{
    rig r = {.opts = NM_PROPERTY_OPTS_INIT};
    net_maker m = make_net(seed, MAKE_SHAPE(1, N_IN));
    nm_err err = {0};

    make_dense(&m, 12);
    make_unary(&m, "Relu");
    make_dense(&m, 12);
    make_unary(&m, "Relu");
    make_dense(&m, N_OUT);
    m.net->output = m.at;
    nm_assert_ok(nm_net_finish(m.net, &err), &err);
    r.net = m.net;
    nm_assert_ok(nm_ctx_new(&r.ctx, &err), &err);
    nm_assert_ok(nm_plan_new(r.net, &r.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(r.plan, layer, NM_FREE_ALL, &err), &err);
    (void)snprintf(r.path, sizeof r.path, "%s", nm_temp_path(".onnx"));
    r.opts.repair.norm = NM_NORM_L2;
    r.opts.n_random = 500;
    r.opts.n_drawdown = 1000;
    return r;
}

/* Adds a property over the box [-side, side]^3. */
static void add_property(rig *r, double side, const char *outputs)
{
    const char *path = nm_temp_path(".vnnlib");
    FILE *f = fopen(path, "w");
    nm_err err = {0};

    assert_non_null(f);
    for (int j = 0; j < N_IN; j++)
        (void)fprintf(f, "(declare-const X_%d Real)\n", j);
    for (int o = 0; o < N_OUT; o++)
        (void)fprintf(f, "(declare-const Y_%d Real)\n", o);
    for (int j = 0; j < N_IN; j++)
        (void)fprintf(f, "(assert (<= X_%d %.17g))\n(assert (>= X_%d %.17g))\n", j, side, j, -side);
    (void)fprintf(f, "%s\n", outputs);
    (void)fclose(f);
    nm_assert_ok(nm_property_load(r->ctx, path, &r->property[r->n++], &err), &err);
}

static void run(rig *r)
{
    nm_property_task task = {.properties = (const nm_property *const *)r->property,
                             .n_properties = r->n,
                             .n_repair = r->n};
    nm_err err = {0};

    nm_assert_ok(
        nm_repair_property(r->ctx, r->net, r->plan, &task, &r->opts, r->path, &r->report, &err),
        &err);
}

static void close_rig(rig *r)
{
    nm_property_report_free(&r->report);
    for (int i = 0; i < r->n; i++)
        nm_property_free(r->property[i]);
    nm_plan_free(r->plan);
    nm_net_free(r->net);
    nm_ctx_free(r->ctx);
}

static bool file_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

/* Outputs at random points of the box [-side, side]^3. */
static void sample(rig *r, const nm_net *net, double side, float *x, double *y)
{
    nm_rng rng = {.seed = 99};
    double *x64 = malloc(N_SAMPLES * N_IN * sizeof *x64);
    nm_err err = {0};

    assert_non_null(x64);
    for (int i = 0; i < N_SAMPLES * N_IN; i++) {
        x[i] = (float)(side * (2 * nm_rng_uniform(&rng) - 1));
        x64[i] = (double)x[i];
    }
    nm_assert_ok(nm_net_forward_f64(r->ctx, net, x64, N_SAMPLES, y, &err), &err);
    free(x64);
}

static double quantile_of_output(rig *r, int output, double side, double share)
{
    float *x = malloc(N_SAMPLES * N_IN * sizeof *x);
    double *y = malloc(N_SAMPLES * N_OUT * sizeof *y), lo = 1e30, hi = -1e30;

    sample(r, r->net, side, x, y);
    for (int i = 0; i < N_SAMPLES; i++) {
        lo = fmin(lo, y[i * N_OUT + output]);
        hi = fmax(hi, y[i * N_OUT + output]);
    }
    free(x);
    free(y);
    return lo + share * (hi - lo);
}

/* The file holds a network for which all properties are proven anew. */
static void check_file(rig *r, double side)
{
    nm_net *net;
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    float *x = malloc(N_SAMPLES * N_IN * sizeof *x);
    double *y = malloc(N_SAMPLES * N_OUT * sizeof *y);
    nm_err err = {0};

    opts.attack = false;
    nm_assert_ok(nm_net_load(r->ctx, r->path, &net, &err), &err);
    sample(r, net, side, x, y);
    for (int i = 0; i < r->n; i++) {
        nm_verify_report report;

        nm_assert_ok(nm_verify(r->ctx, net, r->property[i], &opts, &report, &err), &err);
        assert_int_equal(report.verdict, NM_VERDICT_HOLDS);
        nm_verify_report_free(&report);
        for (int p = 0; p < N_SAMPLES; p++)
            assert_false(nm_property_unsafe(r->property[i], x + p * N_IN, y + p * N_OUT));
    }
    nm_net_free(net);
    free(x);
    free(y);
}

static void repair_and_check(rig *r, double side)
{
    run(r);
    if (r->report.repair.outcome != NM_REPAIRED)
        fail_msg("%s: %s", nm_outcome_name(r->report.repair.outcome), r->report.repair.reason);
    assert_int_equal(r->report.verdict, NM_VERDICT_HOLDS);
    assert_false(r->report.already);
    assert_true(r->report.rounds > 0 && r->report.n_counterexamples > 0);
    assert_int_equal(r->report.repair.repair.right_after, r->report.n_counterexamples);
    assert_true(r->report.repair.change_l2 > 0);
    check_file(r, side);
}

static void test_threshold(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_NETS; seed++) {
        rig r = open_rig(seed, seed % 3 == 2 ? "-2" : "last");
        char text[128];

        if (seed % 2)
            r.opts.repair.norm = NM_NORM_FUNCTION;
        (void)snprintf(text, sizeof text, "(assert (>= Y_0 %.17g))",
                       quantile_of_output(&r, 0, 0.4, 0.9));
        add_property(&r, 0.4, text);
        repair_and_check(&r, 0.4);
        close_rig(&r);
    }
}

/* From the first repair on, counterexamples stand for what is unsafe around them. */
static void test_regions(void **state)
{
    int64_t n_regions = 0;

    (void)state;
    for (uint64_t seed = 0; seed < N_NETS; seed++) {
        rig r = open_rig(60 + seed, seed % 2 ? "-2" : "last");
        char text[128];

        r.opts.regions_after = 0;
        (void)snprintf(text, sizeof text, "(assert (>= Y_0 %.17g))",
                       quantile_of_output(&r, 0, 0.4, 0.8));
        add_property(&r, 0.4, text);
        repair_and_check(&r, 0.4);
        n_regions += r.report.n_regions;
        close_rig(&r);
    }
    assert_true(n_regions >= N_NETS);
}

/* Each point has two cases, one of them with two conditions to choose from. */
static void test_disjunction(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < N_NETS; seed++) {
        rig r = open_rig(100 + seed, "last");
        char text[256];

        r.opts.pieces = seed % 2 ? NM_PIECES_BEST : NM_PIECES_NEAREST;
        (void)snprintf(text, sizeof text,
                       "(assert (or (and (>= Y_0 %.17g) (<= Y_1 %.17g)) (and (>= Y_2 %.17g))))",
                       quantile_of_output(&r, 0, 0.4, 0.5), quantile_of_output(&r, 1, 0.4, 0.6),
                       quantile_of_output(&r, 2, 0.4, 0.9));
        add_property(&r, 0.4, text);
        repair_and_check(&r, 0.4);
        close_rig(&r);
    }
}

static void test_several(void **state)
{
    rig r = open_rig(7, "last");
    char text[128];

    (void)state;
    (void)snprintf(text, sizeof text, "(assert (>= Y_0 %.17g))",
                   quantile_of_output(&r, 0, 0.3, 0.9));
    add_property(&r, 0.3, text);
    (void)snprintf(text, sizeof text, "(assert (<= Y_1 %.17g))",
                   quantile_of_output(&r, 1, 0.3, 0.1));
    add_property(&r, 0.3, text);
    repair_and_check(&r, 0.3);
    close_rig(&r);
}

static void test_already_holds(void **state)
{
    rig r = open_rig(8, "last");

    (void)state;
    add_property(&r, 0.3, "(assert (>= Y_0 1000.0))");
    run(&r);
    assert_int_equal(r.report.repair.outcome, NM_REPAIRED);
    assert_true(r.report.already);
    assert_int_equal(r.report.rounds, 0);
    assert_true(r.report.changed == 0 && r.report.repair.change_linf == 0);
    check_file(&r, 0.3);
    close_rig(&r);
}

static void test_empty_inputs(void **state)
{
    rig r = open_rig(9, "last");

    (void)state;
    add_property(&r, 0.3, "(assert (>= X_0 0.5))\n(assert (>= Y_0 0.0))");
    assert_int_equal(nm_property_n_boxes(r.property[0]), 0);
    run(&r);
    assert_int_equal(r.report.repair.outcome, NM_REPAIRED);
    assert_true(r.report.already);
    close_rig(&r);
}

/* A disjunct that no outputs can meet takes nothing away, and asks for nothing. */
static void test_empty_piece(void **state)
{
    rig r = open_rig(10, "last");
    char text[256];

    (void)state;
    (void)snprintf(text, sizeof text,
                   "(assert (or (and (>= Y_0 5.0) (<= Y_0 3.0)) (and (>= Y_0 %.17g))))",
                   quantile_of_output(&r, 0, 0.3, 0.9));
    add_property(&r, 0.3, text);
    repair_and_check(&r, 0.3);
    close_rig(&r);
}

static void expect_infeasible(rig *r)
{
    run(r);
    assert_int_equal(r->report.repair.outcome, NM_INFEASIBLE);
    assert_int_equal(r->report.verdict, NM_VERDICT_VIOLATED);
    assert_true(r->report.repair.reason[0] != 0);
    assert_false(file_exists(r->path));
    close_rig(r);
}

static void test_contradiction(void **state)
{
    rig r = open_rig(11, "last");

    (void)state;
    add_property(&r, 0.3, "(assert (>= Y_0 0.0))");
    add_property(&r, 0.3, "(assert (<= Y_0 0.0))");
    expect_infeasible(&r);
}

static void test_no_outputs_allowed(void **state)
{
    rig r = open_rig(12, "last");

    (void)state;
    add_property(&r, 0.3, "(assert (or (>= X_0 0.0) (>= Y_0 1000.0)))");
    expect_infeasible(&r);
}

static void test_wrong_sizes(void **state)
{
    rig r = open_rig(13, "last");
    const char *path = nm_temp_path(".vnnlib");
    FILE *f = fopen(path, "w");
    nm_property_task task = {.n_properties = 1, .n_repair = 1};
    nm_err err = {0};

    (void)state;
    assert_non_null(f);
    (void)fprintf(f, "(declare-const X_0 Real)\n(declare-const Y_0 Real)\n"
                     "(assert (<= X_0 1))\n(assert (>= X_0 0))\n(assert (>= Y_0 0))\n");
    (void)fclose(f);
    nm_assert_ok(nm_property_load(r.ctx, path, &r.property[0], &err), &err);
    r.n = 1;
    task.properties = (const nm_property *const *)r.property;
    assert_int_equal(
        nm_repair_property(r.ctx, r.net, r.plan, &task, &r.opts, r.path, &r.report, &err),
        NM_E_SHAPE);
    assert_non_null(strstr(err.text, "declares 1 inputs"));
    close_rig(&r);
}

static void test_time_limit(void **state)
{
    rig r = open_rig(14, "last");

    (void)state;
    add_property(&r, 0.3, "(assert (>= Y_0 -1000.0))");
    nm_ctx_set_time_limit(r.ctx, 0);
    run(&r);
    assert_int_equal(r.report.repair.outcome, NM_LIMIT);
    assert_true(r.report.repair.stopped);
    assert_false(file_exists(r.path));
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_disjunction),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_already_holds),
        cmocka_unit_test(test_empty_inputs),
        cmocka_unit_test(test_empty_piece),
        cmocka_unit_test(test_contradiction),
        cmocka_unit_test(test_no_outputs_allowed),
        cmocka_unit_test(test_wrong_sizes),
        cmocka_unit_test(test_time_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
