/* The smallest changes of tiny nets that other ways find, beside which the methods that change
 * several layers stand: sequential linear programs over all layers from several starts, and the
 * smallest change of every single layer (proven). A reference, not an optimum. */
#ifndef NM_TESTS_TINY_REFERENCE_H
#define NM_TESTS_TINY_REFERENCE_H

#include "tiny_nets.h"

#include <stdlib.h>

#include "solve/master.h"

enum { TN_STARTS = 6, TN_STEPS = 12 };

/* The gradient of scores[target] - scores[j] at theta, by plain loops. */
static inline void tn_gradient(const tiny *t, const double *theta, int64_t p, int64_t j, double *g)
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
static inline bool tn_linear_step(nm_ctx *ctx, const tiny *t, nm_norm norm, double *theta)
{
    nm_master_spec spec = {.norm = norm, .n = t->n_params, .gap = 1e-6};
    nm_master *master;
    nm_master_result result;
    double z[TN_LAYERS][TN_WIDTH], g[TN_MAX_PARAMS], h;
    nm_err err = {0};

    nm_assert_ok(nm_master_open(ctx, &spec, NM_SOLVER_AUTO, &master, &err), &err);
    for (int64_t p = 0; p < t->n; p++) {
        tn_forward(t, theta, p, z);
        for (int64_t j = 0; j < TN_CLASSES; j++) {
            if (j == t->target[p])
                continue;
            tn_gradient(t, theta, p, j, g);
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

static inline double tn_change_of(const tiny *t, nm_norm norm, const double *theta)
{
    double v[TN_MAX_PARAMS];

    for (int64_t k = 0; k < t->n_params; k++)
        v[k] = theta[k] - t->theta[k];
    return tn_worst(t, theta) >= tn_margin ? tn_norm(norm, v, t->n_params) : INFINITY;
}

static inline double tn_best_of_starts(nm_ctx *ctx, const tiny *t, nm_norm norm, uint64_t seed)
{
    nm_rng rng = {.seed = seed, .stream = 11};
    double theta[TN_MAX_PARAMS], best = INFINITY;

    for (int start = 0; start < TN_STARTS; start++) {
        for (int64_t k = 0; k < t->n_params; k++)
            theta[k] = t->theta[k] + 0.15 * start * nm_rng_normal(&rng);
        for (int step = 0; step < TN_STEPS && tn_linear_step(ctx, t, norm, theta); step++)
            best = fmin(best, tn_change_of(t, norm, theta));
    }
    return best;
}

static inline double tn_best_of_layers(nm_ctx *ctx, const tiny *t, nm_norm norm)
{
    nm_minimal_opts opts = {.norm = norm, .gap = 1e-4, .max_nodes = 300};
    nm_minimal_report report;
    double delta[TN_MAX_PARAMS], best = INFINITY;
    nm_err err = {0};

    for (int l = 0; norm != NM_NORM_L2 && l < t->n_layers; l++) {
        nm_plan *plan = tn_plan(t, l);

        nm_assert_ok(
            nm_minimal(ctx, t->net, plan, t->x, t->n, t->goals.goal, &opts, delta, &report, &err),
            &err);
        best = fmin(best, report.norm);
        nm_plan_free(plan);
    }
    return best;
}

static inline double tn_reference(nm_ctx *ctx, const tiny *t, nm_norm norm, uint64_t seed)
{
    return fmin(tn_best_of_starts(ctx, t, norm, seed), tn_best_of_layers(ctx, t, norm));
}

/* The parameters after a change, and whether it does what its report says, by plain loops. */
static inline void tn_check_changes(const tiny *t, nm_norm norm, const nm_changes *changes,
                                    const nm_layerwise_report *report)
{
    double theta[TN_MAX_PARAMS];

    memcpy(theta, t->theta, sizeof theta);
    for (int l = 0; l < t->n_layers; l++) {
        int64_t in = t->widths[l], out = t->widths[l + 1];

        for (int64_t k = 0; changes->weights[l] && k < in * out; k++)
            theta[t->first[l] + k] += changes->weights[l][k];
        for (int64_t k = 0; changes->biases[l] && k < out; k++)
            theta[t->first[l] + in * out + k] += changes->biases[l][k];
    }
    assert_true(tn_worst(t, theta) >= tn_margin - 1e-12);
    for (int64_t k = 0; k < t->n_params; k++)
        theta[k] -= t->theta[k];
    assert_true(fabs(tn_norm(norm, theta, t->n_params) - report->norm) <=
                1e-9 * (1 + report->norm));
}

/* A method beside the reference on many nets. @return its norm, INFINITY without a repair */
typedef double (*tn_method)(nm_ctx *ctx, const tiny *t, nm_norm norm, uint64_t seed);

static inline int tn_ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef struct tn_distribution {
    int n_nets, n_repairable, n_repaired, n; /* n: repaired by both */
    double ratio[512];                       /* [n] norm / reference, ascending */
} tn_distribution;

static inline void tn_compare(nm_ctx *ctx, tn_method method, nm_norm norm, int64_t n_points,
                              int n_nets, tn_distribution *d)
{
    *d = (tn_distribution){.n_nets = n_nets};
    for (uint64_t seed = 0; seed < (uint64_t)n_nets; seed++) {
        tiny t;

        tn_open(&t, ctx, seed, n_points);
        double found = method(ctx, &t, norm, seed), reference = tn_reference(ctx, &t, norm, seed);

        d->n_repairable += isfinite(found) || isfinite(reference);
        d->n_repaired += isfinite(found);
        if (isfinite(found) && isfinite(reference))
            d->ratio[d->n++] = found / reference;
        tn_close(&t);
    }
    qsort(d->ratio, (size_t)d->n, sizeof *d->ratio, tn_ascending);
}

/* The ratio below which a share of the nets lies. */
static inline double tn_quantile(const tn_distribution *d, double share)
{
    return d->n > 0 ? d->ratio[(int)(share * (d->n - 1))] : (double)NAN;
}

static inline void tn_print(const tn_distribution *d, nm_norm norm, int64_t n_points)
{
    static const double shares[] = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1};

    print_message("%s, %d point(s): %d of %d repairable nets repaired; norm / reference (of %d):",
                  nm_norm_name(norm), (int)n_points, d->n_repaired, d->n_repairable, d->n);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++)
        print_message(" %g%% %.3f", 100 * shares[i], tn_quantile(d, shares[i]));
    print_message("\n");
}

/* At least 95 % of the nets that have a repair are repaired, with at most `most` times the
   reference at the median. */
static inline void tn_expect(nm_ctx *ctx, tn_method method, nm_norm norm, int64_t n_points,
                             int n_nets, double most)
{
    tn_distribution d;

    tn_compare(ctx, method, norm, n_points, n_nets, &d);
    tn_print(&d, norm, n_points);
    assert_true(d.n > 0 && d.n_repaired >= 0.95 * d.n_repairable);
    assert_true(tn_quantile(&d, 0.5) <= most);
}

#endif
