/* Least distance from inner products: against all subsets of rows, against the one-by-one method,
   and by what every answer proves of itself. */
#include "test_ctx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/rng.h"
#include "solve/gram.h"

/* -- instances ----------------------------------------------------------------------------- */

/* The shortest d with A d >= h. */
typedef struct instance {
    int64_t m, n;
    double *a, *h; /* [m x n], [m] */
} instance;

static double *new_array(int64_t n)
{
    double *p = calloc(n > 0 ? (size_t)n : 1, sizeof *p);

    assert_non_null(p);
    return p;
}

static instance normal_rows(nm_rng *rng, int64_t m, int64_t n)
{
    instance it = {.m = m, .n = n, .a = new_array(m * n), .h = new_array(m)};

    for (int64_t r = 0; r < m; r++) {
        double length = exp(nm_rng_normal(rng)); /* rows of all sizes */

        for (int64_t k = 0; k < n; k++)
            it.a[r * n + k] = length * nm_rng_normal(rng);
        it.h[r] = length * (0.5 + nm_rng_normal(rng));
    }
    return it;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

/* Lowers h until a point of about length 3 satisfies all rows. */
static void make_feasible(nm_rng *rng, instance *it)
{
    double *d = new_array(it->n);

    for (int64_t k = 0; k < it->n; k++)
        d[k] = 3 * nm_rng_normal(rng) / sqrt((double)it->n);
    for (int64_t r = 0; r < it->m; r++)
        it->h[r] = fmin(it->h[r], dot(it->a + r * it->n, d, it->n));
    free(d);
}

/* Row `to` becomes row `from`, up to a share `off` of it, `times` as long. */
static void repeat_row(nm_rng *rng, instance *it, int64_t to, int64_t from, double off,
                       double times)
{
    for (int64_t k = 0; k < it->n; k++)
        it->a[to * it->n + k] = times * it->a[from * it->n + k] * (1 + off * nm_rng_normal(rng));
    it->h[to] = times * it->h[from];
}

static void free_instance(instance *it)
{
    free(it->a);
    free(it->h);
}

/* -- solving ------------------------------------------------------------------------------- */

/* Rows first .. m-1 enter, as programs do it. */
static void enter(nm_gram *g, const instance *it, int64_t first, int64_t m)
{
    nm_err err = {0};

    nm_assert_ok(nm_gram_grow(g, m, &err), &err);
    for (int64_t i = first; i < m; i++) {
        g->h[i] = it->h[i];
        for (int64_t j = 0; j < m; j++) {
            double product = dot(it->a + i * it->n, it->a + j * it->n, it->n);

            g->k[i * g->capacity + j] = product;
            g->k[j * g->capacity + i] = product;
        }
    }
    nm_gram_take(g, first);
}

static nm_ldp_outcome solve(nm_gram *g)
{
    nm_ldp_outcome outcome;
    nm_err err = {0};

    nm_assert_ok(nm_gram_solve(g, ctx, &outcome, &err), &err);
    return outcome;
}

/* A'y for the multipliers of the rows as they are. */
static double *change_of(const nm_gram *g, const instance *it)
{
    double *d = new_array(it->n), *y = new_array(it->m);

    nm_gram_multipliers(g, y);
    for (int64_t r = 0; r < g->m; r++) {
        assert_true(y[r] >= 0);
        for (int64_t k = 0; k < it->n; k++)
            d[k] += y[r] * it->a[r * it->n + k];
    }
    free(y);
    return d;
}

/* d satisfies the first m rows, no shorter one can (duality), and the figures are those of d. */
static void assert_optimal(const nm_gram *g, const instance *it, double tolerance)
{
    double *d = change_of(g, it), length = sqrt(dot(d, d, it->n));
    double got = nm_gram_length(g), bound = nm_gram_bound(g);

    for (int64_t r = 0; r < g->m; r++) {
        const double *a = it->a + r * it->n;
        double size = sqrt(dot(a, a, it->n));
        double missing = it->h[r] - dot(a, d, it->n);

        if (!(missing <= tolerance * (fabs(it->h[r]) + size * length)))
            fail_msg("row %lld of length %g misses by %g", (long long)r, size, missing);
    }
    nm_assert_close(&got, &length, 1, 1e-8, 1e-14);
    assert_true(bound <= got * (1 + 1e-10));
    nm_assert_close(&bound, &got, 1, 1e-8, 1e-14);
    free(d);
}

/* Nonnegative weights whose sum of rows is nothing, but whose sum of h is positive. */
static void assert_proof(const nm_gram *g, const instance *it)
{
    double *sum = new_array(it->n), size = 0, demand = 0;

    for (int64_t r = 0; r < g->m; r++) {
        double weight = g->ldp.ray[r] * g->scale[r];

        assert_true(weight >= 0);
        demand += weight * it->h[r];
        size += g->ldp.ray[r];
        for (int64_t k = 0; k < it->n; k++)
            sum[k] += weight * it->a[r * it->n + k];
    }
    assert_true(demand > 0);
    if (!(sqrt(dot(sum, sum, it->n)) <= 1e-6 * size && sqrt(dot(sum, sum, it->n)) < 1e-3 * demand))
        fail_msg("the rows sum up to %g, their demands to %g", sqrt(dot(sum, sum, it->n)), demand);
    free(sum);
}

/* -- all subsets ----------------------------------------------------------------------------- */

/* Solves k x = b [n], destroying k. @return false if k is singular */
static bool eliminate(int n, double *k, double *b)
{
    for (int p = 0; p < n; p++) {
        if (k[p * (n + 1)] < 1e-12)
            return false;
        for (int i = p + 1; i < n; i++) {
            double factor = k[i * n + p] / k[p * (n + 1)];

            for (int j = p; j < n; j++)
                k[i * n + j] -= factor * k[p * n + j];
            b[i] -= factor * b[p];
        }
    }
    for (int p = n - 1; p >= 0; p--) {
        for (int j = p + 1; j < n; j++)
            b[p] -= k[p * n + j] * b[j];
        b[p] /= k[p * (n + 1)];
    }
    return true;
}

/* The shortest d that holds the rows of `subset` with equality, if its multipliers are >= 0 and it
   satisfies all others; its length, else -1. */
static double try_subset(const instance *it, unsigned subset)
{
    double k[64], y[8], *d = new_array(it->n), length;
    int at[8], n = 0;

    for (int r = 0; r < it->m; r++)
        if (subset >> r & 1)
            at[n++] = r;
    for (int p = 0; p < n; p++) {
        y[p] = it->h[at[p]];
        for (int q = 0; q < n; q++)
            k[p * n + q] = dot(it->a + at[p] * it->n, it->a + at[q] * it->n, it->n);
    }
    bool good = eliminate(n, k, y);

    for (int p = 0; good && p < n; p++) {
        good = y[p] >= 0;
        for (int64_t j = 0; j < it->n; j++)
            d[j] += y[p] * it->a[at[p] * it->n + j];
    }
    length = sqrt(dot(d, d, it->n));
    for (int64_t r = 0; good && r < it->m; r++)
        good = dot(it->a + r * it->n, d, it->n) >= it->h[r] - 1e-10 * (1 + fabs(it->h[r]) + length);
    free(d);
    return good ? length : -1;
}

static double best_of_all_subsets(const instance *it)
{
    double best = INFINITY;

    for (unsigned subset = 0; subset < 1U << it->m; subset++) {
        double length = try_subset(it, subset);

        best = length >= 0 && length < best ? length : best;
    }
    return best;
}

static void small_programs_are_the_best_of_all_subsets(void **state)
{
    int n_infeasible = 0, n_solved = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        nm_rng rng = {.seed = seed};
        int64_t m = 1 + (int64_t)nm_rng_below(&rng, 8), n = 1 + (int64_t)nm_rng_below(&rng, 6);
        instance it = normal_rows(&rng, m, n);
        nm_gram g = {0};

        if (seed % 3 == 0)
            make_feasible(&rng, &it);
        double want = best_of_all_subsets(&it);

        enter(&g, &it, 0, m);
        nm_ldp_outcome outcome = solve(&g);

        if (outcome != (isinf(want) ? NM_LDP_INFEASIBLE : NM_LDP_SOLVED))
            fail_msg("seed %llu: outcome %d, best subset %g", (unsigned long long)seed,
                     (int)outcome, want);
        if (isinf(want)) {
            assert_proof(&g, &it);
            n_infeasible++;
        } else {
            double got = nm_gram_length(&g);

            nm_assert_close(&got, &want, 1, 1e-9, 1e-12);
            assert_optimal(&g, &it, 1e-9);
            n_solved += want > 0;
        }
        nm_gram_free(&g);
        free_instance(&it);
    }
    assert_true(n_infeasible > 30 && n_solved > 100);
}

