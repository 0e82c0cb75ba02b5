/* Smallest changes of one layer against an enumeration of all patterns: for every pattern of the
 * neurons behind the layer the outputs are affine in the change, one linear program each. */
#include "tiny_nets.h"

#include "solve/master.h"

enum { MOST_NEURONS = 9 };

typedef struct world {
    nm_ctx *ctx;
} world;

/* Row c . z(layer l) >= h of point p as a row in the change of layer `edited`, with the pattern of
   the neurons between fixed: `weight` [width of l] is pulled back through on-neurons. */
typedef struct pull {
    const tiny *t;
    int edited;
    const int *on; /* [points][layers][TN_WIDTH] */
} pull;

static int is_on(const pull *f, int64_t p, int l, int64_t r)
{
    return f->on[(p * TN_LAYERS + l) * TN_WIDTH + r];
}

/* a: coefficients of the change of the edited layer; returns the constant part. */
static double pull_back(const pull *f, int64_t p, int l, const double *weight, const double *input,
                        double *a)
{
    const tiny *t = f->t;
    double w[TN_WIDTH], constant = 0;

    memcpy(w, weight, sizeof w);
    for (; l > f->edited; l--) {
        int64_t in = t->widths[l], out = t->widths[l + 1];
        const double *m = t->theta + t->first[l], *b = m + in * out;
        double below[TN_WIDTH] = {0};

        for (int64_t r = 0; r < out; r++) {
            constant += w[r] * b[r];
            for (int64_t k = 0; k < in; k++)
                below[k] += is_on(f, p, l - 1, k) ? w[r] * m[r * in + k] : 0;
        }
        memcpy(w, below, sizeof w);
    }
    int64_t in = t->widths[l], out = t->widths[l + 1];
    const double *m = t->theta + t->first[l];

    memset(a, 0, (size_t)(out * (in + 1)) * sizeof *a);
    for (int64_t r = 0; r < out; r++) {
        for (int64_t k = 0; k < in; k++) {
            constant += w[r] * m[r * in + k] * input[k];
            a[r * in + k] = w[r] * input[k];
        }
        constant += w[r] * m[in * out + r];
        a[in * out + r] = w[r];
    }
    return constant;
}

/* The optimum over one pattern, INFINITY if there is none. */
static double solve_pattern(const world *w, const pull *f, nm_norm norm)
{
    const tiny *t = f->t;
    int64_t n = t->widths[f->edited + 1] * (t->widths[f->edited] + 1);
    nm_master_spec spec = {.norm = norm, .n = n, .gap = 1e-9};
    nm_master *master;
    nm_master_result result;
    double a[TN_WIDTH * (TN_WIDTH + 1)], z[TN_LAYERS][TN_WIDTH], h;
    nm_err err = {0};

    nm_assert_ok(nm_master_open(w->ctx, &spec, NM_SOLVER_CLP, &master, &err), &err);
    for (int64_t p = 0; p < t->n; p++) {
        double input[TN_WIDTH];

        tn_forward(t, t->theta, p, z);
        for (int64_t k = 0; k < t->widths[f->edited]; k++)
            input[k] = f->edited == 0 ? (double)t->x[p * TN_IN + k] : fmax(z[f->edited - 1][k], 0);
        for (int l = f->edited; l + 1 < t->n_layers; l++)
            for (int64_t r = 0; r < t->widths[l + 1]; r++) {
                double one[TN_WIDTH] = {0};

                one[r] = is_on(f, p, l, r) ? 1 : -1;
                h = -pull_back(f, p, l, one, input, a);
                nm_assert_ok(nm_master_add_rows(master, 1, a, &h, &err), &err);
            }
        for (int64_t j = 0; j < TN_CLASSES; j++) {
            double row[TN_WIDTH] = {0};

            if (j == t->target[p])
                continue;
            row[t->target[p]] = 1;
            row[j] = -1;
            h = tn_margin - pull_back(f, p, t->n_layers - 1, row, input, a);
            nm_assert_ok(nm_master_add_rows(master, 1, a, &h, &err), &err);
        }
    }
    nm_assert_ok(nm_master_solve(master, &result, &err), &err);
    if (result.outcome == NM_MASTER_FAILED)
        fail_msg("the oracle's program failed");
    double best = result.outcome == NM_MASTER_SOLVED ? result.objective : INFINITY;

    nm_master_close(master);
    return best;
}

