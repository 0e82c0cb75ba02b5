/* How time and memory of a repair grow: with the points, with the layer, with the keep set.
 *
 *     growth_bench [--series points|layer|keep] [--most N] [--limit S] [--threads N]
 *
 * Repairs in the function norm, as `netmend repair` does by default, each in a process of its own.
 *   points  MNIST 3x100, first layer, the first N foggy digits that are wrong, reference 5,000
 *           clean ones; any-order safe
 *   layer   the first 50 wrong ones, layers of 1,010 to 9.4 million parameters; MNIST with 5,000
 *           reference digits, AlexNet with 500 images; --safe none, since judging is not the
 * layer's keep    50 foggy digits, first layer, K digits to keep: 5,000 clean ones and, beyond,
 * copies of them with noise Time is processor seconds of the whole child (network and points are
 * loaded before); its phases are told apart by their shares of the wall clock. Memory is the peak
 * of the process, what was loaded included. The floor is what no method can do without: one float32
 * evaluation of all points and one product of the repair points' inputs with themselves, timed in
 * the same run. Every repair is confirmed by the independent checker, which is not counted.
 * Exponents are slopes of a straight line through the logarithms. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "child.h"
#include "confirm_repair.h"
#include "support.h"

#define MNIST_NET "aprnn/mnist_relu_3_100.onnx"
#define LABELS "mnist/t10k-labels-idx1-ubyte.gz"
#define FOG "mnist/t10k-fog-images-idx3-ubyte.gz"
#define CLEAN "mnist/t10k-images-idx3-ubyte.gz"
#define ALEX_NET "cifar10/alexnet_cifar10.onnx"

/* One repair to be made. */
typedef struct task {
    nm_ctx *ctx;
    const nm_net *net;
    const char *layer;
    nm_points repair, reference, keep; /* keep.n = 0: none */
    nm_safe safe;
    double limit;
    int threads; /* of the child: the parent must not have any when it forks */
} task;

typedef struct outcome {
    nm_outcome what;
    int64_t right, n;
    double prepare, solve, judge, all; /* wall seconds */
    double floor;                      /* processor seconds */
    double check;                      /* processor seconds of the independent checker */
    double peak_mb;                    /* before it */
} outcome;

/* -- material --------------------------------------------------------------------------------- */

static nm_points wrong_points(nm_ctx *ctx, const nm_net *net, const char *x, const char *labels,
                              int64_t n)
{
    int64_t last = 3 * n + 100 < 10000 ? 3 * n + 100 : 10000;
    nm_points all = bench_points(ctx, x, labels, 0, last), wrong;
    int64_t *classes = bench_alloc(all.n, sizeof *classes),
            *rows = bench_alloc(all.n, sizeof *rows);
    int64_t found = 0;
    nm_err err = {0};

    bench_check(nm_predict(ctx, net, all.x, all.n, classes, &err), &err);
    for (int64_t p = 0; p < all.n && found < n; p++)
        if (classes[p] != all.labels[p])
            rows[found++] = p;
    bench_check(nm_points_subset(&all, rows, found, &wrong, &err), &err);
    free(classes);
    free(rows);
    nm_points_free(&all);
    return wrong;
}

/* n points: those given, then copies with noise of 0.05. */
static nm_points many_points(const nm_points *some, int64_t n)
{
    int64_t *rows = bench_alloc(n, sizeof *rows);
    nm_rng rng = {.seed = 1};
    nm_points many;
    nm_err err = {0};

    for (int64_t p = 0; p < n; p++)
        rows[p] = p % some->n;
    bench_check(nm_points_subset(some, rows, n, &many, &err), &err);
    for (int64_t k = some->n * many.n_in; k < n * many.n_in; k++)
        many.x[k] += (float)(0.05 * nm_rng_normal(&rng));
    free(rows);
    return many;
}

/* -- one repair ------------------------------------------------------------------------------- */

/* All points through the net once, and the inner products of the repair points. */
static double floor_of(const task *t, int64_t n_in)
{
    const nm_points *sets[] = {&t->repair, &t->reference, &t->keep};
    int64_t n = t->repair.n;
    double *x = bench_alloc(n * n_in, sizeof *x), *gram = bench_alloc(n * n, sizeof *gram);
    nm_err err = {0};
    double start = bench_processor();

    for (int i = 0; i < 3; i++) {
        if (sets[i]->n == 0)
            continue;
        float *y = bench_alloc(sets[i]->n * nm_net_n_out(t->net), sizeof *y);

        bench_check(nm_net_forward_f32(t->ctx, t->net, sets[i]->x, sets[i]->n, y, &err), &err);
        free(y);
    }
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n, (int)n_in, 1, x, (int)n_in, 0,
                gram, (int)n);
    free(x);
    free(gram);
    return fmax(bench_processor() - start, 1e-4);
}

