/* Lazy rows against the whole program; and what a user waits for.
 *
 *     repair_bench [--points N | --long] [--time-limit S] [--threads N] [--skip-dual]
 *                  [--skip-barrier]
 *
 * The same linear program twice in one process: foggy digits that the MNIST 3x100 network gets
 * wrong, layer 1, all pins, linf+l1n with outputs, changes within +-3, margin 1e-3.
 *   lazy      nm_repair() as a user calls it: rows as they are broken, our solver, judging included
 *   explicit  all rows and pre-activations at once, solved by CLP (tests/oracle/explicit_model.h);
 *             building it counts, too, and is next to nothing
 * The independent checker confirms every repair, which is not counted.
 * Times are processor seconds of all threads; lazy runs on one thread, as CLP does, unless told.
 * Before that the program on two moons: from start to exit, median of 20. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confirm_repair.h"
#include "oracle/explicit_model.h"
#include "support.h"

static const double margin = 1e-3, bound = 3;
static const int layer = 1;

/* -- MNIST ------------------------------------------------------------------------------------ */

/* The first n misclassified foggy digits among rows 0..999. */
static nm_points foggy_points(nm_ctx *ctx, const nm_net *net, int64_t n)
{
    nm_points all = bench_points(ctx, "mnist/t10k-fog-images-idx3-ubyte.gz",
                                 "mnist/t10k-labels-idx1-ubyte.gz", 0, 1000);
    nm_points wrong;
    int64_t *rows = bench_alloc(all.n, sizeof *rows), found = 0;
    float *y = bench_alloc(all.n * nm_net_n_out(net), sizeof *y);
    nm_err err = {0};

    bench_check(nm_net_forward_f32(ctx, net, all.x, all.n, y, &err), &err);
    for (int64_t p = 0; p < all.n && found < n; p++) {
        const float *score = y + p * nm_net_n_out(net);
        int64_t best = 0;

        for (int64_t j = 1; j < nm_net_n_out(net); j++)
            if (score[j] > score[best])
                best = j;
        if (best != all.labels[p])
            rows[found++] = p;
    }
    bench_check(nm_points_subset(&all, rows, found, &wrong, &err), &err);
    free(rows);
    free(y);
    nm_points_free(&all);
    return wrong;
}

static double repair_lazily(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                            nm_repair_report *report)
{
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_repair_task task = {.repair = points};
    nm_plan *plan = NULL;
    nm_net *fixed = NULL;
    nm_err err = {0};
    double start = bench_processor(), seconds;

    opts.method = NM_METHOD_APRNN;
    opts.norm = NM_NORM_LINF_L1N;
    opts.norm_includes_outputs = true;
    opts.margin = margin;
    opts.safe = NM_SAFE_NONE;
    bench_check(nm_plan_new(net, &plan, &err), &err);
    bench_check(nm_plan_mark_text(plan, "1..", NM_FREE_ALL, &err), &err);
    bench_check(nm_plan_set_bounds(plan, -bound, bound, &err), &err);
    bench_check(nm_repair(ctx, net, plan, &task, &opts, NULL, &fixed, report, &err), &err);
    seconds = bench_processor() - start;
    bench_check(nm_confirm_repair(&(nm_repaired){net, fixed, plan, &task, &opts, report}, &err),
                &err);
    nm_net_free(fixed);
    nm_plan_free(plan);
    return seconds;
}

static void compare_explicit(nm_ctx *ctx, const nm_net *net, const nm_points *points, bool barrier,
                             double limit, double lazy_s, double lazy_objective)
{
    nm_explicit_opts opts = {.layer = layer,
                             .margin = margin,
                             .bound = bound,
                             .with_outputs = true,
                             .barrier = barrier,
                             .time_limit_s = limit};
    nm_explicit_result r;
    nm_err err = {0};
    double seconds = bench_processor();

    bench_check(nm_explicit_solve(ctx, net, points, &opts, &r, &err), &err);
    seconds = bench_processor() - seconds;
    (void)printf("     explicit %-8s", barrier ? "barrier" : "dual");
    if (r.status == 3)
        (void)printf("                      >%8.1f s   lazy/explicit < %.4f", seconds,
                     lazy_s / seconds);
    else
        (void)printf("%.9f  %+.1e  %8.1f s   lazy/explicit %.4f%s", r.objective,
                     lazy_objective / r.objective - 1, seconds, lazy_s / seconds,
                     r.status == 0 ? "" : "   (CLP did not finish well)");
    (void)printf("   %lld rows, %lld columns, %lld entries\n", (long long)r.n_rows,
                 (long long)r.n_columns, (long long)r.n_entries);
    (void)fflush(stdout);
}

