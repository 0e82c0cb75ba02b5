/* Layer-wise repair of tiny nets beside the best changes that other ways find: the smallest of
 * every single layer (exact), and sequential linear programs over all layers from several starts.
 */
#include "tiny_nets.h"

#include <stdlib.h>

#include "solve/master.h"

enum { N_NETS = 200, N_STARTS = 6, N_STEPS = 12 };

static nm_ctx *shared_ctx;

/* -- the reference --------------------------------------------------------------------------- */

/* The gradient of scores[target] - scores[j] at theta, by plain loops. */
static void gradient(const tiny *t, const double *theta, int64_t p, int64_t j, double *g)
{
    double z[TN_LAYERS][TN_WIDTH], back[TN_WIDTH] = {0};

    tn_forward(t, theta, p, z);
    back[t->target[p]] = 1;
    back[j] = -1;
    for (int l = t->n_layers - 1; l >= 0; l--) {
        int64_t in = t->widths[l], out = t->widths[l + 1];
        const double *w = theta + t->first[l];
        double below[TN_WIDTH] = {0};

        for (int64_t r = 0; r < out; r++) {
            for (int64_t k = 0; k < in; k++) {
                double a = l == 0 ? (double)t->x[p * TN_IN + k] : fmax(z[l - 1][k], 0);

                g[t->first[l] + r * in + k] = back[r] * a;
                if (l > 0 && z[l - 1][k] > 0)
                    below[k] += back[r] * w[r * in + k];
            }
            g[t->first[l] + in * out + r] = back[r];
        }
        memcpy(back, below, sizeof back);
    }
}

/* One linear program: the smallest total change whose linearised margins do. */
static bool linear_step(const tiny *t, nm_norm norm, double *theta)
{
    nm_master_spec spec = {.norm = norm, .n = t->n_params, .gap = 1e-6};
    nm_master *master;
    nm_master_result result;
    double z[TN_LAYERS][TN_WIDTH], g[TN_MAX_PARAMS], h;
    nm_err err = {0};

    nm_assert_ok(nm_master_open(shared_ctx, &spec, NM_SOLVER_AUTO, &master, &err), &err);
    for (int64_t p = 0; p < t->n; p++) {
        tn_forward(t, theta, p, z);
        for (int64_t j = 0; j < TN_CLASSES; j++) {
            if (j == t->target[p])
                continue;
            gradient(t, theta, p, j, g);
            h = tn_margin * 1.001 - (z[t->n_layers - 1][t->target[p]] - z[t->n_layers - 1][j]);
            for (int64_t k = 0; k < t->n_params; k++)
                h += g[k] * (theta[k] - t->theta[k]);
            nm_assert_ok(nm_master_add_rows(master, 1, g, &h, &err), &err);
        }
    }
    nm_assert_ok(nm_master_solve(master, &result, &err), &err);
    bool solved = result.outcome == NM_MASTER_SOLVED;

    for (int64_t k = 0; solved && k < t->n_params; k++)
        theta[k] = t->theta[k] + result.d[k];
    nm_master_close(master);
    return solved;
}

static double change_of(const tiny *t, nm_norm norm, const double *theta)
{
    double v[TN_MAX_PARAMS];

    for (int64_t k = 0; k < t->n_params; k++)
        v[k] = theta[k] - t->theta[k];
    return tn_worst(t, theta) >= tn_margin ? tn_norm(norm, v, t->n_params) : INFINITY;
}

static double best_of_starts(const tiny *t, nm_norm norm, uint64_t seed)
{
    nm_rng rng = {.seed = seed, .stream = 11};
    double theta[TN_MAX_PARAMS], best = INFINITY;

    for (int start = 0; start < N_STARTS; start++) {
        for (int64_t k = 0; k < t->n_params; k++)
            theta[k] = t->theta[k] + 0.15 * start * nm_rng_normal(&rng);
        for (int step = 0; step < N_STEPS && linear_step(t, norm, theta); step++)
            best = fmin(best, change_of(t, norm, theta));
    }
    return best;
}

