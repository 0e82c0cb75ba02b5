/* Second moments and products with their inverse, against the sums written out. */
#include "test_ctx.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "problem/moment.h"

enum { LONG = NM_MOMENT_DENSE + 1 }; /* so long that a sample stands for all */

static double *normal(uint64_t seed, int64_t n)
{
    double *v = calloc((size_t)n, sizeof *v);
    nm_rng rng = {.seed = seed};

    assert_non_null(v);
    for (int64_t i = 0; i < n; i++)
        v[i] = nm_rng_normal(&rng);
    return v;
}

/* The moment of v [count x n], which comes in pieces of `piece` vectors. */
static nm_moment *moment_of(int64_t n, const double *v, int64_t count, int64_t piece, double weight,
                            double damping)
{
    nm_moment *m;
    nm_err err = {0};

    nm_assert_ok(nm_moment_new(n, count, &m, &err), &err);
    for (int64_t i = 0; i < count; i += piece)
        nm_assert_ok(nm_moment_add(ctx, m, v + i * n, piece < count - i ? piece : count - i, &err),
                     &err);
    nm_assert_ok(nm_moment_finish(ctx, m, weight, damping, &err), &err);
    return m;
}

static double *solve(const nm_moment *m, int64_t n, const double *b, int64_t count)
{
    double *out = calloc((size_t)(n * count), sizeof *out);
    nm_err err = {0};

    assert_non_null(out);
    nm_assert_ok(nm_moment_solve(ctx, m, b, count, out, &err), &err);
    return out;
}

/* (factor sum over every stride-th v of v v' + damping I) x = b for each x. */
static void assert_solves(int64_t n, const double *v, int64_t count, int64_t stride, double factor,
                          double damping, const double *x, const double *b, int64_t n_b)
{
    double *got = calloc((size_t)n, sizeof *got);

    assert_non_null(got);
    for (int64_t r = 0; r < n_b; r++) {
        for (int64_t k = 0; k < n; k++)
            got[k] = damping * x[r * n + k];
        for (int64_t i = 0; i < count; i += stride) {
            double dot = 0;

            for (int64_t k = 0; k < n; k++)
                dot += v[i * n + k] * x[r * n + k];
            for (int64_t k = 0; k < n; k++)
                got[k] += factor * dot * v[i * n + k];
        }
        nm_assert_close(got, b + r * n, (size_t)n, 1e-10, 1e-10);
    }
    free(got);
}

/* The inverse by Gauss-Jordan elimination; M is positive definite, so no pivot is sought. */
static void invert(int64_t n, const double *from, double *inverse)
{
    double *m = calloc((size_t)(n * n), sizeof *m);

    assert_non_null(m);
    memcpy(m, from, (size_t)(n * n) * sizeof *m);
    for (int64_t i = 0; i < n * n; i++)
        inverse[i] = i % (n + 1) == 0;
    for (int64_t p = 0; p < n; p++) {
        double pivot = m[p * (n + 1)];

        for (int64_t k = 0; k < n; k++) {
            m[p * n + k] /= pivot;
            inverse[p * n + k] /= pivot;
        }
        for (int64_t i = 0; i < n; i++) {
            double factor = m[i * n + p];

            for (int64_t k = 0; i != p && k < n; k++) {
                m[i * n + k] -= factor * m[p * n + k];
                inverse[i * n + k] -= factor * inverse[p * n + k];
            }
        }
    }
    free(m);
}

static void small_moments_are_inverted(void **state)
{
    enum { N = 7, COUNT = 20 };
    const double weight = 6, damping = 0.01;
    double *v = normal(1, N * COUNT), matrix[N * N] = {0}, inverse[N * N], unit[N * N] = {0};

    (void)state;
    for (int i = 0; i < N; i++) {
        unit[i * (N + 1)] = 1;
        for (int k = 0; k < N; k++) {
            for (int r = 0; r < COUNT; r++)
                matrix[i * N + k] += v[r * N + i] * v[r * N + k] / weight;
            matrix[i * N + k] += i == k ? damping : 0;
        }
    }
    invert(N, matrix, inverse);
    for (int64_t piece = 1; piece <= COUNT; piece += 3) {
        nm_moment *m = moment_of(N, v, COUNT, piece, weight, damping);
        double *x = solve(m, N, unit, N);

        nm_assert_close(x, inverse, N * N, 1e-11, 1e-13);
        free(x);
        nm_moment_free(m);
    }
    free(v);
}

