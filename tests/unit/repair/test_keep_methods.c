/* Keep sets with the methods that search by themselves: what was right stays right, in the network
 * as written, and it costs no more than it has to. */
#include "tiny_nets.h"

#include "confirm_repair.h"
#include "test_ctx.h"

enum { N_KEEP = 6, N_NETS = 25 };

typedef struct task {
    tiny t;
    nm_points repair, keep;
    nm_plan *plan;
} task;

static void open_task(task *k, uint64_t seed, int layer)
{
    nm_rng rng = {.seed = seed, .stream = 21};
    float x[N_KEEP * TN_IN];
    int64_t labels[N_KEEP];
    nm_err err = {0};

    tn_open(&k->t, ctx, seed, 1);
    fill_normal(&rng, x, N_KEEP * TN_IN);
    nm_assert_ok(nm_predict(ctx, k->t.net, x, N_KEEP, labels, &err), &err);
    nm_assert_ok(nm_points_from_arrays(x, N_KEEP, TN_IN, labels, &k->keep, &err), &err);
    nm_assert_ok(nm_points_from_arrays(k->t.x, 1, TN_IN, k->t.target, &k->repair, &err), &err);
    k->plan = tn_plan(&k->t, layer);
}

static void close_task(task *k)
{
    nm_points_free(&k->repair);
    nm_points_free(&k->keep);
    nm_plan_free(k->plan);
    tn_close(&k->t);
}

/* Keep points that are wrong in `fixed`. */
static int64_t count_broken(const task *k, const nm_net *fixed)
{
    int64_t predicted[N_KEEP], n = 0;
    nm_err err = {0};

    nm_assert_ok(nm_predict(ctx, fixed, k->keep.x, N_KEEP, predicted, &err), &err);
    for (int64_t p = 0; p < N_KEEP; p++)
        n += predicted[p] != k->keep.labels[p];
    return n;
}

/* @return the norm of the change, INFINITY without a repair */
static double repair(const task *k, nm_method method, bool keep, int64_t *broken, double *bound)
{
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_repair_task what = {.repair = &k->repair, .keep = keep ? &k->keep : NULL};
    nm_repair_report report;
    nm_net *fixed;
    double norm = INFINITY;
    nm_err err = {0};

    opts.method = method;
    opts.norm = NM_NORM_LINF;
    opts.gap = 1e-4;
    nm_assert_ok(
        nm_repair_confirmed(ctx, k->t.net, k->plan, &what, &opts, NULL, &fixed, &report, &err),
        &err);
    *broken = 0;
    *bound = report.lower_bound;
    if (report.outcome == NM_REPAIRED) {
        norm = report.change_linf;
        *broken = count_broken(k, fixed);
        if (keep)
            assert_int_equal(report.keep.right_after, report.keep.right_before);
    } else {
        assert_true(report.reason[0] != '\0');
    }
    nm_net_free(fixed);
    nm_repair_report_free(&report);
    return norm;
}

static void compare(nm_method method, int layer_from_end)
{
    int n_repaired = 0, n_broke = 0, n_free = 0;

    for (uint64_t seed = 0; seed < N_NETS; seed++) {
        int64_t broken, none;
        double bound, ignored;
        task k;

        open_task(&k, seed, layer_from_end > 0 ? 3 + (int)(seed % 3) - layer_from_end : -1);
        double alone = repair(&k, method, false, &broken, &ignored);
        double kept = repair(&k, method, true, &none, &bound);

        n_free += isfinite(alone);
        n_repaired += isfinite(kept);
        n_broke += isfinite(alone) && broken > 0;
        assert_int_equal(none, 0);
        if (method == NM_METHOD_MINIMAL && isfinite(kept)) {
            assert_true(bound <= kept * (1 + 1e-6)); /* margins and float32 are in the norm */
            assert_true(kept >= alone * (1 - 1e-3));
        }
        close_task(&k);
    }
    print_message("%d of %d nets repaired without a keep set (%d broke some of it), %d with it\n",
                  n_free, N_NETS, n_broke, n_repaired);
    assert_true(n_broke >= 5); /* else the keep set is no condition */
    assert_true(n_repaired >= 8);
}

static void layerwise_keeps(void **state)
{
    (void)state;
    compare(NM_METHOD_LAYERWISE, 0);
}

static void multilayer_keeps(void **state)
{
    (void)state;
    compare(NM_METHOD_MULTILAYER, 0);
}

static void minimal_keeps_with_the_last_layer(void **state)
{
    (void)state;
    compare(NM_METHOD_MINIMAL, 1);
}

static void minimal_keeps_with_an_earlier_layer(void **state)
{
    (void)state;
    compare(NM_METHOD_MINIMAL, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layerwise_keeps),
        cmocka_unit_test(multilayer_keeps),
        cmocka_unit_test(minimal_keeps_with_the_last_layer),
        cmocka_unit_test(minimal_keeps_with_an_earlier_layer),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
