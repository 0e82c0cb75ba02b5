/* Rows as outer products against the same rows written out. */
#include "twins.h"

/* All mask shares and sizes that the kernels treat differently: strips of outputs, one thread. */
static const twin_shape shapes[] = {
    {3, 5, 2, 4, 3, 2, 0, 0},   {3, 5, 2, 4, 3, 2, 0, 0.5},    {1, 1, 0, 1, 1, 1, 0, 0},
    {70, 9, 0, 6, 15, 1, 0, 0}, {70, 9, 11, 6, 15, 1, 0, 0.3}, {5, 40, 30, 20, 4, 2, 0, 0.9},
    {2, 3, 1, 7, 1, 0, 0, 1},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* -- kernels ---------------------------------------------------------------------------------- */

static double plain_product(const double *a, const double *b, const double *theta, int64_t n)
{
    double sum = 0;

    for (int64_t j = 0; j < n; j++)
        sum += a[j] * b[j] * (theta ? theta[j] : 1);
    return sum;
}

/* All rows and terms, rows scaled, against each other; `lower` must leave the rest alone. */
static void check_products(const twin *t, const double *theta, bool lower)
{
    int64_t n = t->dense.spec.n, m = t->rows.m, all = m + t->terms.m, ldo = all + 3;
    double *scale = new_array(m), *out = new_array(all * ldo), *rows = new_array(all * n);
    nm_groups groups = {0};
    nm_err err = {0};

    for (int64_t r = 0; r < m; r++)
        scale[r] = ldexp(1, (int)(r % 5) - 2);
    for (int64_t k = 0; k < all * n; k++)
        rows[k] = k < m * n ? scale[k / n] * t->dense.a[k] : t->dense.terms[k - m * n];
    nm_assert_ok(nm_groups_make(&t->rows, scale, &t->terms, &groups, &err), &err);
    for (int64_t k = 0; k < all * ldo; k++)
        out[k] = -7;
    nm_assert_ok(nm_groups_products(1, lower, &groups, &groups, theta, out, ldo, &err), &err);
    for (int64_t r = 0; r < all; r++)
        for (int64_t s = 0; s < ldo; s++) {
            const double *a = rows + r * n, *b = rows + s * n;
            bool wanted = s < all && (!lower || s <= r);
            double want = wanted ? plain_product(a, b, theta, n) : -7;
            double size =
                wanted ? sqrt(plain_product(a, a, theta, n) * plain_product(b, b, theta, n)) : 0;

            nm_assert_close(&out[r * ldo + s], &want, 1, 0, 1e-13 * size);
        }
    nm_groups_free(&groups);
    free(scale);
    free(out);
    free(rows);
}

static void products_equal_those_of_dense_rows(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        twin *t = new_twin(NM_NORM_L2, shapes[i], (uint64_t)i);
        double *theta = new_array(t->dense.spec.n);
        nm_rng rng = {.seed = 99};

        for (int64_t j = 0; j < t->dense.spec.n; j++)
            theta[j] = exp(3 * nm_rng_normal(&rng));
        check_products(t, NULL, false);
        check_products(t, NULL, true);
        check_products(t, theta, false);
        check_products(t, theta, true);
        free(theta);
        free_twin(t);
    }
}

/* New rows against old ones, as a growing Gram matrix asks for them. */
static void products_of_two_lists_equal_those_of_dense_rows(void **state)
{
    twin *t = new_twin(NM_NORM_L2, shapes[4], 5);
    int64_t n = t->dense.spec.n, half = t->rows.m / 2, rest = t->rows.m - half;
    nm_factors late = nm_factors_slice(&t->rows, half, rest);
    nm_groups a = {0}, b = {0};
    double *out = new_array(rest * t->terms.m);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_groups_make(&late, NULL, NULL, &a, &err), &err);
    nm_assert_ok(nm_groups_make(&t->terms, NULL, NULL, &b, &err), &err);
    nm_assert_ok(nm_groups_products(2, false, &a, &b, NULL, out, t->terms.m, &err), &err);
    for (int64_t k = 0; k < rest * t->terms.m; k++) {
        const double *row = t->dense.a + (half + k / t->terms.m) * n;
        double want = plain_product(row, t->dense.terms + k % t->terms.m * n, NULL, n);

        nm_assert_close(&out[k], &want, 1, 1e-12, 1e-11);
    }
    nm_groups_free(&a);
    nm_groups_free(&b);
    free(out);
    free_twin(t);
}