/* Fewer vectors than entries; more right sides than one strip. */
static void deficient_moments_are_damped(void **state)
{
    enum { N = 90, COUNT = 20, ASKED = 150 };
    double *v = normal(2, N * COUNT), *b = normal(3, N * ASKED);
    nm_moment *m = moment_of(N, v, COUNT, 11, 2, 0.5);
    double *x = solve(m, N, b, ASKED);

    (void)state;
    assert_solves(N, v, COUNT, 1, 0.5, 0.5, x, b, ASKED);
    free(x);
    free(v);
    free(b);
    nm_moment_free(m);
}

/* All vectors fit into the sample: then it is no approximation. */
static void long_vectors_are_solved_for_by_woodbury(void **state)
{
    enum { COUNT = 30, ASKED = 70 };
    double *v = normal(4, (int64_t)LONG * COUNT), *b = normal(5, (int64_t)LONG * ASKED);

    (void)state;
    for (int64_t piece = 7; piece <= 30; piece += 23) {
        nm_moment *m = moment_of(LONG, v, COUNT, piece, 8, 0.2);
        double *x = solve(m, LONG, b, ASKED);

        assert_solves(LONG, v, COUNT, 1, 1.0 / 8, 0.2, x, b, ASKED);
        free(x);
        nm_moment_free(m);
    }
    free(v);
    free(b);
}

/* More than the sample holds: every second one stands for two. */
static void a_sample_stands_for_all_long_vectors(void **state)
{
    enum { COUNT = NM_MOMENT_SAMPLE + 76 };
    double *v = normal(6, (int64_t)LONG * COUNT), *b = normal(7, LONG);
    nm_moment *m = moment_of(LONG, v, COUNT, 100, COUNT, 0.1);
    double *x = solve(m, LONG, b, 1);

    (void)state;
    assert_solves(LONG, v, COUNT, 2, 2.0 / COUNT, 0.1, x, b, 1);
    free(x);
    free(v);
    free(b);
    nm_moment_free(m);
}

static void zero_vectors_leave_the_damping(void **state)
{
    static const int64_t sizes[] = {1, 5, LONG};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int64_t count = 0; count <= 3; count += 3) {
            int64_t n = sizes[i];
            double *v = calloc((size_t)(3 * n), sizeof *v), *b = normal(8, n);
            nm_moment *m;
            nm_err err = {0};

            nm_assert_ok(nm_moment_new(n, 3, &m, &err), &err);
            nm_assert_ok(nm_moment_add(ctx, m, v, count, &err), &err);
            assert_true(nm_moment_scale(m, 3) == 0);
            nm_assert_ok(nm_moment_finish(ctx, m, 3, 0.25, &err), &err);
            double *x = solve(m, n, b, 1);

            for (int64_t k = 0; k < n; k++)
                b[k] /= 0.25;
            nm_assert_close(x, b, (size_t)n, 1e-14, 0);
            free(x);
            free(v);
            free(b);
            nm_moment_free(m);
        }
}

static void the_scale_is_the_mean_diagonal_entry(void **state)
{
    static const int64_t sizes[] = {1, 6, LONG};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t n = sizes[i];
        double *v = normal(9, 9 * n), want = 0, got;
        nm_moment *m;
        nm_err err = {0};

        for (int64_t k = 0; k < 9 * n; k++)
            want += v[k] * v[k] / (4 * (double)n);
        nm_assert_ok(nm_moment_new(n, 9, &m, &err), &err);
        nm_assert_ok(nm_moment_add(ctx, m, v, 5, &err), &err);
        nm_assert_ok(nm_moment_add(ctx, m, v + 5 * n, 4, &err), &err);
        got = nm_moment_scale(m, 4);
        nm_assert_close(&got, &want, 1, 1e-13, 0);
        nm_moment_free(m);
        free(v);
    }
}

static void what_is_not_finite_is_refused(void **state)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY, 1e200};
    static const int64_t sizes[] = {4, LONG};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (size_t s = 0; s < 2; s++) {
            double *v = normal(10, 3 * sizes[s]);
            nm_moment *m;
            nm_err err = {0};

            v[sizes[s] + 2] = bad[i];
            nm_assert_ok(nm_moment_new(sizes[s], 3, &m, &err), &err);
            nm_assert_ok(nm_moment_add(ctx, m, v, 3, &err), &err);
            assert_int_equal(nm_moment_finish(ctx, m, 3, 0.1, &err), NM_E_FORMAT);
            assert_non_null(strstr(err.text, "not finite"));
            nm_moment_free(m);
            free(v);
        }
}

