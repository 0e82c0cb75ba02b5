/* Random programs for the tests of the solvers, and what every answer must satisfy. */
#ifndef NM_TESTS_SOLVE_INSTANCES_H
#define NM_TESTS_SOLVE_INSTANCES_H

#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/rng.h"
#include "solve/bound.h"
#include "solve/master.h"

typedef struct instance {
    nm_master_spec spec;
    int64_t m;
    double *a, *h, *lo, *hi, *terms, *offset;
} instance;

typedef struct answer {
    nm_master_outcome outcome;
    double objective, lower_bound;
    int64_t iterations;
    double *d, *y;
} answer;

typedef struct shape {
    int n_out, n_in, points, rows_per_point, outputs; /* outputs: terms per point */
    double box;                                       /* 0 = none */
} shape;

static const nm_norm all_norms[] = {NM_NORM_LINF_L1N, NM_NORM_LINF, NM_NORM_L1, NM_NORM_L2};
enum { N_NORMS = 4 };

static inline double *new_array(int64_t n)
{
    double *p = calloc(n > 0 ? (size_t)n : 1, sizeof *p);

    assert_non_null(p);
    return p;
}

static inline instance new_instance(nm_norm norm, int64_t n, int64_t m)
{
    instance it = {.m = m, .a = new_array(m * n), .h = new_array(m)};

    it.spec = (nm_master_spec){.norm = norm, .l1_weight = 1 / (double)n, .n = n, .gap = 1e-9};
    return it;
}

static inline void set_box(instance *it, double box)
{
    it->lo = new_array(it->spec.n);
    it->hi = new_array(it->spec.n);
    for (int64_t j = 0; j < it->spec.n; j++) {
        it->lo[j] = -box;
        it->hi[j] = box;
    }
    it->spec.lo = it->lo;
    it->spec.hi = it->hi;
}

/* Rows g (x) a of a dense layer, as repairs make them; inputs after a ReLU, last one 1. */
static inline instance random_instance(nm_norm norm, shape s, uint64_t seed)
{
    int64_t n = (int64_t)s.n_out * s.n_in;
    instance it = new_instance(norm, n, (int64_t)s.points * s.rows_per_point);
    nm_rng rng = {.seed = seed};
    double *x = new_array(s.n_in);

    it.spec.n_terms = (int64_t)s.points * s.outputs;
    it.terms = new_array(it.spec.n_terms * n);
    it.offset = new_array(it.spec.n_terms);
    it.spec.terms = it.terms;
    it.spec.offset = it.offset;
    for (int p = 0; p < s.points; p++) {
        for (int k = 0; k < s.n_in; k++)
            x[k] = k == s.n_in - 1 ? 1 : fmax(0, nm_rng_normal(&rng));
        for (int r = 0; r < s.rows_per_point + s.outputs; r++) {
            bool term = r >= s.rows_per_point;
            double *row = term ? it.terms + (p * s.outputs + r - s.rows_per_point) * n
                               : it.a + (p * s.rows_per_point + r) * n;

            for (int o = 0; o < s.n_out; o++) {
                double g = nm_rng_normal(&rng);

                for (int k = 0; k < s.n_in; k++)
                    row[o * s.n_in + k] = g * x[k];
            }
            if (!term)
                it.h[p * s.rows_per_point + r] = 0.3 + 0.5 * nm_rng_normal(&rng);
        }
    }
    free(x);
    if (s.box > 0)
        set_box(&it, s.box);
    return it;
}

static inline void free_instance(instance *it)
{
    free(it->a);
    free(it->h);
    free(it->lo);
    free(it->hi);
    free(it->terms);
    free(it->offset);
}

static inline double *copy_of(const double *from, int64_t n)
{
    double *p = new_array(n);

    if (from)
        memcpy(p, from, (size_t)n * sizeof *p);
    return p;
}

