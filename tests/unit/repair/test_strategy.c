/* Repairs in passes. */
#include "make_net.h"

#include "confirm_repair.h"
#include "netmend/netmend.h"

enum { N_IN = 6, N_OUT = 3, MOST = 24 };

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points repair, test;
    nm_plan *plan;
    nm_repair_opts opts;
    nm_strategy_opts how;
    nm_net *fixed;
    nm_repair_report report;
    nm_strategy_report passes;
};

static nm_points labelled(nm_ctx *ctx, const nm_net *net, uint64_t seed, int64_t n, int64_t shift)
{
    float x[MOST * N_IN];
    int64_t labels[MOST];
    nm_rng rng = {.seed = seed};
    nm_points points;
    nm_err err = {0};

    fill_normal(&rng, x, n * N_IN);
    nm_assert_ok(nm_predict(ctx, net, x, n, labels, &err), &err);
    for (int64_t i = 0; i < n; i++)
        labels[i] = (labels[i] + shift) % N_OUT;
    nm_assert_ok(nm_points_from_arrays(x, n, N_IN, labels, &points, &err), &err);
    return points;
}

/* n points that want another class; the middle layer may change. */
static struct world open_world(int64_t n)
{
    struct world w = {.net = make_chain(11, "Relu", (int64_t[]){N_IN, 16, 16, N_OUT}, 3)};
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    w.repair = labelled(w.ctx, w.net, 1, n, 1);
    w.test = labelled(w.ctx, w.net, 2, MOST, 0);
    nm_assert_ok(nm_plan_new(w.net, &w.plan, &err), &err);
    nm_assert_ok(nm_plan_mark(w.plan, 1, NM_FREE_ALL, &err), &err);
    w.opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w.opts.norm = NM_NORM_L2;
    w.how = (nm_strategy_opts)NM_STRATEGY_OPTS_INIT;
    w.how.strategy = NM_STRATEGY_INCREMENTAL;
    w.how.batch = 3;
    return w;
}

static void forget(struct world *w)
{
    nm_net_free(w->fixed);
    nm_repair_report_free(&w->report);
    nm_strategy_report_free(&w->passes);
    w->fixed = NULL;
}

static void run(struct world *w)
{
    nm_repair_task task = {.repair = &w->repair, .test = &w->test};
    nm_err err = {0};

    forget(w);
    nm_assert_ok(nm_strategy_run(w->ctx, w->net, w->plan, &task, &w->opts, &w->how, NULL, &w->fixed,
                                 &w->report, &w->passes, &err),
                 &err);
}

