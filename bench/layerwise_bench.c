/* Layer-wise repair of deep chains: layerwise_bench [LAYERS WIDTH POINTS]...; by default 20 x 200
 * and 100 x 1000 (2.5 GB). Random weights of He's variance, points that must change class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/ctx.h"
#include "base/rng.h"
#include "net/chain.h"
#include "repair/label_goals.h"
#include "repair/layerwise.h"
#include "support.h"

enum { CLASSES = 10, INPUTS = 100 };

static nm_net *make_deep(int n_layers, int64_t width)
{
    int64_t *widths = bench_alloc(n_layers + 1, sizeof *widths);
    double *w = bench_alloc(width * width, sizeof *w);
    nm_rng rng = {.seed = 1};
    nm_net *net;
    nm_err err = {0};

    for (int i = 1; i < n_layers; i++)
        widths[i] = width;
    widths[0] = INPUTS;
    widths[n_layers] = CLASSES;
    bench_check(nm_net_new_chain(widths, n_layers, &net, &err), &err);
    for (int i = 0; i < n_layers; i++) {
        for (int64_t k = 0; k < widths[i] * widths[i + 1]; k++)
            w[k] = (double)(float)(sqrt(2 / (double)widths[i]) * nm_rng_normal(&rng));
        bench_check(nm_net_set_layer(net, i, false, w, &err), &err);
    }
    free(widths);
    free(w);
    return net;
}

static void run(nm_ctx *ctx, int n_layers, int64_t width, int64_t n)
{
    nm_net *net = make_deep(n_layers, width);
    nm_rng rng = {.seed = 2};
    float *x = bench_alloc(n * INPUTS, sizeof *x);
    int64_t *target = bench_alloc(n, sizeof *target);
    double *margin = bench_alloc(n, sizeof *margin);
    nm_layerwise_opts opts = {.norm = NM_NORM_L2};
    nm_layerwise_report report;
    nm_label_goals goals;
    nm_changes changes;
    nm_plan *plan;
    nm_err err = {0};

    for (int64_t k = 0; k < n * INPUTS; k++)
        x[k] = (float)nm_rng_normal(&rng);
    bench_check(nm_predict(ctx, net, x, n, target, &err), &err);
    for (int64_t p = 0; p < n; p++) {
        target[p] = (target[p] + 1) % CLASSES;
        margin[p] = 1e-3;
    }
    bench_check(nm_label_goals_new(target, margin, n, CLASSES, &goals, &err), &err);
    bench_check(nm_plan_new(net, &plan, &err), &err);
    bench_check(nm_plan_mark_text(plan, "all", NM_FREE_ALL, &err), &err);
    nm_plan_set_joint(plan, true);
    nm_layerwise_effort(net, n, &opts);
    double start = nm_now();

    bench_check(nm_layerwise(ctx, net, plan, x, n, goals.goal, &opts, &changes, &report, &err),
                &err);
    printf("%3d layers x %4d, %d points: %s, %lld candidates, %.1f s, l2 %.4g; edited layers:",
           n_layers, (int)width, (int)n, report.found ? "repaired" : report.reason,
           (long long)report.tried, nm_now() - start, report.norm);
    for (int i = 0; report.found && i < n_layers; i++)
        if (changes.weights[i] || changes.biases[i])
            printf(" %d", i);
    printf("\n");
    nm_changes_clear(&changes);
    nm_label_goals_clear(&goals);
    nm_plan_free(plan);
    nm_net_free(net);
    free(x);
    free(target);
    free(margin);
}

int main(int argc, char **argv)
{
    nm_ctx *ctx = bench_ctx(2);

    for (int i = 1; i + 2 < argc; i += 3)
        run(ctx, atoi(argv[i]), atoi(argv[i + 1]), atoi(argv[i + 2]));
    if (argc < 4) {
        run(ctx, 20, 200, 5);
        run(ctx, 100, 1000, 1);
    }
    nm_ctx_free(ctx);
    return 0;
}