static int64_t inputs_of_layer(const task *t, const nm_plan *plan)
{
    nm_layer_info info;
    nm_err err = {0};

    for (int i = 0; i < nm_net_n_layers(t->net); i++) {
        bench_check(nm_net_layer_info(t->net, i, &info, &err), &err);
        if (nm_plan_edits(plan, i))
            return info.n_in;
    }
    return 1;
}

static double peak_mb(void)
{
    struct rusage used;

    return getrusage(RUSAGE_SELF, &used) == 0 ? (double)used.ru_maxrss / 1024 : (double)NAN;
}

/* The repair; then, not counted, what the independent checker says of it. */
static void work(const void *argument, void *out)
{
    const task *t = argument;
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_repair_task what = {.repair = &t->repair,
                           .reference = t->reference.n > 0 ? &t->reference : NULL,
                           .keep = t->keep.n > 0 ? &t->keep : NULL};
    nm_repair_report r;
    nm_plan *plan;
    nm_net *fixed;
    nm_err err = {0};
    outcome *o = out;

    opts.norm = NM_NORM_FUNCTION;
    opts.safe = t->safe;
    bench_check(nm_plan_new(t->net, &plan, &err), &err);
    bench_check(nm_plan_mark_text(plan, t->layer, NM_FREE_ALL, &err), &err);
    nm_ctx_set_time_limit(t->ctx, t->limit);
    nm_ctx_set_threads(t->ctx, t->threads);
    double start = bench_now();
    bench_check(nm_repair(t->ctx, t->net, plan, &what, &opts, NULL, &fixed, &r, &err), &err);
    *o = (outcome){.what = r.outcome,
                   .right = r.repair.right_after,
                   .n = r.repair.n,
                   .prepare = r.s_prepare,
                   .solve = r.s_linearise + r.s_solve,
                   .judge = r.s_judge,
                   .all = bench_now() - start};
    o->floor = floor_of(t, inputs_of_layer(t, plan));
    o->peak_mb = peak_mb();
    start = bench_processor();
    bench_check(nm_confirm_repair(&(nm_repaired){t->net, fixed, plan, &what, &opts, &r}, &err),
                &err);
    o->check = bench_processor() - start;
}

/* -- series ----------------------------------------------------------------------------------- */

enum { MOST_ROWS = 16, MOST_CHECK_S = 300 };

typedef struct series {
    int n;
    double x[MOST_ROWS], all[MOST_ROWS], solve[MOST_ROWS], memory[MOST_ROWS];
} series;

static double slope(const series *s, const double *y)
{
    double mx = 0, my = 0, above = 0, below = 0;

    for (int i = 0; i < s->n; i++) {
        mx += log(s->x[i]) / s->n;
        my += log(y[i]) / s->n;
    }
    for (int i = 0; i < s->n; i++) {
        above += (log(s->x[i]) - mx) * (log(y[i]) - my);
        below += (log(s->x[i]) - mx) * (log(s->x[i]) - mx);
    }
    return above / below;
}

static void print_head(const char *what)
{
    (void)printf("%-22s %9s %9s %9s %9s %9s %9s %9s %7s  outcome\n", what, "x", "cpu s", "prepare",
                 "solve", "judge", "floor s", "times", "MB");
}

static void measure(const task *t, const char *name, double x, series *s)
{
    outcome o = {0};
    bench_cost cost;
    bench_end end = bench_in_child(work, t, &o, sizeof o, 3 * t->limit + 5 + MOST_CHECK_S,
                                   (double)INFINITY, &cost);

    if (end != BENCH_DONE) {
        (void)printf("%-22s %9.0f > %.1f s\n", name, x, cost.seconds);
        return;
    }
    double cpu = cost.seconds - o.floor - o.check, share = cpu / o.all;

    (void)printf("%-22s %9.0f %9.2f %9.2f %9.2f %9.2f %9.3f %9.1f %7.0f  %s %lld of %lld\n", name,
                 x, cpu, share * o.prepare, share * o.solve, share * o.judge, o.floor,
                 cpu / o.floor, o.peak_mb, nm_outcome_name(o.what), (long long)o.right,
                 (long long)o.n);
    (void)fflush(stdout);
    if (o.what != NM_REPAIRED)
        return;
    s->x[s->n] = x;
    s->all[s->n] = cpu;
    s->solve[s->n] = fmax(share * o.solve, 1e-4);
    s->memory[s->n++] = o.peak_mb;
}

static void print_exponents(const series *s)
{
    if (s->n >= 3)
        (void)printf("%-22s time %.2f, solving %.2f, memory %.2f\n\n", "exponents",
                     slope(s, s->all), slope(s, s->solve), slope(s, s->memory));
}