static void close_world(struct world *w)
{
    forget(w);
    nm_plan_free(w->plan);
    nm_points_free(&w->repair);
    nm_points_free(&w->test);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

static double largest_change(const struct world *w)
{
    double before[16 * 16], after[16 * 16], most = 0;
    nm_err err = {0};

    nm_assert_ok(nm_net_get_layer(w->net, 1, false, before, &err), &err);
    nm_assert_ok(nm_net_get_layer(w->fixed, 1, false, after, &err), &err);
    for (int i = 0; i < 16 * 16; i++)
        most = fmax(most, fabs(after[i] - before[i]));
    return most;
}

static void full_is_the_repair_itself(void **state)
{
    struct world w = open_world(6);
    nm_repair_task task = {.repair = &w.repair, .test = &w.test};
    nm_repair_report report;
    nm_err err = {0};

    (void)state;
    w.how.strategy = NM_STRATEGY_FULL;
    run(&w);
    nm_assert_ok(
        nm_repair_confirmed(w.ctx, w.net, w.plan, &task, &w.opts, NULL, NULL, &report, &err), &err);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    assert_true(report.objective == w.report.objective && report.change_l2 == w.report.change_l2);
    assert_int_equal(w.passes.n_passes, 0);
    nm_repair_report_free(&report);
    close_world(&w);
}

static void points_that_are_right_need_no_pass(void **state)
{
    struct world w = open_world(6);

    (void)state;
    nm_points_free(&w.repair);
    w.repair = labelled(w.ctx, w.net, 1, 6, 0);
    w.opts.safe = NM_SAFE_NONE;
    run(&w);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    assert_true(largest_change(&w) == 0);
    close_world(&w);
}

/* Where other classes are wanted, labels may be anything: passes do not take them for reference. */
static void labels_beside_targets_do_not_count(void **state)
{
    struct world w = open_world(6);
    int64_t targets[6];
    nm_repair_task task = {.repair = &w.repair, .targets = targets};
    nm_err err = {0};

    (void)state;
    for (int64_t p = 0; p < 6; p++) {
        targets[p] = w.repair.labels[p];
        w.repair.labels[p] = INT32_MAX;
    }
    w.opts.norm = NM_NORM_FUNCTION;
    w.opts.refine = NM_REFINE_ON;
    nm_assert_ok(nm_strategy_run(w.ctx, w.net, w.plan, &task, &w.opts, &w.how, NULL, &w.fixed,
                                 &w.report, &w.passes, &err),
                 &err);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    close_world(&w);
}

/* Each pass makes its batch right; accumulated passes lose nothing that they had. */
static void accumulated_passes_only_gain(void **state)
{
    struct world w = open_world(12);
    int64_t right = 0;

    (void)state;
    w.how.strategy = NM_STRATEGY_ACCUMULATED;
    run(&w);
    assert_true(w.passes.n_passes >= 2);
    for (int i = 0; i < w.passes.n_passes; i++) {
        assert_true(w.passes.passes[i].accepted);
        assert_true(w.passes.passes[i].set_right >= right);
        right = w.passes.passes[i].set_right;
    }
    assert_int_equal(right, 12);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    assert_int_equal(w.report.repair.right_after, 12);
    assert_int_equal(w.report.repair.safe_after, 12);
    assert_string_equal(w.passes.stopped, "all points right");
    close_world(&w);
}

/* Where passes are judged, and that the test set has no say while there is anything else. */
static void passes_are_judged_on_points_set_aside(void **state)
{
    struct world w = open_world(6);
    nm_points unlabelled = w.test, keep = labelled(w.ctx, w.net, 5, 20, 0);
    nm_points validation = labelled(w.ctx, w.net, 6, MOST, 0);
    nm_repair_task task = {.repair = &w.repair};
    const char *name;

    (void)state;
    unlabelled.labels = NULL;
    assert_null(nm_strategy_judge(&task, &name));
    assert_string_equal(name, "");
    task.test = &w.test;
    assert_ptr_equal(nm_strategy_judge(&task, &name), &w.test);
    assert_string_equal(name, "test");
    task.keep = &keep;
    assert_ptr_equal(nm_strategy_judge(&task, &name), &keep);
    task.reference = &unlabelled;
    assert_ptr_equal(nm_strategy_judge(&task, &name), &keep);
    task.reference = &validation;
    assert_ptr_equal(nm_strategy_judge(&task, &name), &validation);
    assert_string_equal(name, "reference");
    task.validation = &w.test;
    assert_ptr_equal(nm_strategy_judge(&task, &name), &w.test);
    assert_string_equal(name, "validation");
    nm_points_free(&keep);
    nm_points_free(&validation);
    close_world(&w);
}

/* Which pass is best is asked of the validation set, whatever the test set says; but no pass stays
   that loses more than allowed on either. */
static void the_test_set_limits_but_does_not_choose(void **state)
{
    (void)state;
    for (int limited = 0; limited < 2; limited++) {
        struct world w = open_world(18);
        nm_points spoilt = labelled(w.ctx, w.net, 6, MOST, 1); /* all wrong: nothing can be lost */
        nm_repair_task task = {.repair = &w.repair, .test = &w.test, .validation = &spoilt};
        int undone = 0;
        nm_err err = {0};

        w.how.max_drawdown = limited ? 0 : INFINITY;
        w.how.patience = 4;
        nm_assert_ok(nm_strategy_run(w.ctx, w.net, w.plan, &task, &w.opts, &w.how, NULL, &w.fixed,
                                     &w.report, &w.passes, &err),
                     &err);
        assert_string_equal(w.passes.judged_on, "validation");
        for (int i = 0; i < w.passes.n_passes; i++) {
            const nm_pass_report *p = &w.passes.passes[i];
            bool lost = p->accuracy < w.report.test.before;

            assert_true(!(p->drawdown_points > 0));
            if (p->outcome == NM_REPAIRED)
                assert_int_equal(p->accepted, !(limited && lost));
            undone += p->outcome == NM_REPAIRED && !p->accepted;
        }
        assert_true(limited ? undone > 0 : undone == 0);
        if (limited && w.fixed)
            assert_true(w.report.test.after >= w.report.test.before);
        nm_points_free(&spoilt);
        close_world(&w);
    }
}

/* What a pass repaired is as safe as asked after every later one, not only at the end. */
static void accumulated_fixes_stay_safe_in_every_pass(void **state)
{
    struct world w = open_world(12);

    (void)state;
    w.how.strategy = NM_STRATEGY_ACCUMULATED;
    for (int passes = 1; passes <= 4; passes++) {
        w.how.passes = passes;
        run(&w);
        assert_true(w.report.repair.safe_after >= 3 * passes);
    }
    close_world(&w);
}

/* The report is about the best network, whatever came after it. */
static void the_best_network_is_kept(void **state)
{
    struct world w = open_world(18);
    nm_repair_task task = {.repair = &w.repair};
    const nm_pass_report *best;
    int64_t classes[MOST], right = 0;
    nm_err err = {0};

    (void)state;
    (void)task;
    w.how.passes = 9;
    w.how.batch = 2;
    run(&w);
    assert_true(w.passes.best >= 0);
    best = &w.passes.passes[w.passes.best];
    for (int i = 0; i < w.passes.n_passes; i++) {
        const nm_pass_report *p = &w.passes.passes[i];

        assert_int_equal(p->best, i == w.passes.best);
        assert_true(p->set_right < best->set_right ||
                    (p->set_right == best->set_right && !(p->accuracy > best->accuracy)));
    }
    nm_assert_ok(nm_predict(w.ctx, w.fixed, w.repair.x, w.repair.n, classes, &err), &err);
    for (int64_t i = 0; i < w.repair.n; i++)
        right += classes[i] == w.repair.labels[i];
    assert_int_equal(right, best->set_right);
    assert_int_equal(right, w.report.repair.right_after);
    close_world(&w);
}

static void bounds_count_from_the_original_network(void **state)
{
    struct world w = open_world(18);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_plan_set_bounds(w.plan, -0.12, 0.12, &err), &err);
    w.how.passes = 12;
    for (int norm = NM_NORM_LINF_L1N; norm <= NM_NORM_L2; norm++) {
        w.opts.norm = (nm_norm)norm;
        run(&w);
        if (w.fixed)
            assert_true(largest_change(&w) <= 0.12);
        assert_true(w.passes.n_passes > 1);
    }
    /* From pass to pass the network may move on. */
    w.how.bounds_from_pass = true;
    w.opts.norm = NM_NORM_LINF;
    run(&w);
    assert_non_null(w.fixed);
    assert_true(largest_change(&w) > 0.12);
    close_world(&w);
}