/* -- against the one-by-one method --------------------------------------------------------- */

static double solve_one_by_one(const instance *it, nm_ldp_outcome *outcome)
{
    nm_ldp ldp = {0};
    double squares = 0, *size = new_array(it->m);
    nm_err err = {0};

    nm_assert_ok(nm_ldp_grow(&ldp, it->m, &err), &err);
    for (int64_t r = 0; r < it->m; r++)
        size[r] = sqrt(dot(it->a + r * it->n, it->a + r * it->n, it->n));
    for (int64_t i = 0; i < it->m; i++) {
        ldp.h[i] = it->h[i] / size[i];
        for (int64_t j = 0; j < it->m; j++)
            ldp.k[i * ldp.capacity + j] =
                dot(it->a + i * it->n, it->a + j * it->n, it->n) / (size[i] * size[j]);
    }
    nm_assert_ok(nm_ldp_solve(&ldp, ctx, outcome, &err), &err);
    for (int64_t i = 0; i < it->m; i++)
        squares += ldp.y[i] * (ldp.slack[i] + ldp.h[i]);
    nm_ldp_free(&ldp);
    free(size);
    return sqrt(fmax(squares, 0));
}

/* @param tolerance  of rows, relative; what nearly equal rows leave */
static void compare(const instance *it, double tolerance)
{
    nm_gram g = {0};
    nm_ldp_outcome want_outcome, outcome;
    double want = solve_one_by_one(it, &want_outcome);

    enter(&g, it, 0, it->m);
    outcome = solve(&g);
    assert_int_equal(outcome, want_outcome);
    if (outcome == NM_LDP_SOLVED) {
        double got = nm_gram_length(&g);

        nm_assert_close(&got, &want, 1, 10 * tolerance, 1e-12);
        assert_optimal(&g, it, tolerance);
    } else {
        assert_int_equal(outcome, NM_LDP_INFEASIBLE);
        assert_proof(&g, it);
    }
    nm_gram_free(&g);
}

