/* Multi-layer repair by separation layers: beside the best changes that other ways find, on a chain
 * whose optimum is known, and what stops it. */
#include "tiny_reference.h"

#include "repair/multilayer.h"
#include "test_ctx.h"

enum { N_NETS = 80 };

static int kinds = NM_PROPOSE_ALL;

/* -- beside the reference ---------------------------------------------------------------------- */

static double repair(nm_ctx *own, const tiny *t, nm_norm norm, uint64_t seed)
{
    nm_multilayer_opts opts = {.common = {.norm = norm}, .seed = seed};
    nm_layerwise_report report;
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    nm_err err = {0};

    nm_multilayer_effort(t->net, t->n, &opts);
    opts.kinds = kinds;
    opts.proposals = 400;
    opts.patience = 150;
    nm_assert_ok(
        nm_multilayer(own, t->net, plan, t->x, t->n, t->goals.goal, &opts, &changes, &report, &err),
        &err);
    assert_true(report.tried <= 3 * opts.proposals + 100);
    if (report.found)
        tn_check_changes(t, norm, &changes, &report);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    return report.norm;
}

static void compare(nm_norm norm, int64_t n_points)
{
    tn_expect(ctx, repair, norm, n_points, N_NETS, 1.25);
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

/* Each kind of proposal by itself: repairs, and none as good as all together on the whole. */
static void each_kind_of_proposal_repairs(void **state)
{
    static const int each[] = {NM_PROPOSE_ALL, NM_PROPOSE_GRADIENT, NM_PROPOSE_GREEDY,
                               NM_PROPOSE_RANDOM};
    double sum[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) {
        int n = 0;

        kinds = each[i];
        for (uint64_t seed = 0; seed < 40; seed++) {
            tiny t;

            tn_open(&t, ctx, seed, 1);
            double norm = repair(ctx, &t, NM_NORM_L2, seed);

            n += isfinite(norm);
            sum[i] += isfinite(norm) ? log(norm) : 0;
            tn_close(&t);
        }
        print_message("kinds %d: %d of 40 repaired, geometric mean of the norm %.4g\n", each[i], n,
                      exp(sum[i] / n));
        assert_true(n >= 36);
        assert_true(i == 0 || sum[i] >= sum[0]);
    }
    kinds = NM_PROPOSE_ALL;
}

/* -- a chain with a known optimum ---------------------------------------------------------------
 */

/* x = 1 -> w1 -> ReLU -> w2 -> two scores (y, 0), biases fixed: y = w2 w1 from 1 to 4 takes a
   change of at least 1 in linf: (1 + d) (1 + d) = 4. In one layer alone it takes 3. */
static nm_net *make_pair_chain(void)
{
    static const int64_t widths[] = {1, 1, 2};
    nm_net *net = make_chain(1, "Relu", widths, 2);
    double *w1 = net->values[net->layers[0].weight].constant->f64;
    double *w2 = net->values[net->layers[1].weight].constant->f64;
    double *b1 = net->values[net->layers[0].bias].constant->f64;
    double *b2 = net->values[net->layers[1].bias].constant->f64;

    w1[0] = w2[0] = 1;
    w2[1] = b1[0] = b2[0] = b2[1] = 0;
    return net;
}

static nm_plan *weights_of(const nm_net *net)
{
    nm_plan *plan;
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
    for (int l = 0; l < net->n_layers; l++)
        nm_assert_ok(nm_plan_mark(plan, l, NM_FREE_WEIGHTS, &err), &err);
    nm_plan_set_joint(plan, true);
    return plan;
}

static nm_layerwise_report repair_pair_chain(const nm_union *goal)
{
    const float x = 1;
    nm_net *net = make_pair_chain();
    nm_plan *plan = weights_of(net);
    nm_multilayer_opts opts = {.common = {.norm = NM_NORM_LINF}};
    nm_layerwise_report report;
    nm_changes changes;
    nm_err err = {0};

    nm_multilayer_effort(net, 1, &opts);
    nm_assert_ok(nm_multilayer(ctx, net, plan, &x, 1, goal, &opts, &changes, &report, &err), &err);
    assert_true(report.found);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    nm_net_free(net);
    return report;
}

static void shares_a_change_between_layers(void **state)
{
    static const double c[] = {-1, 0}, d[] = {-4};
    const nm_polytope piece = {.n_rows = 1, .c = c, .d = d};
    nm_layerwise_report report = repair_pair_chain(&(nm_union){.n_pieces = 1, .pieces = &piece});

    (void)state;
    if (!(report.norm >= 1 - 1e-6 && report.norm < 1.005))
        fail_msg("norm %.9g, the optimum is 1", report.norm);
}

/* y = 1 has to become at least 2, or at most 0: both are as near. */
static void tells_of_pieces_that_are_as_near(void **state)
{
    static const double c[] = {-1, 0, 1, 0}, d[] = {-2, 0};
    const nm_polytope pieces[] = {{.n_rows = 1, .c = c, .d = d},
                                  {.n_rows = 1, .c = c + 2, .d = d + 1}};

    (void)state;
    assert_int_equal(repair_pair_chain(&(nm_union){.n_pieces = 2, .pieces = pieces}).ambiguous, 1);
}

/* -- runs ----------------------------------------------------------------------------------------
 */

static double run(const tiny *t, int threads, double time_limit_s, int64_t proposals,
                  const nm_union *goal, nm_layerwise_report *report)
{
    nm_multilayer_opts opts = {.common = {.norm = NM_NORM_LINF}, .seed = 3};
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    nm_ctx *own;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&own, &err), &err);
    nm_ctx_set_threads(own, threads);
    if (time_limit_s > 0)
        nm_ctx_set_time_limit(own, time_limit_s);
    nm_multilayer_effort(t->net, t->n, &opts);
    opts.proposals = opts.patience = proposals;
    nm_assert_ok(nm_multilayer(own, t->net, plan, t->x, t->n, goal, &opts, &changes, report, &err),
                 &err);
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    nm_ctx_free(own);
    return report->norm;
}

