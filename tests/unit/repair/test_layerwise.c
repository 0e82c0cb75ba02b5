/* Layer-wise repair of tiny nets beside the best changes that other ways find. */
#include "tiny_reference.h"

#include "test_ctx.h"

enum { N_NETS = 80 };

static double repair(nm_ctx *own, const tiny *t, nm_norm norm, uint64_t seed)
{
    nm_layerwise_opts opts = {.norm = norm};
    nm_layerwise_report report;
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    nm_err err = {0};

    (void)seed;
    nm_layerwise_effort(t->net, t->n, &opts);
    nm_assert_ok(
        nm_layerwise(own, t->net, plan, t->x, t->n, t->goals.goal, &opts, &changes, &report, &err),
        &err);
    if (report.found)
        tn_check_changes(t, norm, &changes, &report);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    return report.norm;
}

static void compare(nm_norm norm, int64_t n_points)
{
    tn_expect(ctx, repair, norm, n_points, N_NETS, 1.5);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repairs_single_points),
        cmocka_unit_test(repairs_several_points),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