static int neurons_behind(const tiny *t, int layer)
{
    int n = 0;

    for (int l = layer; l + 1 < t->n_layers; l++)
        n += (int)(t->widths[l + 1] * t->n);
    return n;
}

static double enumerate(const world *w, const tiny *t, int layer, nm_norm norm)
{
    int n = neurons_behind(t, layer);
    double best = INFINITY;

    for (unsigned pattern = 0; pattern < 1U << n; pattern++) {
        int on[TN_POINTS * TN_LAYERS * TN_WIDTH] = {0}, bit = 0;
        pull f = {.t = t, .edited = layer, .on = on};

        for (int64_t p = 0; p < t->n; p++)
            for (int l = layer; l + 1 < t->n_layers; l++)
                for (int64_t r = 0; r < t->widths[l + 1]; r++)
                    on[(p * TN_LAYERS + l) * TN_WIDTH + r] = pattern >> bit++ & 1;
        best = fmin(best, solve_pattern(w, &f, norm));
    }
    return best;
}

/* The earliest layer that the oracle can afford. */
static int choose_layer(const tiny *t)
{
    int layer = 0;

    while (neurons_behind(t, layer) > MOST_NEURONS)
        layer++;
    return layer;
}

static void compare(world *w, uint64_t seed, int64_t n, nm_norm norm, int *n_early)
{
    tiny t;
    nm_minimal_opts opts = {.norm = norm, .gap = 1e-6, .max_nodes = 100000};
    nm_minimal_report report;
    double delta[TN_MAX_PARAMS], theta[TN_MAX_PARAMS], want;
    nm_err err = {0};

    tn_open(&t, w->ctx, seed, n);
    int layer = choose_layer(&t);
    nm_plan *plan = tn_plan(&t, layer);

    want = enumerate(w, &t, layer, norm);
    nm_assert_ok(
        nm_minimal(w->ctx, t.net, plan, t.x, t.n, t.goals.goal, &opts, delta, &report, &err), &err);
    if (report.found != isfinite(want) || !report.proven)
        fail_msg("seed %d, layer %d: oracle %g, got %g, bound %g, proven %d", (int)seed, layer,
                 want, report.norm, report.lower_bound, report.proven);
    if (report.found) {
        double got = tn_norm(norm, delta, t.first[layer + 1] - t.first[layer]);

        if (fabs(got - want) > 2e-6 * (1 + want) || fabs(report.norm - got) > 1e-12 * (1 + got) ||
            report.lower_bound > want * (1 + 1e-7) + 1e-9)
            fail_msg("seed %d, layer %d: oracle %.9g, got %.9g, bound %.9g", (int)seed, layer, want,
                     got, report.lower_bound);
        memcpy(theta, t.theta, sizeof theta);
        for (int64_t k = 0; k < t.first[layer + 1] - t.first[layer]; k++)
            theta[t.first[layer] + k] += delta[k];
        assert_true(tn_worst(&t, theta) >= tn_margin - 1e-12);
    }
    *n_early += layer + 1 < t.n_layers;
    nm_plan_free(plan);
    tn_close(&t);
}

static void equals_the_enumeration(void **state)
{
    int n_early = 0;

    for (uint64_t seed = 0; seed < 200; seed++)
        compare(*state, seed, 1, seed % 2 ? NM_NORM_LINF : NM_NORM_L1, &n_early);
    assert_true(n_early > 150);
}

static void equals_the_enumeration_for_several_points(void **state)
{
    int n_early = 0;

    for (uint64_t seed = 1000; seed < 1060; seed++)
        compare(*state, seed, 2 + (int64_t)(seed % 2), seed % 2 ? NM_NORM_LINF : NM_NORM_L1,
                &n_early);
    assert_true(n_early > 20);
}

static int setup(void **state)
{
    static world w;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    nm_ctx_free(((world *)*state)->ctx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_enumeration),
        cmocka_unit_test(equals_the_enumeration_for_several_points),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