static void threads_do_not_change_a_bit(void **state)
{
    enum { N = 300, COUNT = 500 };
    double *v = normal(11, (int64_t)N * COUNT), *x[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        nm_ctx_set_threads(ctx, i + 1);
        nm_moment *m = moment_of(N, v, COUNT, 250, COUNT, 1e-3);

        x[i] = solve(m, N, v, COUNT);
        nm_moment_free(m);
    }
    assert_memory_equal(x[0], x[1], (size_t)N * COUNT * sizeof *x[0]);
    free(x[0]);
    free(x[1]);
    free(v);
}

/* The same to what float32 sums leave, whatever the vectors' size; small ones stay in double. */
static void coarse_moments_differ_by_float32_rounding(void **state)
{
    static const double sizes[] = {1, 1e-30, 1e25};
    enum { N = 300, SMALL = 40, COUNT = 400 };

    (void)state;
    for (int s = 0; s < 3; s++)
        for (int64_t n = SMALL; n <= N; n += N - SMALL) {
            double *v = normal(13, n * COUNT), *fine, *coarse[2];
            double square = sizes[s] * sizes[s];

            for (int64_t i = 0; i < n * COUNT; i++)
                v[i] *= sizes[s];
            nm_moment *m = moment_of(n, v, COUNT, 150, COUNT, 0.1 * square);

            fine = solve(m, n, v, 3);
            nm_moment_free(m);
            for (int t = 0; t < 2; t++) {
                nm_err err = {0};

                nm_ctx_set_threads(ctx, t + 1);
                nm_assert_ok(nm_moment_new(n, COUNT, &m, &err), &err);
                nm_moment_make_coarse(m);
                for (int64_t i = 0; i < COUNT; i += 200)
                    nm_assert_ok(nm_moment_add(ctx, m, v + i * n, 200, &err), &err);
                nm_assert_ok(nm_moment_finish(ctx, m, COUNT, 0.1 * square, &err), &err);
                coarse[t] = solve(m, n, v, 3);
                nm_moment_free(m);
            }
            assert_memory_equal(coarse[0], coarse[1], (size_t)(3 * n) * sizeof *fine);
            nm_assert_close(coarse[0], fine, (size_t)(3 * n), 0,
                            (n == SMALL ? 1e-11 : 2e-4) / sizes[s]);
            if (n == N)
                assert_memory_not_equal(coarse[0], fine, (size_t)(3 * n) * sizeof *fine);
            free(v);
            free(fine);
            free(coarse[0]);
            free(coarse[1]);
        }
}

static void failed_allocations_are_reported(void **state)
{
    static const int64_t sizes[] = {5, LONG};

    (void)state;
    for (size_t s = 0; s < 2; s++) {
        int64_t n = sizes[s];
        double *v = normal(12, 3 * n), *x = calloc((size_t)(3 * n), sizeof *x);
        nm_status rc = NM_E_NOMEM;

        assert_non_null(x);
        for (int k = 1; rc != NM_OK; k++) {
            nm_moment *m = NULL;
            nm_err err = {0};

            nm_mem_fail_at(k);
            rc = nm_moment_new(n, 3, &m, &err);
            assert_true((rc == NM_OK) == (m != NULL));
            if (rc == NM_OK)
                rc = nm_moment_add(ctx, m, v, 3, &err);
            if (rc == NM_OK)
                rc = nm_moment_finish(ctx, m, 3, 0.1, &err);
            if (rc == NM_OK)
                rc = nm_moment_solve(ctx, m, v, 3, x, &err);
            nm_mem_fail_at(0);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
            nm_moment_free(m);
        }
        free(v);
        free(x);
    }
    nm_moment_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_moments_are_inverted),
        cmocka_unit_test(deficient_moments_are_damped),
        cmocka_unit_test(long_vectors_are_solved_for_by_woodbury),
        cmocka_unit_test(a_sample_stands_for_all_long_vectors),
        cmocka_unit_test(zero_vectors_leave_the_damping),
        cmocka_unit_test(the_scale_is_the_mean_diagonal_entry),
        cmocka_unit_test(what_is_not_finite_is_refused),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(coarse_moments_differ_by_float32_rounding),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
