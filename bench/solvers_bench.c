/* One repair program at the original network: lazy rows and our solver against CLP.
 *
 *     solvers_bench [--case NAME] [--norm NORM] [--clp-limit S] [--time-limit S] [--memory MB]
 *                   [--threads N] [--log]
 *
 * Label rows of misclassified points, margin and bounds as in the case table; later activations
 * keep their pieces (cases named "pins") or are let go. CLP gets the same program written out in
 * full in two ways: all label rows over the parameters, as our rows are, to its dual simplex
 * ("rows"), and with pre-activations and outputs as columns of their own, so that rows are sparse
 * (tests/oracle/explicit_model.h), to its dual simplex and its barrier without crossover ("dual",
 * "barrier"). --clp-limit 0 leaves them out. Each runs in a process of its own, with a limit on
 * processor time and memory. Times are processor seconds, building the program included; the ratio
 * is that to the best of CLP's three. A case is left out unless its name begins with what --case
 * says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "child.h"
#include "oracle/explicit_model.h"
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

static const char *norm_name(nm_norm norm)
{
    size_t i = 0;

    while (norms[i].norm != norm)
        i++;
    return norms[i].name;
}

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
    int first_layer;
    int threads; /* of a child: the parent must not have any when it forks */
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
    problem p = {.ctx = bench_ctx(1), .threads = threads};
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
    p.first_layer = p.params->blocks[0].layer;
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

/* What a child is asked to do. */
typedef struct job {
    const problem *problem;
    const bench_case *c;
    nm_norm norm;
    double limit;
    enum { OURS, CLP_ROWS, CLP_DUAL, CLP_BARRIER } how;
} job;

/* What it hands back. */
typedef struct run {
    nm_status status;
    nm_master_outcome outcome;
    double objective;
    nm_program_figures figures;
    char solver[32];
} run;

/* By lazy rows and our solver, or every label row at once to CLP. */
static nm_status solve_program(const job *j, run *r, nm_err *err)
{
    const problem *p = j->problem;
    int64_t n_scores = nm_net_n_out(p->net), n = 0, added;
    nm_row_id *rows = bench_alloc(p->points.n * n_scores, sizeof *rows);
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_program *program = NULL;
    nm_status rc = NM_OK;

    opts.norm = j->norm;
    opts.solver = j->how == OURS ? NM_SOLVER_STRUCTURED : NM_SOLVER_CLP;
    opts.norm_includes_outputs = j->c->outputs;
    nm_program_opts how = {.plan = p->plan,
                           .repair = &opts,
                           .original_scores = p->tail->at->val[p->net->scores],
                           .all_pins = j->c->pins,
                           .gap = 1e-8};
    for (int64_t i = 0; i < p->points.n && j->how != OURS; i++)
        for (int64_t k = 0; k < n_scores; k++)
            if (k != p->demand.target[i])
                rows[n++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = i, .k = k};
    NM_TRY(nm_program_open(p->ctx, p->tail, &p->demand, &how, &program, err));
    NM_TRY(nm_program_add(program, rows, n, &added, err));
    NM_TRY(nm_program_solve(program, &r->outcome, err));
    r->figures = nm_program_report(program);
    (void)snprintf(r->solver, sizeof r->solver, "%s", r->figures.solver);
done:
    nm_program_close(program);
    free(rows);
    return rc;
}

static void work_on_program(const void *argument, void *out)
{
    const job *j = argument;
    nm_err err = {0};
    run *r = out;

    nm_ctx_set_time_limit(j->problem->ctx, j->limit);
    nm_ctx_set_threads(j->problem->ctx, j->problem->threads);
    *r = (run){.outcome = NM_MASTER_FAILED};
    r->status = solve_program(j, r, &err);
    r->objective = r->figures.objective;
    if (r->status == NM_E_NOMEM)
        exit(1);
}

/* What the edited layer reads at the points. */
static const double *inputs_of(const problem *p, int layer)
{
    const nm_net *net = p->net;
    const nm_op *op = &net->ops[net->layers[layer].op];

    for (int i = 0; i < op->n_in; i++)
        if (p->tail->frontier[op->in[i]])
            return p->tail->at->val[op->in[i]];
    return NULL;
}

static void work_on_full_model(const void *argument, void *out)
{
    enum { OPTIMAL = 0, INFEASIBLE = 1, STOPPED = 3 };
    const job *j = argument;
    const problem *p = j->problem;
    const bench_case *c = j->c;
    nm_explicit_opts opts = {.layer = p->first_layer,
                             .norm = j->norm,
                             .margin = c->margin,
                             .bound = c->bound,
                             .with_outputs = c->outputs,
                             .no_later_biases = !strstr(c->layers, ".."),
                             .no_pins = !c->pins,
                             .barrier = j->how == CLP_BARRIER,
                             .time_limit_s = j->limit,
                             .inputs = inputs_of(p, p->first_layer)};
    nm_explicit_result got = {0};
    nm_err err = {0};
    run *r = out;

    *r = (run){.outcome = NM_MASTER_FAILED};
    r->status = nm_explicit_solve(p->ctx, p->net, &p->points, &opts, &got, &err);
    if (r->status == NM_E_NOMEM)
        exit(1);
    bench_check(r->status, &err);
    r->objective = got.objective;
    r->outcome = got.status == OPTIMAL      ? NM_MASTER_SOLVED
                 : got.status == INFEASIBLE ? NM_MASTER_INFEASIBLE
                                            : NM_MASTER_FAILED;
    r->status = got.status == STOPPED ? NM_E_LIMIT : NM_OK;
}