static void grow_points(nm_ctx *ctx, int threads, double limit, double most)
{
    static const int64_t n[] = {10, 30, 100, 300, 1000, 2000, 5000};
    nm_net *net = bench_net(ctx, MNIST_NET);
    series s = {0};
    task t = {.ctx = ctx,
              .net = net,
              .layer = "0",
              .reference = bench_points(ctx, CLEAN, LABELS, 0, 5000),
              .safe = NM_SAFE_ANY_ORDER,
              .limit = limit,
              .threads = threads};

    print_head("points (N)");
    for (size_t i = 0; i < sizeof n / sizeof *n && (double)n[i] <= most; i++) {
        t.repair = wrong_points(ctx, net, FOG, LABELS, n[i]);
        measure(&t, "mnist layer 0", (double)n[i], &s);
        nm_points_free(&t.repair);
    }
    print_exponents(&s);
    nm_points_free(&t.reference);
    nm_net_free(net);
}

static void grow_layers(nm_ctx *ctx, const char *path, const char *x, const char *labels,
                        const char *reference, int64_t n_reference, const char *const *layers,
                        int threads, double limit, double most)
{
    nm_net *net = bench_net(ctx, path);
    nm_err err = {0};
    series s = {0};
    task t = {.ctx = ctx,
              .net = net,
              .repair = wrong_points(ctx, net, x, labels, 50),
              .reference = bench_points(ctx, reference, labels, 0, n_reference),
              .safe = NM_SAFE_NONE,
              .limit = limit,
              .threads = threads};

    for (; *layers; layers++) {
        nm_plan *plan;
        int64_t size = 0;

        t.layer = *layers;
        bench_check(nm_plan_new(net, &plan, &err), &err);
        bench_check(nm_plan_mark_text(plan, t.layer, NM_FREE_ALL, &err), &err);
        size = nm_plan_n_free(plan);
        nm_plan_free(plan);
        if ((double)size <= most)
            measure(&t, *layers, (double)size, &s);
    }
    print_exponents(&s);
    nm_points_free(&t.repair);
    nm_points_free(&t.reference);
    nm_net_free(net);
}

static void grow_keep(nm_ctx *ctx, int threads, double limit, double most)
{
    static const int64_t n[] = {1000, 3000, 10000, 20000, 50000};
    nm_net *net = bench_net(ctx, MNIST_NET);
    nm_points clean = bench_points(ctx, CLEAN, LABELS, 0, 5000);
    series s = {0};
    task t = {.ctx = ctx,
              .net = net,
              .layer = "0",
              .repair = wrong_points(ctx, net, FOG, LABELS, 50),
              .safe = NM_SAFE_ANY_ORDER,
              .limit = limit,
              .threads = threads};

    print_head("keep points (K)");
    for (size_t i = 0; i < sizeof n / sizeof *n && (double)n[i] <= most; i++) {
        t.keep = many_points(&clean, n[i]);
        measure(&t, "mnist layer 0", (double)n[i], &s);
        nm_points_free(&t.keep);
    }
    print_exponents(&s);
    nm_points_free(&t.repair);
    nm_points_free(&clean);
    nm_net_free(net);
}

int main(int argc, char **argv)
{
    static const char *const mnist[] = {"2", "1", "0", NULL};
    static const char *const alexnet[] = {"fc3", "fc2", "fc1", NULL};
    const char *only = NULL;
    double limit = bench_option(argc, argv, "--limit", 120);
    double most = bench_option(argc, argv, "--most", 1e9);
    int threads = (int)bench_option(argc, argv, "--threads", 1);

    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--series") == 0)
            only = argv[i + 1];
    if (threads < 1 || !(limit > 0) || !(most > 0)) {
        (void)fprintf(stderr, "usage: growth_bench [--series points|layer|keep] [--most N] "
                              "[--limit S] [--threads N]\n");
        return 2;
    }
    nm_ctx *ctx = bench_ctx(1);

    if (!only || strcmp(only, "points") == 0)
        grow_points(ctx, threads, limit, most);
    if (!only || strcmp(only, "layer") == 0) {
        print_head("parameters of a layer");
        grow_layers(ctx, MNIST_NET, FOG, LABELS, CLEAN, 5000, mnist, threads, limit, most);
        grow_layers(ctx, ALEX_NET, "cifar10/test_batch.bin", NULL, "cifar10/data_batch_1.bin", 500,
                    alexnet, threads, limit, most);
    }
    if (!only || strcmp(only, "keep") == 0)
        grow_keep(ctx, threads, limit, most);
    nm_ctx_free(ctx);
    return 0;
}