static void large_programs_agree_with_the_one_by_one_method(void **state)
{
    static const int64_t sizes[][2] = {{40, 100}, {200, 300}, {300, 60}, {250, 250}};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            nm_rng rng = {.seed = seed, .stream = s};
            instance it = normal_rows(&rng, sizes[s][0], sizes[s][1]);

            print_message("%lld x %lld, seed %llu\n", (long long)it.m, (long long)it.n,
                          (unsigned long long)seed);
            if (it.m > it.n)
                make_feasible(&rng, &it);
            compare(&it, 1e-9);
            free_instance(&it);
        }
}

/* Many more rows than dimensions: any basis is far from all of them. */
static void rank_deficient_programs_are_solved(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        nm_rng rng = {.seed = seed, .stream = 20};
        instance it = normal_rows(&rng, 60 + 20 * (int64_t)seed, 2 + (int64_t)seed % 6);

        make_feasible(&rng, &it);
        compare(&it, 1e-8);
        free_instance(&it);
    }
}

static void repeated_rows_change_nothing(void **state)
{
    static const double off[] = {0, 1e-15, 1e-11, 1e-7, 1e-4};

    (void)state;
    for (size_t o = 0; o < sizeof off / sizeof *off; o++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            nm_rng rng = {.seed = seed, .stream = 30};
            instance it = normal_rows(&rng, 120, 80);
            nm_ldp_outcome outcome;

            make_feasible(&rng, &it);
            double want = solve_one_by_one(&it, &outcome);

            assert_int_equal(outcome, NM_LDP_SOLVED);
            for (int64_t r = 0; r < 60; r++) /* the second half repeats what stands for two */
                repeat_row(&rng, &it, 60 + r, r, off[o], seed % 2 ? 1 : 10);
            it.m = 60;
            want = solve_one_by_one(&it, &outcome);
            it.m = 120;
            nm_gram g = {0};

            print_message("rows equal up to %g, seed %llu\n", off[o], (unsigned long long)seed);
            enter(&g, &it, 0, it.m);
            assert_int_equal(solve(&g), NM_LDP_SOLVED);
            double got = nm_gram_length(&g);

            nm_assert_close(&got, &want, 1, fmax(1e-9, 100 * off[o]), 0);
            assert_optimal(&g, &it, 1e-7);
            nm_gram_free(&g);
            free_instance(&it);
        }
}