static void no_network_loses_more_than_allowed(void **state)
{
    (void)state;
    for (int patience = 0; patience <= 4; patience += 4) {
        struct world w = open_world(18);

        w.how.max_drawdown = 15;
        w.how.patience = patience;
        w.how.passes = 12;
        run(&w);
        for (int i = 0; i < w.passes.n_passes; i++) {
            const nm_pass_report *p = &w.passes.passes[i];

            assert_int_equal(p->accepted, !(p->drawdown_points > 15) && !p->reason[0]);
            if (!p->accepted && patience == 0)
                assert_int_equal(i, w.passes.n_passes - 1);
        }
        if (w.fixed)
            assert_true(100 * (w.report.test.before - w.report.test.after) <= 15);
        close_world(&w);
    }
}

/* Two points are the same and want different classes: no edit can make both right. */
static void batches_without_a_repair_are_handled_as_asked(void **state)
{
    (void)state;
    for (int how = NM_INFEASIBLE_SKIP; how <= NM_INFEASIBLE_ELASTIC; how++) {
        struct world w = open_world(4);
        int n_infeasible = 0;

        memcpy(w.repair.x + N_IN, w.repair.x, N_IN * sizeof *w.repair.x);
        w.repair.labels[1] = (w.repair.labels[0] + 1) % N_OUT;
        w.how.batch = 4;
        w.how.on_infeasible = (nm_on_infeasible)how;
        run(&w);
        for (int i = 0; i < w.passes.n_passes; i++)
            n_infeasible += w.passes.passes[i].outcome == NM_INFEASIBLE;
        if (how == NM_INFEASIBLE_SKIP) {
            assert_int_equal(n_infeasible, 1);
            assert_null(w.fixed);
            assert_int_equal(w.report.outcome, NM_LIMIT);
        } else if (how == NM_INFEASIBLE_SPLIT) {
            assert_true(n_infeasible >= 1);
            assert_true(w.passes.n_passes >= 3);
            assert_int_equal(w.report.outcome, NM_PARTLY);
        } else {
            assert_int_equal(n_infeasible, 0);
            assert_int_equal(w.report.outcome, NM_PARTLY);
            assert_int_equal(w.report.repair.right_after, 3);
            assert_int_equal(w.report.n_unrepaired, 1);
            assert_true(w.report.unrepaired[0].point < 2);
        }
        close_world(&w);
    }
}

