/* Specifications of points, repaired by every method: proven afterwards by the verifier, and as
 * small as another way says where the method claims an optimum. */
#include "make_net.h"

#include "netmend/netmend.h"

enum { N_IN = 3, N_OUT = 3, N_POINTS = 3 };

static const double margin = 0.02;

typedef struct rig {
    nm_ctx *ctx;
    nm_net *net;
    nm_property *property;
    nm_property_report report;
} rig;

/* Every point: y_0 or y_1 above what it is, and y_2 below. */
static void write_spec(const char *path, const double *y)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    (void)fprintf(f, "{\"schema\": \"netmend-spec/1\", \"constraints\": [");
    for (int p = 0; p < N_POINTS; p++, y += N_OUT)
        (void)fprintf(f,
                      "%s{\"points\": [%d], \"any\": [{\"all\": [{\"coef\": {\"0\": 1}, \"min\": "
                      "%.9g}, {\"coef\": {\"2\": 1}, \"max\": %.9g}]}, {\"all\": [{\"coef\": "
                      "{\"1\": 1}, \"min\": %.9g}]}]}",
                      p ? ", " : "", p, y[0] + 0.1, y[2] - 0.05, y[1] + 0.2);
    (void)fprintf(f, "]}\n");
    (void)fclose(f);
}

static void open_rig(rig *r, uint64_t seed)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, N_IN));
    nm_rng rng = {.seed = seed, .stream = 8};
    const char *path = nm_temp_path(".json");
    float x[N_POINTS * N_IN];
    double x64[N_POINTS * N_IN], y[N_POINTS * N_OUT];
    nm_points points;
    nm_err err = {0};

    memset(r, 0, sizeof *r);
    make_dense(&m, 5);
    make_unary(&m, "Relu");
    make_dense(&m, 5);
    make_unary(&m, "Relu");
    make_dense(&m, N_OUT);
    m.net->output = m.at;
    nm_assert_ok(nm_net_finish(m.net, &err), &err);
    r->net = m.net;
    nm_assert_ok(nm_ctx_new(&r->ctx, &err), &err);
    fill_normal(&rng, x, N_POINTS * N_IN);
    for (int k = 0; k < N_POINTS * N_IN; k++)
        x64[k] = (double)x[k];
    nm_assert_ok(nm_net_forward_f64(r->ctx, r->net, x64, N_POINTS, y, &err), &err);
    write_spec(path, y);
    nm_assert_ok(nm_points_from_arrays(x, N_POINTS, N_IN, NULL, &points, &err), &err);
    nm_assert_ok(nm_property_from_spec(r->ctx, path, &points, N_OUT, &r->property, &err), &err);
    nm_points_free(&points);
}

static void close_rig(rig *r)
{
    nm_property_report_free(&r->report);
    nm_property_free(r->property);
    nm_net_free(r->net);
    nm_ctx_free(r->ctx);
}

static void check_file(rig *r, const char *path)
{
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report;
    nm_net *written;
    nm_err err = {0};

    nm_assert_ok(nm_net_load(r->ctx, path, &written, &err), &err);
    nm_assert_ok(nm_verify(r->ctx, written, r->property, &opts, &report, &err), &err);
    assert_int_equal(report.verdict, NM_VERDICT_HOLDS);
    nm_verify_report_free(&report);
    nm_net_free(written);
}

/* @param layer  NULL: all together */
static void repair(rig *r, nm_method method, const char *layer, nm_pieces pieces)
{
    const nm_property *property[] = {r->property};
    nm_property_task task = {.properties = property, .n_properties = 1, .n_repair = 1};
    nm_property_opts opts = NM_PROPERTY_OPTS_INIT;
    const char *path = nm_temp_path(".onnx");
    nm_plan *plan;
    nm_err err = {0};

    nm_property_report_free(&r->report);
    nm_assert_ok(nm_plan_new(r->net, &plan, &err), &err);
    for (int l = 0; !layer && l < nm_net_n_layers(r->net); l++)
        nm_assert_ok(nm_plan_mark(plan, l, NM_FREE_ALL, &err), &err);
    nm_plan_set_joint(plan, !layer);
    if (layer)
        nm_assert_ok(nm_plan_mark_text(plan, layer, NM_FREE_ALL, &err), &err);
    opts.repair.method = method;
    opts.repair.norm = NM_NORM_LINF;
    opts.repair.margin = margin;
    opts.pieces = pieces;
    opts.n_random = 1;
    opts.n_drawdown = 10;
    nm_assert_ok(nm_repair_property(r->ctx, r->net, plan, &task, &opts, path, &r->report, &err),
                 &err);
    if (r->report.repair.outcome != NM_REPAIRED)
        fail_msg("method %d: %s", (int)method, r->report.repair.reason);
    check_file(r, path);
    nm_plan_free(plan);
}

static void every_method_repairs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        rig r;

        open_rig(&r, seed);
        repair(&r, NM_METHOD_POINTWISE, "last", NM_PIECES_NEAREST);
        repair(&r, NM_METHOD_LAYERWISE, NULL, NM_PIECES_NEAREST);
        repair(&r, NM_METHOD_MULTILAYER, NULL, NM_PIECES_NEAREST);
        repair(&r, NM_METHOD_MINIMAL, "1", NM_PIECES_NEAREST);
        assert_true(r.report.repair.lower_bound <= r.report.repair.objective);
        close_rig(&r);
    }
}

/* Two searches over the choices that share no program: over cases broken row by row, and over
   pieces of unions with a relaxation. */
static void two_ways_to_the_smallest_change_agree(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        rig r;

        open_rig(&r, seed);
        repair(&r, NM_METHOD_POINTWISE, "last", NM_PIECES_EXACT);
        double by_choices = r.report.repair.objective;

        assert_true(r.report.pieces_proven);
        repair(&r, NM_METHOD_MINIMAL, "last", NM_PIECES_NEAREST);
        assert_true(r.report.pieces_proven);
        if (fabs(r.report.repair.objective - by_choices) > 1e-5 * by_choices)
            fail_msg("seed %d: %.9g by choices, %.9g by pieces", (int)seed, by_choices,
                     r.report.repair.objective);
        close_rig(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_repairs),
        cmocka_unit_test(two_ways_to_the_smallest_change_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
