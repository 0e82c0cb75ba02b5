/* One repair program at the original network, lazy rows and our solver against CLP.
 *
 *     solvers_bench [--case NAME] [--points N] [--norm NORM] [--clp-limit S] [--time-limit S]
 *                   [--threads N] [--log]
 *
 * Label rows of misclassified points, later activations held (aprnn: all pins) on small networks
 * and let go on AlexNet's fc layers, margin as in the case table. CLP gets every row at once (its
 * dual simplex; --clp-limit 0 leaves it out). Times are processor seconds. A case is left out
 * unless its name begins with what --case says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/ctx.h"
#include "problem/rows.h"
#include "repair/program.h"
#include "support.h"

typedef struct bench_case {
    const char *name, *net, *x, *labels, *layers;
    int64_t rows; /* of the data, among which misclassified points are looked for */
    int64_t points;
    double margin, bound;
    bool outputs, pins;
} bench_case;

#define ALEX "cifar10/alexnet_cifar10.onnx", "cifar10/test_batch.bin", NULL
#define MNIST                                                                                      \
    "aprnn/mnist_relu_3_100.onnx", "mnist/t10k-fog-images-idx3-ubyte.gz",                          \
        "mnist/t10k-labels-idx1-ubyte.gz"
#define MOONS "moons/moons_mlp.onnx", "moons/x_mis.npy", "moons/y_mis.npy"

static const bench_case cases[] = {
    {"moons-0", MOONS, "0", 19, 19, 1e-3, INFINITY, false, false},
    {"moons-1", MOONS, "1", 19, 19, 1e-3, INFINITY, false, false},
    {"moons-last", MOONS, "last", 19, 19, 1e-3, INFINITY, false, false},
    {"mnist-0-10", MNIST, "0", 1000, 10, 1e-3, INFINITY, false, false},
    {"mnist-0-25", MNIST, "0", 1000, 25, 1e-3, INFINITY, false, false},
    {"mnist-0-100", MNIST, "0", 1000, 100, 1e-3, INFINITY, false, false},
    {"mnist-1-10", MNIST, "1", 1000, 10, 1e-3, INFINITY, false, false},
    {"mnist-1-25", MNIST, "1", 1000, 25, 1e-3, INFINITY, false, false},
    {"mnist-1-100", MNIST, "1", 1000, 100, 1e-3, INFINITY, false, false},
    {"mnist-2-10", MNIST, "2", 1000, 10, 1e-3, INFINITY, false, false},
    {"mnist-2-25", MNIST, "2", 1000, 25, 1e-3, INFINITY, false, false},
    {"mnist-2-100", MNIST, "2", 1000, 100, 1e-3, INFINITY, false, false},
    {"mnist-1-pins-out-50", MNIST, "1..", 1000, 50, 1e-3, 3, true, true},
    {"mnist-1-pins-out-100", MNIST, "1..", 1000, 100, 1e-3, 3, true, true},
    {"alexnet-fc3-10", ALEX, "last", 100, 10, 2, 15, false, false},
    {"alexnet-fc3-50", ALEX, "last", 500, 50, 2, 15, false, false},
    {"alexnet-fc3-200", ALEX, "last", 2000, 200, 2, 15, false, false},
    {"alexnet-fc3-out-10", ALEX, "last", 100, 10, 2, 15, true, false},
    {"alexnet-fc3-out-50", ALEX, "last", 500, 50, 2, 15, true, false},
    {"alexnet-fc3-out-200", ALEX, "last", 2000, 200, 2, 15, true, false},
    {"alexnet-fc2-50", ALEX, "fc2", 500, 50, 1e-3, INFINITY, false, false},
    {"alexnet-fc2-200", ALEX, "fc2", 2000, 200, 1e-3, INFINITY, false, false},
    {"alexnet-fc1-50", ALEX, "fc1", 500, 50, 1e-3, INFINITY, false, false},
    {"alexnet-fc1-200", ALEX, "fc1", 2000, 200, 1e-3, INFINITY, false, false},
};

static const struct {
    nm_norm norm;
    const char *name;
} norms[] = {
    {NM_NORM_LINF_L1N, "linf+l1n"}, {NM_NORM_LINF, "linf"}, {NM_NORM_L1, "l1"}, {NM_NORM_L2, "l2"}};