/* Among them some where rounding once looked like a multiplier that ends an endless step, and a row
   that was given up was not looked at again. */
static void contradictions_are_proven(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        nm_rng rng = {.seed = seed, .stream = 40};
        instance it = normal_rows(&rng, 100, seed % 2 ? 30 : 150);
        nm_gram g = {0};

        if (seed % 2)
            make_feasible(&rng, &it);
        if (seed % 3 == 0) { /* a row and its opposite */
            repeat_row(&rng, &it, 70, 20, 0, -1);
            it.h[70] = -it.h[20] + 0.01;
        } else { /* three rows that sum up to nothing */
            for (int64_t k = 0; k < it.n; k++)
                it.a[70 * it.n + k] = -it.a[20 * it.n + k] - 2 * it.a[30 * it.n + k];
            it.h[70] = -it.h[20] - 2 * it.h[30] + 0.01;
        }
        enter(&g, &it, 0, it.m);
        assert_int_equal(solve(&g), NM_LDP_INFEASIBLE);
        assert_proof(&g, &it);
        nm_gram_free(&g);
        free_instance(&it);
    }
}

static void rows_of_zeros_hold_or_contradict(void **state)
{
    (void)state;
    for (int demand = -1; demand <= 1; demand++) {
        nm_rng rng = {.seed = 50};
        instance it = normal_rows(&rng, 10, 20);
        nm_gram g = {0};

        memset(it.a + 4 * it.n, 0, (size_t)it.n * sizeof *it.a);
        it.h[4] = demand;
        enter(&g, &it, 0, it.m);
        assert_int_equal(solve(&g), demand > 0 ? NM_LDP_INFEASIBLE : NM_LDP_SOLVED);
        if (demand > 0)
            assert_proof(&g, &it);
        else
            assert_optimal(&g, &it, 1e-10);
        nm_gram_free(&g);
        free_instance(&it);
    }
}

static void nothing_to_do_is_no_change(void **state)
{
    nm_rng rng = {.seed = 60};
    instance it = normal_rows(&rng, 30, 10);
    nm_gram g = {0};

    (void)state;
    for (int64_t r = 0; r < it.m; r++)
        it.h[r] = -fabs(it.h[r]);
    enter(&g, &it, 0, it.m);
    assert_int_equal(solve(&g), NM_LDP_SOLVED);
    assert_true(nm_gram_length(&g) == 0);
    assert_true(nm_gram_bound(&g) == 0);
    nm_gram_free(&g);
    free_instance(&it);
}

/* -- growing ------------------------------------------------------------------------------- */

static void warm_starts_end_where_fresh_ones_do(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        nm_rng rng = {.seed = seed, .stream = 70};
        instance it = normal_rows(&rng, 150, seed % 2 ? 40 : 200);
        nm_gram warm = {0}, fresh = {0};
        double shorter = 0;

        make_feasible(&rng, &it);
        for (int64_t done = 0, n; done < it.m; done += n) {
            n = 1 + (int64_t)nm_rng_below(&rng, 40);
            n = n < it.m - done ? n : it.m - done;
            enter(&warm, &it, done, done + n);
            assert_int_equal(solve(&warm), NM_LDP_SOLVED);
            assert_optimal(&warm, &it, 1e-9);
            assert_true(nm_gram_length(&warm) >= shorter * (1 - 1e-10)); /* rows only add */
            shorter = nm_gram_length(&warm);
        }
        enter(&fresh, &it, 0, it.m);
        assert_int_equal(solve(&fresh), NM_LDP_SOLVED);
        double got = nm_gram_length(&warm), want = nm_gram_length(&fresh);

        nm_assert_close(&got, &want, 1, 1e-10, 0);
        nm_gram_free(&warm);
        nm_gram_free(&fresh);
        free_instance(&it);
    }
}

/* Demands may change between solves, as raised margins do. */
static void other_demands_are_met_from_the_old_multipliers(void **state)
{
    nm_rng rng = {.seed = 80};
    instance it = normal_rows(&rng, 100, 120);
    nm_gram g = {0};

    (void)state;
    enter(&g, &it, 0, it.m);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(solve(&g), NM_LDP_SOLVED);
        assert_optimal(&g, &it, 1e-9);
        for (int64_t r = i; r < it.m; r += 3) {
            double more = 0.2 * nm_rng_normal(&rng);

            it.h[r] += more;
            g.h[r] += more * g.scale[r];
        }
    }
    nm_gram_free(&g);
    free_instance(&it);
}

