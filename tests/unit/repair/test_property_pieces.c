/* --pieces exact against an enumeration of all choices, each one a linear program of its own: last
 * layer, a few points with three conditions each, of which one has to be broken. */
#include "make_net.h"

#include "base/mem.h"
#include "netmend/property_repair.h"
#include "repair/minimal_tail.h"
#include "solve/master.h"

enum { N_IN = 3, N_OUT = 3, N_HIDDEN = 6, N_POINTS = 4, N_CHOICES = 81 };

static const double margin = 0.02;

typedef struct rig {
    nm_ctx *ctx;
    nm_net *net;
    nm_plan *plan;
    nm_property *property;
    float x[N_POINTS * N_IN];
    double limit[N_POINTS][N_OUT]; /* unsafe: y_k <= limit_k for every k */
    nm_min_tail tail;              /* inputs and outputs of the last layer */
    nm_params *params;
} rig;

static void write_property(rig *r, const char *path)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (int j = 0; j < N_IN; j++)
        (void)fprintf(f, "(declare-const X_%d Real)\n", j);
    for (int k = 0; k < N_OUT; k++)
        (void)fprintf(f, "(declare-const Y_%d Real)\n", k);
    (void)fprintf(f, "(assert (or\n");
    for (int p = 0; p < N_POINTS; p++) {
        (void)fprintf(f, " (and");
        for (int j = 0; j < N_IN; j++)
            (void)fprintf(f, " (<= X_%d %.17g) (>= X_%d %.17g)", j, (double)r->x[p * N_IN + j], j,
                          (double)r->x[p * N_IN + j]);
        for (int k = 0; k < N_OUT; k++)
            (void)fprintf(f, " (<= Y_%d %.17g)", k, r->limit[p][k]);
        (void)fprintf(f, ")\n");
    }
    (void)fprintf(f, "))\n");
    (void)fclose(f);
}

static void open_rig(rig *r, uint64_t seed)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, N_IN));
    nm_rng rng = {.seed = seed, .stream = 4};
    const char *path = nm_temp_path(".vnnlib");
    nm_err err = {0};

    memset(r, 0, sizeof *r);
    make_dense(&m, N_HIDDEN);
    make_unary(&m, "Relu");
    make_dense(&m, N_OUT);
    m.net->output = m.at;
    nm_assert_ok(nm_net_finish(m.net, &err), &err);
    r->net = m.net;
    nm_assert_ok(nm_ctx_new(&r->ctx, &err), &err);
    nm_assert_ok(nm_plan_new(r->net, &r->plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(r->plan, "last", NM_FREE_ALL, &err), &err);
    fill_normal(&rng, r->x, N_POINTS * N_IN);
    nm_assert_ok(nm_params_new(r->plan, &r->params, &err), &err);
    nm_assert_ok(nm_min_tail_open(r->ctx, r->net, r->params, r->x, N_POINTS, &r->tail, &err), &err);
    for (int p = 0; p < N_POINTS; p++)
        for (int k = 0; k < N_OUT; k++)
            r->limit[p][k] = r->tail.z0[p * N_OUT + k] + 0.05 + 0.3 * nm_rng_uniform(&rng);
    write_property(r, path);
    nm_assert_ok(nm_property_load(r->ctx, path, &r->property, &err), &err);
}

static void close_rig(rig *r)
{
    nm_min_tail_close(&r->tail);
    nm_params_free(r->params);
    nm_property_free(r->property);
    nm_plan_free(r->plan);
    nm_net_free(r->net);
    nm_ctx_free(r->ctx);
}

/* -- the enumeration ----------------------------------------------------------------------------
 */

/* Point p breaks condition piece[p]: (D u)_k >= limit_k + margin - y_k. INFINITY: cannot be */
static double solve_choice(const rig *r, const int *piece, nm_norm norm)
{
    int64_t w = r->tail.width;
    nm_master_spec spec = {.norm = norm, .n = N_OUT * w, .gap = 1e-9};
    nm_master *master;
    nm_master_result result;
    double a[N_OUT * (N_HIDDEN + 1)], h, best;
    nm_err err = {0};

    nm_assert_ok(nm_master_open(r->ctx, &spec, NM_SOLVER_AUTO, &master, &err), &err);
    for (int p = 0; p < N_POINTS; p++) {
        int k = piece[p];

        memset(a, 0, sizeof a);
        memcpy(a + k * w, r->tail.u + p * w, (size_t)w * sizeof *a);
        h = r->limit[p][k] + margin - r->tail.z0[p * N_OUT + k];
        nm_assert_ok(nm_master_add_rows(master, 1, a, &h, &err), &err);
    }
    nm_assert_ok(nm_master_solve(master, &result, &err), &err);
    assert_int_not_equal(result.outcome, NM_MASTER_FAILED);
    best = result.outcome == NM_MASTER_SOLVED ? result.objective : INFINITY;
    nm_master_close(master);
    return best;
}