static bool log_lines; /* --log: what the solvers say, with processor times */

/* What both solvers get. */
typedef struct problem {
    nm_ctx *ctx;
    nm_net *net;
    nm_plan *plan;
    nm_params *params;
    nm_points points;
    nm_tail *tail;
    nm_demand demand;
} problem;

static int64_t best_class(const float *score, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 1; j < n; j++)
        if (score[j] > score[best])
            best = j;
    return best;
}

/* The first misclassified ones. */
static nm_points wrong_points(nm_ctx *ctx, const nm_net *net, const bench_case *c)
{
    nm_points all = bench_points(ctx, c->x, c->labels, 0, c->rows), wrong;
    int64_t *rows = bench_alloc(all.n, sizeof *rows), found = 0, n_out = nm_net_n_out(net);
    float *y = bench_alloc(all.n * n_out, sizeof *y);
    nm_err err = {0};

    bench_check(nm_net_forward_f32(ctx, net, all.x, all.n, y, &err), &err);
    for (int64_t p = 0; p < all.n && found < c->points; p++)
        if (best_class(y + p * n_out, n_out) != all.labels[p])
            rows[found++] = p;
    bench_check(nm_points_subset(&all, rows, found, &wrong, &err), &err);
    free(rows);
    free(y);
    nm_points_free(&all);
    return wrong;
}

static void log_line(void *user, nm_log_level level, const char *line)
{
    (void)level;
    (void)fprintf(stderr, "%9.2f s  %s\n", bench_processor() - *(double *)user, line);
}

static problem open_problem(const bench_case *c, int threads)
{
    static double start;
    problem p = {.ctx = bench_ctx(threads)};
    nm_err err = {0};

    start = bench_processor();
    if (log_lines)
        nm_ctx_set_log(p.ctx, log_line, &start);

    p.net = bench_net(p.ctx, c->net);
    p.points = wrong_points(p.ctx, p.net, c);
    bench_check(nm_plan_new(p.net, &p.plan, &err), &err);
    bench_check(nm_plan_mark_text(p.plan, c->layers, NM_FREE_ALL, &err), &err);
    if (c->bound < (double)INFINITY)
        bench_check(nm_plan_set_bounds(p.plan, -c->bound, c->bound, &err), &err);
    bench_check(nm_params_new(p.plan, &p.params, &err), &err);
    bench_check(nm_tail_new(p.ctx, p.net, p.params, p.points.x, p.points.n, false, &p.tail, &err),
                &err);
    p.demand.target = bench_alloc(p.points.n, sizeof *p.demand.target);
    p.demand.margin = bench_alloc(p.points.n, sizeof *p.demand.margin);
    p.demand.n_pinned = p.points.n;
    for (int64_t i = 0; i < p.points.n; i++) {
        p.demand.target[i] = p.points.labels[i];
        p.demand.margin[i] = c->margin;
    }
    return p;
}

static void close_problem(problem *p)
{
    nm_tail_free(p->tail);
    nm_params_free(p->params);
    nm_plan_free(p->plan);
    nm_points_free(&p->points);
    nm_net_free(p->net);
    nm_ctx_free(p->ctx);
    free(p->demand.target);
    free(p->demand.margin);
}

typedef struct run {
    bool done;
    nm_master_outcome outcome;
    double seconds;
    nm_program_figures figures;
    nm_err err; /* unless done */
} run;