static void is_the_same_for_any_number_of_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        nm_layerwise_report report;
        tiny t;

        tn_open(&t, ctx, seed, 2);
        double one = run(&t, 1, 0, 150, t.goals.goal, &report);

        assert_true(one == run(&t, 4, 0, 150, t.goals.goal, &report));
        tn_close(&t);
    }
}

static void keeps_what_it_found_when_time_is_up(void **state)
{
    nm_layerwise_report report;
    tiny t;

    (void)state;
    tn_open(&t, ctx, 1, 1);
    (void)run(&t, 1, 0.2, INT64_MAX, t.goals.goal, &report);
    assert_true(report.stopped && report.found && isfinite(report.norm));
    tn_close(&t);
}

static void more_proposals_are_never_worse(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        nm_layerwise_report report;
        tiny t;

        tn_open(&t, ctx, seed, 1);
        double few = run(&t, 1, 0, 20, t.goals.goal, &report);
        double many = run(&t, 1, 0, 200, t.goals.goal, &report);

        assert_true(many <= few * (1 + 1e-3)); /* the shortening at the end comes after both */
        tn_close(&t);
    }
}

static void says_that_an_empty_goal_cannot_be_met(void **state)
{
    static const double c[] = {1, 0, 0, -1, 0, 0}, d[] = {-1, -1};
    const nm_polytope piece = {.n_rows = 2, .c = c, .d = d}; /* y_0 <= -1 and y_0 >= 1 */
    const nm_union goal = {.n_pieces = 1, .pieces = &piece};
    nm_layerwise_report report;
    tiny t;

    (void)state;
    tn_open(&t, ctx, 0, 1);
    (void)run(&t, 1, 0, 20, &goal, &report);
    assert_false(report.found);
    assert_non_null(strstr(report.reason, "empty"));
    tn_close(&t);
}

static void refuses_the_function_norm(void **state)
{
    nm_multilayer_opts opts = {.common = {.norm = NM_NORM_FUNCTION}};
    nm_layerwise_report report;
    nm_changes changes;
    nm_err err = {0};
    tiny t;

    (void)state;
    tn_open(&t, ctx, 0, 1);
    nm_plan *plan = tn_plan(&t, -1);

    assert_int_equal(
        nm_multilayer(ctx, t.net, plan, t.x, 1, t.goals.goal, &opts, &changes, &report, &err),
        NM_E_ARG);
    nm_plan_free(plan);
    tn_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repairs_single_points),
        cmocka_unit_test(repairs_several_points),
        cmocka_unit_test(each_kind_of_proposal_repairs),
        cmocka_unit_test(shares_a_change_between_layers),
        cmocka_unit_test(tells_of_pieces_that_are_as_near),
        cmocka_unit_test(is_the_same_for_any_number_of_threads),
        cmocka_unit_test(keeps_what_it_found_when_time_is_up),
        cmocka_unit_test(more_proposals_are_never_worse),
        cmocka_unit_test(says_that_an_empty_goal_cannot_be_met),
        cmocka_unit_test(refuses_the_function_norm),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