static nm_rows factored_rows(twin *t, const int64_t *index, int64_t m)
{
    nm_rows all = {.n = t->dense.spec.n, .factors = {.space = &t->space}}, some = all;
    nm_err err = {0};

    nm_assert_ok(nm_rows_append(&all, t->rows.m, NULL, t->dense.h, &t->rows, &err), &err);
    if (!index)
        return all;
    nm_assert_ok(nm_rows_pick(&some, &all, m, index, NULL, &err), &err);
    nm_rows_free(&all);
    return some;
}

/* One row at a time, from the array. */
static void check_one_row(const twin *t, const nm_rows *rows, int64_t r, double *a)
{
    nm_rows dense = rows_of(&t->dense);
    nm_row_size got = nm_row_measure(rows, r), want = nm_row_measure(&dense, r);

    nm_row_write(rows, r, a);
    nm_assert_close(a, t->dense.a + r * rows->n, (size_t)rows->n, 0, 0);
    nm_assert_close(&got.sum, &want.sum, 1, 1e-13, 0);
    nm_assert_close(&got.length, &want.length, 1, 1e-13, 0);
    nm_assert_close(&got.largest, &want.largest, 1, 1e-15, 0);
}

static void products_with_vectors_equal_those_of_dense_rows(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        twin *t = new_twin(NM_NORM_L2, shapes[i], (uint64_t)i);
        int64_t n = t->dense.spec.n, m = t->rows.m;
        nm_rows dense = rows_of(&t->dense), rows = factored_rows(t, NULL, 0);
        double *d = new_array(n), *value = new_array(m), *size = new_array(m);
        double *right = new_array(m), *scale = new_array(m);
        double *pull = new_array(n), *want = new_array(n);
        nm_rng rng = {.seed = 3};

        for (int64_t j = 0; j < n; j++)
            want[j] = pull[j] = d[j] = nm_rng_normal(&rng);
        nm_rows_times(2, &rows, d, value);
        nm_rows_scales(2, &rows, d, size);
        nm_rows_times(2, &dense, d, right);
        nm_rows_scales(2, &dense, d, scale);
        for (int64_t r = 0; r < m; r++) {
            nm_assert_close(&value[r], &right[r], 1, 0, 1e-13 * scale[r]);
            nm_assert_close(&size[r], &scale[r], 1, 1e-13, 0);
        }
        nm_rows_transposed_times(2, &rows, value, pull);
        nm_rows_transposed_times(2, &dense, value, want);
        nm_assert_close(pull, want, (size_t)n, 1e-11, 1e-11);
        for (int64_t r = 0; r < m; r++)
            check_one_row(t, &rows, r, d);
        nm_rows_free(&rows);
        free(d);
        free(value);
        free(size);
        free(right);
        free(scale);
        free(pull);
        free(want);
        free_twin(t);
    }
}

static void picked_rows_are_the_rows_picked(void **state)
{
    static const int64_t index[] = {11, 3, 4, 0};
    twin *t = new_twin(NM_NORM_L2, shapes[1], 4);
    nm_rows rows = factored_rows(t, index, 4);
    double *a = new_array(rows.n);

    (void)state;
    assert_int_equal(rows.m, 4);
    for (int64_t r = 0; r < 4; r++) {
        nm_row_write(&rows, r, a);
        nm_assert_close(a, t->dense.a + index[r] * rows.n, (size_t)rows.n, 0, 0);
        assert_true(rows.h[r] == t->dense.h[index[r]]);
    }
    free(a);
    nm_rows_free(&rows);
    free_twin(t);
}

/* The proof that a dense row and its opposite give, against the one from factors. */
static void proofs_from_factors_equal_those_from_dense_rows(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        twin *t = new_twin(NM_NORM_L2, shapes[i], (uint64_t)i);
        int64_t m = t->rows.m;
        double *y = new_array(m);
        nm_rng rng = {.seed = 3};

        set_box(&t->dense, 0.1);
        nm_rows rows = factored_rows(t, NULL, 0);
        for (int64_t r = 0; r < m; r++)
            y[r] = nm_rng_normal(&rng);
        double got = nm_farkas_excess(&t->dense.spec, &rows, y);
        double want = excess_of(&t->dense, y);
        nm_assert_close(&got, &want, 1, 1e-12, 1e-13);
        nm_rows_free(&rows);
        free(y);
        free_twin(t);
    }
}