/* @param all  every label row at once */
static run solve(const problem *p, const bench_case *c, nm_norm norm, nm_solver solver, bool all,
                 double limit)
{
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    int64_t n_scores = nm_net_n_out(p->net), n = 0, added;
    nm_row_id *rows = bench_alloc(p->points.n * n_scores, sizeof *rows);
    nm_program *program = NULL;
    run r = {.seconds = bench_processor()};

    opts.norm = norm;
    opts.solver = solver;
    opts.norm_includes_outputs = c->outputs;
    nm_program_opts how = {.plan = p->plan,
                           .repair = &opts,
                           .original_scores = p->tail->at->val[p->net->scores],
                           .all_pins = c->pins,
                           .gap = 1e-8};
    for (int64_t i = 0; i < p->points.n && all; i++)
        for (int64_t k = 0; k < n_scores; k++)
            if (k != p->demand.target[i])
                rows[n++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = i, .k = k};
    nm_ctx_set_time_limit(p->ctx, limit);
    r.done = nm_program_open(p->ctx, p->tail, &p->demand, &how, &program, &r.err) == NM_OK &&
             nm_program_add(program, rows, n, &added, &r.err) == NM_OK &&
             nm_program_solve(program, &r.outcome, &r.err) == NM_OK;
    if (r.done)
        r.figures = nm_program_report(program);
    nm_program_close(program);
    nm_ctx_set_time_limit(p->ctx, (double)INFINITY);
    r.seconds = bench_processor() - r.seconds;
    free(rows);
    return r;
}

static double peak_memory_mb(void)
{
    struct rusage used;

    (void)getrusage(RUSAGE_SELF, &used);
    return (double)used.ru_maxrss / 1024;
}

static void print_ours(const problem *p, const bench_case *c, size_t norm, const run *r)
{
    (void)printf("%-20s %9lld %-9s ", c->name, (long long)p->params->n, norms[norm].name);
    if (r->done && r->outcome == NM_MASTER_SOLVED)
        (void)printf("%5lld %3d %12.8g %7.0e %8.2f s %6.0f MB %-14s", (long long)r->figures.n_rows,
                     r->figures.rounds, r->figures.objective,
                     1 - r->figures.lower_bound / r->figures.objective, r->seconds,
                     peak_memory_mb(), r->figures.solver);
    else if (r->done)
        (void)printf("%s after %.2f s",
                     r->outcome == NM_MASTER_INFEASIBLE ? "infeasible" : "failed", r->seconds);
    else
        (void)printf("> %.2f s (%s)", r->seconds, r->err.text);
}

static void print_clp(const run *ours, const run *clp)
{
    if (clp->done && clp->outcome == NM_MASTER_SOLVED)
        (void)printf(" CLP %8.2f s %+.0e, %.1f times", clp->seconds,
                     ours->figures.objective / clp->figures.objective - 1,
                     clp->seconds / ours->seconds);
    else
        (void)printf(" CLP > %.2f s, > %.1f times", clp->seconds, clp->seconds / ours->seconds);
}

static void bench(const bench_case *c, const char *only, double limit, double clp_limit,
                  int threads)
{
    problem p = open_problem(c, threads);

    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
        if (only && strcmp(only, norms[i].name) != 0)
            continue;
        run ours = solve(&p, c, norms[i].norm, NM_SOLVER_STRUCTURED, false, limit);

        print_ours(&p, c, i, &ours);
        (void)fflush(stdout);
        if (clp_limit > 0 && norms[i].norm != NM_NORM_L2) {
            run clp = solve(&p, c, norms[i].norm, NM_SOLVER_CLP, true, clp_limit);

            print_clp(&ours, &clp);
        }
        (void)printf("\n");
        (void)fflush(stdout);
    }
    close_problem(&p);
}

static const char *text_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

int main(int argc, char **argv)
{
    const char *name = text_option(argc, argv, "--case"), *norm = text_option(argc, argv, "--norm");
    double limit = bench_option(argc, argv, "--time-limit", 600);
    double clp_limit = bench_option(argc, argv, "--clp-limit", 60);
    int threads = (int)bench_option(argc, argv, "--threads", 1);

    log_lines = bench_flag(argc, argv, "--log");
    if (threads < 1 || !(limit > 0) || !(clp_limit >= 0)) {
        (void)fprintf(stderr, "usage: solvers_bench [--case NAME] [--norm NORM] [--clp-limit S] "
                              "[--time-limit S] [--threads N] [--log]\n");
        return 2;
    }
    (void)printf("%-20s %9s %-9s %5s %3s %12s %7s %10s %9s\n", "case", "unknowns", "norm", "rows",
                 "rnd", "objective", "gap", "time", "peak");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!name || strncmp(cases[i].name, name, strlen(name)) == 0)
            bench(&cases[i], norm, limit, clp_limit, threads);
    return 0;
}