static void the_order_is_that_of_the_seed_for_any_threads(void **state)
{
    struct world w = open_world(12);
    double first, other;

    (void)state;
    nm_ctx_set_threads(w.ctx, 1);
    run(&w);
    first = w.report.change_l2;
    nm_ctx_set_threads(w.ctx, 2);
    run(&w);
    assert_true(w.report.change_l2 == first);
    w.how.seed = 5;
    run(&w);
    other = w.report.change_l2;
    assert_true(other != first);
    close_world(&w);
}

static void a_time_limit_keeps_what_was_accepted(void **state)
{
    struct world w = open_world(12);

    (void)state;
    nm_ctx_set_time_limit(w.ctx, 0);
    run(&w);
    assert_string_equal(w.passes.stopped, "limit");
    assert_int_equal(w.report.outcome, NM_LIMIT);
    assert_null(w.fixed);
    close_world(&w);
}

static void options_out_of_range_are_refused(void **state)
{
    struct world w = open_world(3);
    nm_repair_task task = {.repair = &w.repair};
    nm_err err = {0};

    (void)state;
    w.how.batch = 0;
    assert_int_equal(nm_strategy_run(w.ctx, w.net, w.plan, &task, &w.opts, &w.how, NULL, NULL,
                                     &w.report, &w.passes, &err),
                     NM_E_ARG);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_is_the_repair_itself),
        cmocka_unit_test(points_that_are_right_need_no_pass),
        cmocka_unit_test(labels_beside_targets_do_not_count),
        cmocka_unit_test(accumulated_passes_only_gain),
        cmocka_unit_test(passes_are_judged_on_points_set_aside),
        cmocka_unit_test(the_test_set_limits_but_does_not_choose),
        cmocka_unit_test(accumulated_fixes_stay_safe_in_every_pass),
        cmocka_unit_test(the_best_network_is_kept),
        cmocka_unit_test(bounds_count_from_the_original_network),
        cmocka_unit_test(no_network_loses_more_than_allowed),
        cmocka_unit_test(batches_without_a_repair_are_handled_as_asked),
        cmocka_unit_test(the_order_is_that_of_the_seed_for_any_threads),
        cmocka_unit_test(a_time_limit_keeps_what_was_accepted),
        cmocka_unit_test(options_out_of_range_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