static double enumerate(const rig *r, nm_norm norm)
{
    double best = INFINITY;

    for (int choice = 0; choice < N_CHOICES; choice++) {
        int piece[N_POINTS], rest = choice;

        for (int p = 0; p < N_POINTS; p++, rest /= N_OUT)
            piece[p] = rest % N_OUT;
        best = fmin(best, solve_choice(r, piece, norm));
    }
    return best;
}

/* -- the method ----------------------------------------------------------------------------------
 */

static nm_property_report repair(const rig *r, nm_norm norm, nm_pieces pieces)
{
    const nm_property *property[] = {r->property};
    nm_property_task task = {.properties = property, .n_properties = 1, .n_repair = 1};
    nm_property_opts opts = NM_PROPERTY_OPTS_INIT;
    nm_property_report report;
    nm_err err = {0};

    opts.repair.norm = norm;
    opts.repair.margin = margin;
    opts.pieces = pieces;
    opts.n_random = 1;
    opts.n_drawdown = 10;
    nm_assert_ok(nm_repair_property(r->ctx, r->net, r->plan, &task, &opts, NULL, &report, &err),
                 &err);
    assert_int_equal(report.repair.outcome, NM_REPAIRED);
    assert_true(report.n_counterexamples >= N_POINTS);
    return report;
}

static void compare(uint64_t seed, nm_norm norm, int *n_better)
{
    rig r;

    open_rig(&r, seed);
    double want = enumerate(&r, norm);
    nm_property_report exact = repair(&r, norm, NM_PIECES_EXACT);
    nm_property_report nearest = repair(&r, norm, NM_PIECES_NEAREST);

    if (fabs(exact.repair.objective - want) > want * 1e-5 || !exact.pieces_proven ||
        exact.repair.lower_bound > exact.repair.objective * (1 + 1e-9) ||
        exact.repair.lower_bound < exact.repair.objective * (1 - 1e-5))
        fail_msg("seed %d, %s: enumeration %.9g, got %.9g, bound %.9g, proven %d", (int)seed,
                 nm_norm_name(norm), want, exact.repair.objective, exact.repair.lower_bound,
                 exact.pieces_proven);
    *n_better += exact.repair.objective < nearest.repair.objective * 0.99;
    assert_true(exact.n_piece_programs > 1);
    nm_property_report_free(&exact);
    nm_property_report_free(&nearest);
    close_rig(&r);
}

static void equals_the_enumeration(void **state)
{
    int n_better = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        compare(seed, NM_NORM_LINF, &n_better);
        compare(seed, NM_NORM_L1, &n_better);
        compare(seed, NM_NORM_L2, &n_better);
    }
    print_message("smaller than with the nearest conditions: %d of 18\n", n_better);
    assert_true(n_better >= 4);
}

/* y_0 or y_1 above 0, and both below -1: no choice of conditions can be met. */
static void no_choice_at_all_is_proven(void **state)
{
    static const char *const contradiction =
        "(and %s (<= Y_0 0.0) (<= Y_1 0.0)) (and %s (>= Y_0 -1.0)) (and %s (>= Y_1 -1.0))";
    static const char *const point =
        "(<= X_0 0.5) (>= X_0 0.5) (<= X_1 0.5) (>= X_1 0.5) (<= X_2 0.5) (>= X_2 0.5)";
    const char *path = nm_temp_path(".vnnlib");
    nm_property_opts opts = NM_PROPERTY_OPTS_INIT;
    FILE *f = fopen(path, "w");
    nm_err err = {0};
    rig r;

    (void)state;
    assert_non_null(f);
    for (int j = 0; j < N_IN; j++)
        (void)fprintf(f, "(declare-const X_%d Real)\n(declare-const Y_%d Real)\n", j, j);
    (void)fprintf(f, "(assert (or ");
    (void)fprintf(f, contradiction, point, point, point);
    (void)fprintf(f, "))\n");
    (void)fclose(f);
    open_rig(&r, 1);
    nm_property_free(r.property);
    nm_assert_ok(nm_property_load(r.ctx, path, &r.property, &err), &err);
    opts.repair.norm = NM_NORM_L2;
    opts.n_random = 1;
    for (int i = 0; i < 2; i++) {
        const nm_property *property[] = {r.property};
        nm_property_task task = {.properties = property, .n_properties = 1, .n_repair = 1};
        nm_property_report report;

        opts.pieces = i == 0 ? NM_PIECES_NEAREST : NM_PIECES_EXACT;
        nm_assert_ok(nm_repair_property(r.ctx, r.net, r.plan, &task, &opts, NULL, &report, &err),
                     &err);
        assert_int_equal(report.repair.outcome, i == 0 ? NM_LIMIT : NM_INFEASIBLE);
        assert_true(report.repair.reason[0] != '\0');
        nm_property_report_free(&report);
    }
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_enumeration),
                                       cmocka_unit_test(no_choice_at_all_is_proven)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