static double best_of_layers(const tiny *t, nm_norm norm)
{
    nm_minimal_opts opts = {.norm = norm, .gap = 1e-4, .max_nodes = 300};
    nm_minimal_report report;
    double delta[TN_MAX_PARAMS], best = INFINITY;
    nm_err err = {0};

    for (int l = 0; norm != NM_NORM_L2 && l < t->n_layers; l++) {
        nm_plan *plan = tn_plan(t, l);

        nm_assert_ok(nm_minimal(shared_ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts, delta,
                                &report, &err),
                     &err);
        best = fmin(best, report.norm);
        nm_plan_free(plan);
    }
    return best;
}

/* -- the method ------------------------------------------------------------------------------ */

/* Norm of the change found, INFINITY if none; the change is checked by plain loops. */
static double repair(const tiny *t, nm_norm norm)
{
    nm_layerwise_opts opts = {.norm = norm};
    nm_layerwise_report report;
    nm_changes changes;
    nm_plan *plan = tn_plan(t, -1);
    double theta[TN_MAX_PARAMS], found = INFINITY;
    nm_err err = {0};

    nm_layerwise_effort(t->net, t->n, &opts);
    nm_assert_ok(nm_layerwise(shared_ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts, &changes,
                              &report, &err),
                 &err);
    memcpy(theta, t->theta, sizeof theta);
    for (int l = 0; report.found && l < t->n_layers; l++) {
        int64_t in = t->widths[l], out = t->widths[l + 1];

        for (int64_t k = 0; changes.weights[l] && k < in * out; k++)
            theta[t->first[l] + k] += changes.weights[l][k];
        for (int64_t k = 0; changes.biases[l] && k < out; k++)
            theta[t->first[l] + in * out + k] += changes.biases[l][k];
    }
    if (report.found) {
        assert_true(tn_worst(t, theta) >= tn_margin - 1e-12);
        found = report.norm;
        for (int64_t k = 0; k < t->n_params; k++)
            theta[k] -= t->theta[k];
        assert_true(fabs(tn_norm(norm, theta, t->n_params) - found) <= 1e-9 * (1 + found));
    }
    nm_changes_clear(&changes);
    nm_plan_free(plan);
    return found;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Repairs all nets; prints how the norms compare. */
static void compare(nm_norm norm, int64_t n_points, double *repaired, double *median)
{
    static const double shares[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};
    double ratio[N_NETS];
    int n = 0, n_repaired = 0, n_repairable = 0;

    for (uint64_t seed = 0; seed < N_NETS; seed++) {
        tiny t;

        tn_open(&t, shared_ctx, seed, n_points);
        double found = repair(&t, norm);
        double reference = fmin(best_of_starts(&t, norm, seed), best_of_layers(&t, norm));

        n_repairable += isfinite(found) || isfinite(reference);
        n_repaired += isfinite(found);
        if (isfinite(found) && isfinite(reference))
            ratio[n++] = found / reference;
        tn_close(&t);
    }
    assert_true(n > 0);
    qsort(ratio, (size_t)n, sizeof *ratio, ascending);
    *repaired = (double)n_repaired / n_repairable;
    *median = ratio[n / 2];
    print_message("%s, %d point(s): %d of %d repairable nets repaired; norm / "
                  "reference (of %d):",
                  nm_norm_name(norm), (int)n_points, n_repaired, n_repairable, n);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        print_message(" %g%% %.3f", 100 * shares[i], ratio[(int)(shares[i] * (n - 1))]);
    print_message("\n");
}

static void repairs_single_points(void **state)
{
    static const nm_norm norms[] = {NM_NORM_LINF, NM_NORM_L1, NM_NORM_L2};

    (void)state;
    for (int i = 0; i < 3; i++) {
        double repaired, median;

        compare(norms[i], 1, &repaired, &median);
        assert_true(repaired >= 0.95);
        assert_true(median <= 1.5);
    }
}

static void repairs_several_points(void **state)
{
    double repaired, median;

    (void)state;
    compare(NM_NORM_LINF, TN_POINTS, &repaired, &median);
    assert_true(repaired >= 0.95);
    assert_true(median <= 1.5);
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
