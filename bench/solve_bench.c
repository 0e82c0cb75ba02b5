/* The solvers against CLP's dual simplex on the same synthetic programs (rows and terms are outer
 * products, as dense layers make them), all in one process.
 *
 *     solve_bench [repeats [seconds per solve [threads]]]
 *
 * Per case and norm: median CPU seconds, iterations, relative gap by our own bound, ratio CLP /
 * ours.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/ctx.h"
#include "base/rng.h"
#include "solve/bound.h"
#include "solve/master.h"

typedef struct bench_case {
    const char *name;
    int n_out, n_in, points, rows_per_point, outputs;
    double box;
} bench_case;

static const bench_case cases[] = {
    {"moons 64x33", 64, 33, 50, 2, 0, 3},      {"last layer 10x101", 10, 101, 25, 9, 10, 3},
    {"hidden 100x101", 100, 101, 25, 2, 0, 3}, {"hidden 100x101 + outputs", 100, 101, 50, 4, 10, 3},
    {"wide 100x785", 100, 785, 20, 3, 0, 0},
};

static const struct {
    nm_norm norm;
    const char *name;
} norms[] = {
    {NM_NORM_LINF_L1N, "linf+l1n"}, {NM_NORM_LINF, "linf"}, {NM_NORM_L1, "l1"}, {NM_NORM_L2, "l2"}};

typedef struct program {
    nm_master_spec spec;
    int64_t m;
    double *a, *h, *terms, *lo, *hi, *offset;
} program;

static double *array(int64_t n)
{
    double *p = calloc((size_t)n + 1, sizeof *p);

    if (!p) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static void outer_product(nm_rng *rng, const bench_case *c, const double *x, double *row)
{
    for (int o = 0; o < c->n_out; o++) {
        double g = nm_rng_normal(rng);

        for (int k = 0; k < c->n_in; k++)
            row[o * c->n_in + k] = g * x[k];
    }
}

static program make(const bench_case *c, nm_norm norm)
{
    int64_t n = (int64_t)c->n_out * c->n_in, n_terms = (int64_t)c->points * c->outputs;
    program p = {.m = (int64_t)c->points * c->rows_per_point};
    nm_rng rng = {.seed = 1};
    double *x = array(c->n_in);

    p.a = array(p.m * n);
    p.h = array(p.m);
    p.terms = array(n_terms * n);
    p.offset = array(n_terms);
    p.lo = array(n);
    p.hi = array(n);
    for (int i = 0; i < c->points; i++) {
        for (int k = 0; k < c->n_in; k++)
            x[k] = k == c->n_in - 1 ? 1 : fmax(0, nm_rng_normal(&rng));
        for (int r = 0; r < c->rows_per_point; r++) {
            outer_product(&rng, c, x, p.a + (i * c->rows_per_point + r) * n);
            p.h[i * c->rows_per_point + r] = 0.3 + 0.5 * nm_rng_normal(&rng);
        }
        for (int k = 0; k < c->outputs; k++)
            outer_product(&rng, c, x, p.terms + (i * c->outputs + k) * n);
    }
    for (int64_t j = 0; j < n; j++) {
        p.lo[j] = -c->box;
        p.hi[j] = c->box;
    }
    free(x);
    p.spec = (nm_master_spec){.norm = norm,
                              .l1_weight = 1 / (double)(n + n_terms),
                              .n = n,
                              .lo = c->box > 0 ? p.lo : NULL,
                              .hi = c->box > 0 ? p.hi : NULL,
                              .n_terms = n_terms,
                              .terms = p.terms,
                              .offset = p.offset,
                              .gap = 1e-6};
    return p;
}

static void unmake(program *p)
{
    free(p->a);
    free(p->h);
    free(p->terms);
    free(p->lo);
    free(p->hi);
    free(p->offset);
}

typedef struct run {
    double seconds;          /* of processor time: the machine may be busy with other things */
    nm_master_result result; /* figures only */
    bool done;
} run;

static double cpu_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static run run_once(nm_ctx *ctx, const program *p, nm_solver solver, double limit)
{
    nm_err err = {0};
    nm_master *master = NULL;
    run r = {0};
    double start = cpu_seconds();

    nm_ctx_set_time_limit(ctx, limit);
    r.done = nm_master_open(ctx, &p->spec, solver, &master, &err) == NM_OK &&
             nm_master_add_rows(master, p->m, p->a, p->h, &err) == NM_OK &&
             nm_master_solve(master, &r.result, &err) == NM_OK &&
             r.result.outcome == NM_MASTER_SOLVED;
    r.seconds = cpu_seconds() - start;
    nm_master_close(master);
    return r;
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const run *)a)->seconds, y = ((const run *)b)->seconds;

    return (x > y) - (x < y);
}

static run median_run(nm_ctx *ctx, const program *p, nm_solver solver, double limit, int repeats)
{
    enum { MAX_REPEATS = 99 };
    run runs[MAX_REPEATS];
    int count = repeats < MAX_REPEATS ? repeats : MAX_REPEATS;

    for (int i = 0; i < count; i++) {
        runs[i] = run_once(ctx, p, solver, limit);
        if (runs[i].seconds > 1) /* once is enough */
            count = i + 1;
    }
    qsort(runs, (size_t)count, sizeof *runs, by_seconds);
    return runs[count / 2];
}

static void print_run(const run *r)
{
    double gap = nm_relative_gap(r->result.objective, r->result.lower_bound);

    if (r->done)
        (void)printf("%9.4f %6lld %8.1e", r->seconds, (long long)r->result.iterations, gap);
    else
        (void)printf(">%8.1f %6s %8s", r->seconds, "", "");
}

static void bench(nm_ctx *ctx, const bench_case *c, size_t norm, int repeats, double limit)
{
    program p = make(c, norms[norm].norm);
    run ours = median_run(ctx, &p, NM_SOLVER_STRUCTURED, 10 * limit, repeats), clp = {0};

    (void)printf("%-25s %7lld %5lld %5lld %-9s ", c->name, (long long)p.spec.n, (long long)p.m,
                 (long long)p.spec.n_terms, norms[norm].name);
    print_run(&ours);
    if (norms[norm].norm != NM_NORM_L2) {
        clp = median_run(ctx, &p, NM_SOLVER_CLP, limit, repeats);
        (void)printf("   ");
        print_run(&clp);
        (void)printf(" %s%.1f", clp.done ? "" : ">", clp.seconds / ours.seconds);
    }
    (void)printf("\n");
    (void)fflush(stdout);
    unmake(&p);
}

int main(int argc, char **argv)
{
    int repeats = argc > 1 ? atoi(argv[1]) : 3;
    double limit = argc > 2 ? atof(argv[2]) : 2;
    int threads = argc > 3 ? atoi(argv[3]) : 0;
    nm_ctx *ctx;

    if (repeats < 1 || !(limit > 0) || nm_ctx_new(&ctx, NULL) != NM_OK) {
        (void)fprintf(stderr, "usage: solve_bench [repeats >= 1 [seconds > 0 [threads]]]\n");
        return 2;
    }
    if (threads > 0)
        nm_ctx_set_threads(ctx, threads);
    (void)printf("%-25s %7s %5s %5s %-9s %9s %6s %8s   %9s %6s %8s ratio\n", "case", "n", "m",
                 "terms", "norm", "ours/s", "iter", "gap", "CLP/s", "iter", "gap");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (size_t norm = 0; norm < sizeof norms / sizeof *norms; norm++)
            bench(ctx, &cases[c], norm, repeats, limit);
    }
    nm_ctx_free(ctx);
    return 0;
}
