/* Layer-wise repair of tiny nets beside the best changes that other ways find. */
#include "tiny_reference.h"

enum { N_NETS = 200 };

static nm_ctx *shared_ctx;

static double repair(nm_ctx *ctx, const tiny *t, nm_norm norm, uint64_t seed)
{
    nm_layerwise_opts opts = {.norm = norm};
    nm_layerwise_report report;
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    nm_err err = {0};

    (void)seed;
    nm_layerwise_effort(t->net, t->n, &opts);
    nm_assert_ok(
        nm_layerwise(ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts, &changes, &report, &err),
        &err);
    if (report.found)
        tn_check_changes(t, norm, &changes, &report);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    return report.norm;
}

static void compare(nm_norm norm, int64_t n_points)
{
    tn_distribution d;

    tn_compare(shared_ctx, repair, norm, n_points, N_NETS, &d);
    tn_print(&d, norm, n_points);
    assert_true(d.n > 0 && d.n_repaired >= 0.95 * d.n_repairable);
    assert_true(tn_quantile(&d, 0.5) <= 1.5);
}

static void repairs_single_points(void **state)
{
    (void)state;
    compare(NM_NORM_LINF, 1);
    compare(NM_NORM_L1, 1);
    compare(NM_NORM_L2, 1);
}

static void repairs_several_points(void **state)
{
    (void)state;
    compare(NM_NORM_LINF, TN_POINTS);
}

static int setup(void **state)
{
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&shared_ctx, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nm_ctx_free(shared_ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repairs_single_points),
        cmocka_unit_test(repairs_several_points),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