/* @param memory  MB of address space beyond what the program has */
static bench_end run_in_child(const job *j, double memory, run *r, bench_cost *cost)
{
    bool full = j->how == CLP_DUAL || j->how == CLP_BARRIER;
    double allowance = j->how == OURS ? 2 : 1.2; /* to stop by oneself */

    *r = (run){.outcome = NM_MASTER_FAILED};
    return bench_in_child(full ? work_on_full_model : work_on_program, j, r, sizeof *r,
                          allowance * j->limit + 2, memory, cost);
}

static bool print_ours(const problem *p, const job *j, bench_end end, const run *r,
                       const bench_cost *cost)
{
    bool solved = end == BENCH_DONE && r->status == NM_OK && r->outcome == NM_MASTER_SOLVED;

    (void)printf("%-20s %9lld %-9s ", j->c->name, (long long)p->params->n, norm_name(j->norm));
    if (solved)
        (void)printf("%5lld %3d %12.8g %7.0e %8.2f s %6.0f MB %-17s", (long long)r->figures.n_rows,
                     r->figures.rounds, r->figures.objective,
                     1 - r->figures.lower_bound / r->figures.objective, cost->seconds,
                     cost->peak_mb, r->solver);
    else if (end == BENCH_DONE && r->outcome == NM_MASTER_INFEASIBLE)
        (void)printf("infeasible after %.2f s", cost->seconds);
    else
        (void)printf("> %.2f s (%s)", cost->seconds,
                     end == BENCH_OUT_OF_MEMORY ? "out of memory" : nm_status_name(r->status));
    (void)fflush(stdout);
    return solved;
}

/* One of CLP's ways. *best = its time if it was shorter and the objective is right. */
static void compare(const job *j, double memory, const run *ours, double *best, double *longest)
{
    static const char *const names[] = {"", "rows", "dual", "barrier"};
    bench_cost cost;
    run r;
    bench_end end = run_in_child(j, memory, &r, &cost);
    bool solved = end == BENCH_DONE && r.status == NM_OK && r.outcome == NM_MASTER_SOLVED;
    double difference = r.objective / ours->objective - 1;

    (void)printf("  %s ", names[j->how]);
    if (solved)
        (void)printf("%.2f s %.0f MB %+.0e", cost.seconds, cost.peak_mb, difference);
    else if (end == BENCH_OUT_OF_MEMORY)
        (void)printf("> %.0f MB after %.1f s", memory, cost.seconds);
    else if (end == BENCH_OUT_OF_TIME || r.status == NM_E_LIMIT)
        (void)printf("> %.1f s", cost.seconds);
    else
        (void)printf("no answer after %.1f s (%s)", cost.seconds, nm_status_name(r.status));
    (void)fflush(stdout);
    if (solved && fabs(difference) < 1e-5)
        *best = fmin(*best, cost.seconds);
    *longest = fmax(*longest, cost.seconds);
}

static void bench_norm(const problem *p, const bench_case *c, nm_norm norm, double limit,
                       double clp_limit, double memory)
{
    job j = {.problem = p, .c = c, .norm = norm, .limit = limit, .how = OURS};
    double best = INFINITY, longest = 0;
    bench_cost cost;
    run ours;
    bench_end end = run_in_child(&j, (double)INFINITY, &ours, &cost);
    bool solved = print_ours(p, &j, end, &ours, &cost);

    j.limit = clp_limit;
    for (j.how = CLP_ROWS; j.how <= CLP_BARRIER && clp_limit > 0 && solved; j.how++)
        if (norm != NM_NORM_L2)
            compare(&j, memory, &ours, &best, &longest);
    if (longest > 0)
        (void)printf("  ratio %s%.1f", best < INFINITY ? "" : "> ",
                     (best < INFINITY ? best : longest) / cost.seconds);
    (void)printf("\n");
    (void)fflush(stdout);
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
    double memory = bench_option(argc, argv, "--memory", 4096);
    int threads = (int)bench_option(argc, argv, "--threads", 1);

    log_lines = bench_flag(argc, argv, "--log");
    if (threads < 1 || !(limit > 0) || !(clp_limit >= 0) || !(memory > 0)) {
        (void)fprintf(stderr, "usage: solvers_bench [--case NAME] [--norm NORM] [--clp-limit S] "
                              "[--time-limit S] [--memory MB] [--threads N] [--log]\n");
        return 2;
    }
    (void)printf("%-20s %9s %-9s %5s %3s %12s %7s %10s %9s\n", "case", "unknowns", "norm", "rows",
                 "rnd", "objective", "gap", "time", "peak");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!name || strncmp(cases[i].name, name, strlen(name)) == 0) {
            problem p = open_problem(&cases[i], threads);

            for (size_t k = 0; k < sizeof norms / sizeof *norms; k++)
                if (!norm || strcmp(norm, norms[k].name) == 0)
                    bench_norm(&p, &cases[i], norms[k].norm, limit, clp_limit, memory);
            close_problem(&p);
        }
    return 0;
}