/* The rows of the basis get what they lack; others have no part in it. */
static void corrections_move_the_rows_of_the_basis(void **state)
{
    nm_rng rng = {.seed = 90};
    instance it = normal_rows(&rng, 60, 100);
    double *residual = new_array(it.m), *before, *after;
    nm_gram g = {0};

    (void)state;
    enter(&g, &it, 0, it.m);
    assert_int_equal(solve(&g), NM_LDP_SOLVED);
    before = change_of(&g, &it);
    for (int64_t r = 0; r < it.m; r++)
        residual[r] = 1e-6 * it.h[r] * nm_rng_normal(&rng);
    nm_gram_correct(&g, residual);
    after = change_of(&g, &it);
    for (int64_t r = 0; r < it.m; r++) {
        double got = dot(it.a + r * it.n, after, it.n) - dot(it.a + r * it.n, before, it.n);

        if (g.in[r] && g.y[r] > 0)
            nm_assert_close(&got, &residual[r], 1, 1e-6, 1e-12);
    }
    free(before);
    free(after);
    free(residual);
    nm_gram_free(&g);
    free_instance(&it);
}

/* -- the machine --------------------------------------------------------------------------- */

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 2; seed++) {
        nm_rng rng = {.seed = seed, .stream = 100};
        instance it = normal_rows(&rng, 700, seed ? 120 : 900);
        double *y[2];

        make_feasible(&rng, &it);
        for (int t = 0; t < 2; t++) {
            nm_gram g = {0};

            nm_ctx_set_threads(ctx, t + 1);
            y[t] = new_array(it.m);
            enter(&g, &it, 0, 500);
            assert_int_equal(solve(&g), NM_LDP_SOLVED);
            enter(&g, &it, 500, it.m);
            assert_int_equal(solve(&g), NM_LDP_SOLVED);
            nm_gram_multipliers(&g, y[t]);
            nm_gram_free(&g);
        }
        assert_memory_equal(y[0], y[1], (size_t)it.m * sizeof *y[0]);
        free(y[0]);
        free(y[1]);
        free_instance(&it);
    }
}

static void failed_allocations_are_reported(void **state)
{
    nm_rng rng = {.seed = 110};
    instance it = normal_rows(&rng, 12, 3);
    nm_status rc = NM_E_NOMEM;
    int n = 0;

    (void)state;
    make_feasible(&rng, &it);
    while (rc != NM_OK) {
        nm_gram g = {0};
        nm_ldp_outcome outcome;
        nm_err err = {0};

        nm_mem_fail_at(++n);
        rc = nm_gram_grow(&g, it.m, &err);
        if (rc == NM_OK) {
            enter(&g, &it, 0, it.m);
            rc = nm_gram_solve(&g, ctx, &outcome, &err);
        }
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        nm_gram_free(&g);
    }
    assert_true(n > 8);
    free_instance(&it);
}

static void cancelling_is_heard(void **state)
{
    nm_rng rng = {.seed = 120};
    instance it = normal_rows(&rng, 5, 5);
    nm_gram g = {0};
    nm_ldp_outcome outcome;
    nm_err err = {0};

    (void)state;
    enter(&g, &it, 0, it.m);
    nm_ctx_cancel(ctx);
    assert_int_equal(nm_gram_solve(&g, ctx, &outcome, &err), NM_E_CANCELLED);
    nm_gram_free(&g);
    free_instance(&it);
    nm_ctx_free(ctx);
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_programs_are_the_best_of_all_subsets),
        cmocka_unit_test(large_programs_agree_with_the_one_by_one_method),
        cmocka_unit_test(rank_deficient_programs_are_solved),
        cmocka_unit_test(repeated_rows_change_nothing),
        cmocka_unit_test(contradictions_are_proven),
        cmocka_unit_test(rows_of_zeros_hold_or_contradict),
        cmocka_unit_test(nothing_to_do_is_no_change),
        cmocka_unit_test(warm_starts_end_where_fresh_ones_do),
        cmocka_unit_test(other_demands_are_met_from_the_old_multipliers),
        cmocka_unit_test(corrections_move_the_rows_of_the_basis),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(cancelling_is_heard),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