/* Adds the rows in batches of `batch`, solving after each one. */
static inline answer solve_in_batches(nm_ctx *ctx, const instance *it, nm_solver solver,
                                      int64_t batch)
{
    nm_err err = {0};
    nm_master *master;
    nm_master_result result = {0};
    int64_t done = 0;

    nm_assert_ok(nm_master_open(ctx, &it->spec, solver, &master, &err), &err);
    do {
        int64_t count = it->m - done < batch ? it->m - done : batch;

        nm_assert_ok(
            nm_master_add_rows(master, count, it->a + done * it->spec.n, it->h + done, &err), &err);
        nm_assert_ok(nm_master_solve(master, &result, &err), &err);
        done += count;
    } while (done < it->m);
    answer got = {.outcome = result.outcome,
                  .objective = result.objective,
                  .lower_bound = result.lower_bound,
                  .iterations = result.iterations,
                  .d = copy_of(result.d, it->spec.n),
                  .y = copy_of(result.y, it->m)};
    nm_master_close(master);
    return got;
}

static inline answer solve_once(const instance *it, nm_solver solver)
{
    nm_ctx *ctx;

    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    answer got = solve_in_batches(ctx, it, solver, it->m > 0 ? it->m : 1);
    nm_ctx_free(ctx);
    return got;
}

/* The instance's rows, lent. */
static inline nm_rows rows_of(const instance *it)
{
    return (nm_rows){.n = it->spec.n, .m = it->m, .a = it->a, .h = it->h};
}

static inline double excess_of(const instance *it, const double *y)
{
    nm_rows rows = rows_of(it);

    return nm_farkas_excess(&it->spec, &rows, y);
}

static inline double violation_of(const nm_rows *rows, const double *d)
{
    double worst;
    nm_err err = {0};

    nm_assert_ok(nm_rows_violation(1, rows, d, &worst, &err), &err);
    return worst;
}

static inline double norm_of(const nm_master_spec *spec, const double *d)
{
    double norm;
    nm_err err = {0};

    nm_assert_ok(nm_master_norm(1, spec, d, &norm, &err), &err);
    return norm;
}

static inline double value_of_row(const nm_rows *rows, int64_t r, const double *d)
{
    double sum = 0;

    for (int64_t j = 0; j < rows->n; j++)
        sum += rows->a[r * rows->n + j] * d[j];
    return sum;
}

static inline void free_answer(answer *got)
{
    free(got->d);
    free(got->y);
}

/* d holds to rows and bounds, objective and bound belong together, gap as asked. All recomputed. */
static inline void check_solved(const instance *it, const answer *got, double gap)
{
    nm_rows rows = rows_of(it);

    assert_int_equal(got->outcome, NM_MASTER_SOLVED);
    for (int64_t j = 0; j < it->spec.n; j++) {
        assert_true(!it->spec.lo || got->d[j] >= it->spec.lo[j]);
        assert_true(!it->spec.hi || got->d[j] <= it->spec.hi[j]);
    }
    for (int64_t r = 0; r < it->m; r++)
        assert_true(got->y[r] >= 0);
    double violation = violation_of(&rows, got->d), norm = norm_of(&it->spec, got->d);
    if (!(violation <= 1e-9))
        fail_msg("a row is violated by %g of its scale", violation);
    nm_assert_close(&got->objective, &norm, 1, 1e-14, 0);
    if (!(got->lower_bound <= got->objective * (1 + 1e-8)))
        fail_msg("bound %.12g above objective %.12g", got->lower_bound, got->objective);
    if (!(got->objective - got->lower_bound <= gap * got->objective))
        fail_msg("objective %.12g, bound %.12g: relative gap %g", got->objective, got->lower_bound,
                 (got->objective - got->lower_bound) / got->objective);
}

static inline void check_infeasible(const instance *it, const answer *got)
{
    if (got->outcome != NM_MASTER_INFEASIBLE)
        fprintf(stderr, "norm %d outcome %d obj %g\n", (int)it->spec.norm, (int)got->outcome,
                got->objective);
    assert_int_equal(got->outcome, NM_MASTER_INFEASIBLE);
    assert_true(excess_of(it, got->y) > 0);
}

#endif
