/* Lower bounds of smallest changes hold to the last digit: against optima in closed form, computed
 * with more digits, and from multipliers that are no optimum of anything. */
#include "tiny_nets.h"

#include "repair/minimal_model.h"
#include "test_ctx.h"

/* One point and the last layer, linf: raising the wanted score and lowering another by |D| |u|_1
 * each is the most that a change can do, so the optimum is the largest (y_j - y_t + margin) / (2
 * |u|_1). In long double, from the inputs of the layer as computed in double. */
static long double closed_form(const tiny *t)
{
    nm_plan *plan = tn_plan(t, t->n_layers - 1);
    nm_params *params;
    nm_min_tail tail;
    nm_err err = {0};
    long double y[TN_CLASSES], size = 0, most = 0;
    const double *theta = t->theta + t->first[t->n_layers - 1];

    nm_assert_ok(nm_params_new(plan, &params, &err), &err);
    nm_assert_ok(nm_min_tail_open(ctx, t->net, params, t->x, 1, &tail, &err), &err);
    for (int64_t k = 0; k < tail.width; k++)
        size += (long double)fabs(tail.u[k]);
    for (int64_t j = 0; j < TN_CLASSES; j++) {
        int64_t n_in = tail.width - 1;

        y[j] = (long double)theta[TN_CLASSES * n_in + j];
        for (int64_t k = 0; k < n_in; k++)
            y[j] += (long double)theta[j * n_in + k] * (long double)tail.u[k];
    }
    for (int64_t j = 0; j < TN_CLASSES; j++)
        if (j != t->target[0]) {
            long double gap = y[j] - y[t->target[0]] + (long double)t->margin[0];

            most = gap > most ? gap : most;
        }
    nm_min_tail_close(&tail);
    nm_params_free(params);
    nm_plan_free(plan);
    return most / (2 * size);
}

static void never_exceeds_the_closed_form(void **state)
{
    nm_minimal_opts opts = {.norm = NM_NORM_LINF, .gap = 1e-7, .max_nodes = 1000};
    nm_minimal_report report;
    double delta[TN_MAX_PARAMS];
    nm_err err = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        tiny t;

        tn_open(&t, ctx, seed, 1);
        nm_plan *plan = tn_plan(&t, t.n_layers - 1);
        long double best = closed_form(&t);

        nm_assert_ok(
            nm_minimal(ctx, t.net, plan, t.x, 1, t.goals.goal, &opts, delta, &report, &err), &err);
        assert_true(report.found && report.proven);
        if ((long double)report.lower_bound > best ||
            (long double)report.lower_bound < best * (1 - 1e-7L))
            fail_msg("seed %d: bound %.17g, optimum %.20Lg", (int)seed, report.lower_bound, best);
        nm_plan_free(plan);
        tn_close(&t);
    }
}

/* Opens the program of a layer for changes up to `largest`. */
static void open_model(const tiny *t, int layer, const nm_minimal_opts *opts, double largest,
                       nm_plan **plan, nm_params **params, nm_min_tail *tail, nm_min_model *model)
{
    nm_err err = {0};

    *plan = tn_plan(t, layer);
    nm_assert_ok(nm_params_new(*plan, params, &err), &err);
    nm_assert_ok(nm_min_tail_open(ctx, t->net, *params, t->x, t->n, tail, &err), &err);
    nm_assert_ok(nm_min_model_open(ctx, tail, t->goals.goal, opts, -INFINITY, INFINITY, largest,
                                   model, &err),
                 &err);
}

/* Bounds from multipliers at random, and from optimal ones that were shaken. */
static void try_multipliers(const tiny *t, nm_norm norm, nm_rng *rng, double found, int *n_useful)
{
    nm_minimal_opts opts = {.norm = norm, .gap = 1e-6};
    nm_min_model model;
    nm_min_tail tail;
    nm_params *params;
    nm_plan *plan;
    nm_min_outcome outcome;
    double d[TN_MAX_PARAMS], bound;
    nm_err err = {0};

    open_model(t, t->n_layers - 2, &opts, 2 * found, &plan, &params, &tail, &model);
    nm_branch_heap heap = {.n_sides = t->n * nm_min_tail_neurons(&tail), .n_points = t->n};
    nm_branch root;

    nm_assert_ok(nm_branch_copy(&heap, NULL, &root, &err), &err);
    memset(root.piece, 0, (size_t)t->n * sizeof *root.piece);
    nm_assert_ok(nm_min_model_solve(&model, &root, 0, d, &bound, &outcome, &err), &err);
    assert_int_equal(outcome, NM_MIN_SOLVED);
    double *y = malloc((size_t)model.rows.n * sizeof *y);

    assert_non_null(y);
    for (int shake = 0; shake < 12; shake++) {
        const double *price = Clp_getRowPrice(model.clp.clp);
        double size = pow(10, -shake);

        for (int64_t r = 0; r < model.rows.n; r++)
            y[r] = (shake == 0 ? 0 : price[r]) + size * nm_rng_normal(rng);
        bound = nm_min_model_prove(&model, y, false);
        if (!(bound <= found))
            fail_msg("shaken by %g: bound %.17g, a change of %.17g does", size, bound, found);
        *n_useful += bound > 0;
        assert_true(nm_min_model_prove(&model, y, true) <= 0); /* it is not infeasible */
    }
    free(y);
    nm_branch_clear(&root);
    nm_min_model_close(&model);
    nm_min_tail_close(&tail);
    nm_params_free(params);
    nm_plan_free(plan);
}

static void holds_for_any_multipliers(void **state)
{
    nm_rng rng = {.seed = 5, .stream = 9};
    nm_minimal_report report;
    double delta[TN_MAX_PARAMS];
    int n_useful = 0;
    nm_err err = {0};

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        nm_norm norm = seed % 2 ? NM_NORM_LINF : NM_NORM_L1;
        nm_minimal_opts opts = {.norm = norm, .gap = 1e-4, .max_nodes = 100};
        tiny t;

        tn_open(&t, ctx, seed, 1 + (int64_t)(seed % 3));
        nm_plan *plan = tn_plan(&t, t.n_layers - 2);

        nm_assert_ok(
            nm_minimal(ctx, t.net, plan, t.x, t.n, t.goals.goal, &opts, delta, &report, &err),
            &err);
        if (report.found)
            try_multipliers(&t, norm, &rng, report.norm, &n_useful);
        nm_plan_free(plan);
        tn_close(&t);
    }
    assert_true(n_useful > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_exceeds_the_closed_form),
        cmocka_unit_test(holds_for_any_multipliers),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