static void bench_mnist(int64_t n, int n_threads, double limit, bool dual, bool barrier)
{
    nm_ctx *ctx = bench_ctx(n_threads);
    nm_net *net = bench_net(ctx, "aprnn/mnist_relu_3_100.onnx");
    nm_points points = foggy_points(ctx, net, n);
    nm_repair_report report = {0};
    double seconds;

    nm_ctx_set_time_limit(ctx, limit);
    seconds = repair_lazily(ctx, net, &points, &report);
    nm_ctx_set_time_limit(ctx, (double)INFINITY);
    (void)printf("%3lld points: lazy      %.9f  gap %.0e  %6.2f s, %lld of %lld "
                 "rows, %d rounds, %s\n",
                 (long long)points.n, report.objective, report.gap, seconds, (long long)report.rows,
                 (long long)report.rows_total, report.solver_rounds,
                 nm_outcome_name(report.outcome));
    (void)fflush(stdout);
    if (dual)
        compare_explicit(ctx, net, &points, false, limit, seconds, report.objective);
    if (barrier)
        compare_explicit(ctx, net, &points, true, limit, seconds, report.objective);
    nm_repair_report_free(&report);
    nm_points_free(&points);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

/* -- moons, through the program -----------------------------------------------------------------
 */

struct cost {
    double wall, processor; /* seconds, start to exit */
};

static struct cost run_program(const char *norm, const char *which)
{
    char out[] = "/tmp/repair_bench_XXXXXX.onnx", model[4096], x[4096], y[4096];
    int status, file = mkstemps(out, 5);
    struct cost cost = {.wall = bench_now()};
    struct rusage used;
    pid_t child;

    (void)snprintf(model, sizeof model, "%s", bench_path("moons/moons_mlp.onnx"));
    (void)snprintf(x, sizeof x, "%s", bench_path("moons/x_mis.npy"));
    (void)snprintf(y, sizeof y, "%s", bench_path("moons/y_mis.npy"));
    child = file < 0 ? -1 : fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        (void)execl(NM_NETMEND, "netmend", "repair", model, "-x", x, "-y", y, "--layer", which,
                    "--norm", norm, "-o", out, (char *)NULL);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) < 0 || !WIFEXITED(status) ||
        WEXITSTATUS(status) > 1) {
        (void)fprintf(stderr, "bench: %s did not run\n", NM_NETMEND);
        exit(1);
    }
    cost.wall = bench_now() - cost.wall;
    cost.processor = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                     1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    (void)close(file);
    (void)unlink(out);
    return cost;
}

static void bench_moons(void)
{
    enum { REPEATS = 20 };
    static const char *const norms[] = {"linf+l1n", "linf", "l1", "l2"};
    static const char *const layers[] = {"last", "1"};

    for (size_t l = 0; l < sizeof layers / sizeof *layers; l++)
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
            double wall[REPEATS], processor[REPEATS];

            for (int k = 0; k < REPEATS; k++) {
                struct cost cost = run_program(norms[i], layers[l]);

                wall[k] = cost.wall;
                processor[k] = cost.processor;
            }
            double median = bench_median(wall, REPEATS);

            (void)printf(
                "moons, layer %-4s %-9s wall %6.1f ms (%.1f to %.1f), processor %6.1f ms\n",
                layers[l], norms[i], 1e3 * median, 1e3 * wall[0], 1e3 * wall[REPEATS - 1],
                1e3 * bench_median(processor, REPEATS));
            (void)fflush(stdout);
        }
}

int main(int argc, char **argv)
{
    static const int64_t many[] = {10, 25, 50, 100};
    double limit = bench_option(argc, argv, "--time-limit", 300);
    int64_t n = (int64_t)bench_option(argc, argv, "--points", 100);
    int n_threads = (int)bench_option(argc, argv, "--threads", 1);
    bool dual = !bench_flag(argc, argv, "--skip-dual");
    bool barrier = !bench_flag(argc, argv, "--skip-barrier");

    if (n < 0 || n_threads < 1 || !(limit > 0)) {
        (void)fprintf(stderr, "usage: repair_bench [--points N | --long] [--time-limit S] "
                              "[--threads N] [--skip-dual] [--skip-barrier]\n");
        return 2;
    }
    bench_moons();
    if (bench_flag(argc, argv, "--long"))
        for (size_t i = 0; i < sizeof many / sizeof *many; i++)
            bench_mnist(many[i], n_threads, limit, dual, barrier);
    else if (n > 0)
        bench_mnist(n, n_threads, limit, dual, barrier);
    return 0;
}