/* -- whole solves ------------------------------------------------------------------------------ */

static void solves_with_and_without_factors_agree(void **state)
{
    static const twin_shape kinds[] = {{12, 16, 4, 10, 3, 0, 0, 0},
                                       {12, 16, 4, 10, 3, 2, 0, 0},
                                       {12, 16, 4, 10, 3, 2, 3, 0.3},
                                       {12, 14, 0, 8, 5, 1, 0, 0.5},
                                       {6, 4, 3, 10, 5, 1, 2, 0}};
    nm_err err = {0};
    nm_ctx *ctx;
    int solved = 0;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 20; i++) {
        twin *t = new_twin(all_norms[i % N_NORMS], kinds[i / N_NORMS], (uint64_t)i);
        answer got, dense = solve_once(&t->dense, NM_SOLVER_STRUCTURED);

        nm_assert_ok(solve_factored(ctx, t, &got, &err), &err);
        assert_int_equal(got.outcome, dense.outcome);
        if (dense.outcome == NM_MASTER_SOLVED) {
            check_solved(&t->dense, &got, 1e-8);
            nm_assert_close(&got.objective, &dense.objective, 1, 1e-8, 0);
            solved++;
        } else {
            check_infeasible(&t->dense, &got);
        }
        free_answer(&got);
        free_answer(&dense);
        free_twin(t);
    }
    if (solved < 12 || solved == 20)
        fail_msg("%d of the 20 programs have a solution: expected most of them", solved);
    nm_ctx_free(ctx);
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        twin *t = new_twin(all_norms[i], (twin_shape){40, 30, 20, 20, 6, 2, 0, 0.1}, 8);
        answer got[3];

        for (int k = 0; k < 3; k++) {
            nm_ctx *ctx;

            assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
            nm_ctx_set_threads(ctx, k + 1);
            nm_assert_ok(solve_factored(ctx, t, &got[k], &err), &err);
            nm_ctx_free(ctx);
        }
        assert_int_equal(got[0].outcome, NM_MASTER_SOLVED);
        for (int k = 1; k < 3; k++) {
            assert_memory_equal(got[0].d, got[k].d, (size_t)t->dense.spec.n * sizeof(double));
            assert_memory_equal(got[0].y, got[k].y, (size_t)t->rows.m * sizeof(double));
        }
        for (int k = 0; k < 3; k++)
            free_answer(&got[k]);
        free_twin(t);
    }
}

static void every_failing_allocation_is_reported(void **state)
{
    static const nm_norm norms[] = {NM_NORM_LINF_L1N, NM_NORM_L2};
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 2; i++) {
        twin *t = new_twin(norms[i], (twin_shape){3, 8, 2, 6, 2, 1, 0, 0.2}, 7);
        answer got = {0}, dense = solve_once(&t->dense, NM_SOLVER_STRUCTURED);
        nm_status rc = NM_E_NOMEM;

        for (long n = 1; rc != NM_OK; n++) {
            nm_mem_fail_at(n);
            rc = solve_factored(ctx, t, &got, NULL);
            nm_mem_fail_at(0);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
            assert_true(n < 2000);
        }
        nm_assert_close(&got.objective, &dense.objective, 1, 1e-8, 0);
        free_answer(&got);
        free_answer(&dense);
        free_twin(t);
    }
    nm_ctx_free(ctx);
}

static void rows_without_their_factors_are_refused(void **state)
{
    twin *t = new_twin(NM_NORM_L2, shapes[0], 1);
    nm_master_spec spec = factored_spec(t);
    nm_ctx *ctx;
    nm_master *master;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    nm_assert_ok(nm_master_open(ctx, &spec, NM_SOLVER_AUTO, &master, &err), &err);
    assert_int_equal(nm_master_add_rows(master, 1, t->dense.a, t->dense.h, &err), NM_E_ARG);
    assert_int_equal(nm_master_n_rows(master), 0);
    nm_master_close(master);
    nm_ctx_free(ctx);
    free_twin(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_those_of_dense_rows),
        cmocka_unit_test(products_of_two_lists_equal_those_of_dense_rows),
        cmocka_unit_test(products_with_vectors_equal_those_of_dense_rows),
        cmocka_unit_test(picked_rows_are_the_rows_picked),
        cmocka_unit_test(proofs_from_factors_equal_those_from_dense_rows),
        cmocka_unit_test(solves_with_and_without_factors_agree),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(rows_without_their_factors_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
