/* Programs of many columns: sifting and column generation against the interior point method on all
 * of them, and against CLP. */
#include "twins.h"

#include "solve/bound.h"

static const nm_norm norms[] = {NM_NORM_LINF_L1N, NM_NORM_LINF, NM_NORM_L1};
enum { N_LP_NORMS = 3 };

static const nm_master_kind *kind_for(nm_norm norm)
{
    return norm == NM_NORM_L1 ? &nm_master_columns : &nm_master_sift;
}

/* Rows in batches, solved after each. */
static nm_status run_kind(nm_ctx *ctx, const nm_master_kind *kind, twin *t, int64_t batch,
                          answer *got, nm_err *err)
{
    nm_master_spec spec = factored_spec(t);
    nm_rows rows = {.n = spec.n, .factors = {.space = &t->space}};
    nm_groups terms = {0};
    nm_master_result result = {0};
    void *state = NULL;
    nm_status rc = NM_OK;

    if (spec.n_terms > 0)
        NM_TRY(nm_groups_make(&t->terms, NULL, NULL, &terms, err));
    spec.term_groups = &terms;
    NM_TRY(kind->open(ctx, &spec, &rows, &state, err));
    for (int64_t first = 0; first < t->rows.m; first += batch) {
        int64_t m = t->rows.m - first < batch ? t->rows.m - first : batch;
        nm_factors some = nm_factors_slice(&t->rows, first, m);

        NM_TRY(nm_rows_append(&rows, m, NULL, t->dense.h + first, &some, err));
        NM_TRY(kind->solve(state, &result, err));
    }
    *got = (answer){.outcome = result.outcome,
                    .objective = result.objective,
                    .lower_bound = result.lower_bound,
                    .d = copy_of(result.d, spec.n),
                    .y = copy_of(result.y, t->rows.m)};
done:
    if (state)
        kind->close(state);
    nm_rows_free(&rows);
    nm_groups_free(&terms);
    return rc;
}

static answer solve_by(const nm_master_kind *kind, twin *t, int64_t batch, int threads)
{
    answer got;
    nm_ctx *ctx;
    nm_err err = {0};

    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    nm_ctx_set_threads(ctx, threads);
    nm_assert_ok(run_kind(ctx, kind, t, batch, &got, &err), &err);
    nm_ctx_free(ctx);
    return got;
}

static void compare(twin *t, int64_t batch, double gap)
{
    answer got = solve_by(kind_for(t->dense.spec.norm), t, batch, 1);
    answer want = solve_by(&nm_master_ipm, t, t->rows.m, 1);

    check_solved(&t->dense, &want, gap);
    check_solved(&t->dense, &got, gap);
    nm_assert_close(&got.objective, &want.objective, 1, 2 * gap, 0);
    free_answer(&got);
    free_answer(&want);
}

static const twin_shape wide = {60, 400, 0, 10, 2, 0, 0, 0};

static void all_columns_at_once_give_the_same(void **state)
{
    static const twin_shape shapes[] = {{60, 400, 0, 10, 2, 0, 0, 0},
                                        {100, 300, 20, 12, 3, 0, 0, 0.1},
                                        {60, 500, 5, 10, 2, 0, 2, 0},
                                        {300, 80, 0, 14, 1, 0, 0, 0},
                                        {60, 400, 10, 6, 2, 2, 0, 0.02}};

    (void)state;
    for (size_t i = 0; i < N_LP_NORMS * sizeof shapes / sizeof *shapes; i++) {
        twin *t = new_twin(norms[i % N_LP_NORMS], shapes[i / N_LP_NORMS], i);

        assert_true(kind_for(t->dense.spec.norm)
                        ->can(&(nm_master_spec){
                            .norm = t->dense.spec.norm, .space = &t->space, .n = t->dense.spec.n}));
        compare(t, i % 2 ? 7 : t->rows.m, 1e-8);
        free_twin(t);
    }
}

static void clp_gives_the_same(void **state)
{
    (void)state;
    for (int i = 0; i < N_LP_NORMS; i += 2) {
        twin *t = new_twin(norms[i], (twin_shape){50, 420, 0, 3, 1, 0, 0, 0}, 40);
        answer got = solve_by(kind_for(norms[i]), t, t->rows.m, 1);
        answer want = solve_once(&t->dense, NM_SOLVER_CLP);

        check_solved(&t->dense, &got, 1e-8);
        nm_assert_close(&got.objective, &want.objective, 1, 1e-7, 0);
        free_answer(&got);
        free_answer(&want);
        free_twin(t);
    }
}

/* Inputs 0 or 1, factors -1, 0 or 1, equal right-hand sides: many columns are the same. */
static void ties_are_solved(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i % N_LP_NORMS], wide, (uint64_t)i);
        nm_rng rng = {.seed = (uint64_t)i};

        for (int64_t k = 0; k < t->n_points * t->space.n_in; k++)
            t->x[k] = (double)nm_rng_below(&rng, 2);
        for (int64_t k = 0; k < t->rows.m * nm_factor_width(&t->space); k++)
            t->rows.g[k] = (double)nm_rng_below(&rng, 3) - 1;
        for (int64_t r = 0; r < t->rows.m; r++)
            t->dense.h[r] = 1;
        write_out_again(t);
        compare(t, t->rows.m, 1e-7);
        free_twin(t);
    }
}

/* Exact, scaled and nearly equal copies of rows. */
static void parallel_rows_do_no_harm(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i % N_LP_NORMS], wide, (uint64_t)i);
        int64_t width = nm_factor_width(&t->space);

        for (int64_t r = 0; r + 1 < t->rows.m; r += 2) {
            double factor = r % 3 == 0 ? 1 : 7.5, off = r % 4 == 0 ? 1e-7 : 0;

            t->rows.point[r + 1] = t->rows.point[r];
            for (int64_t k = 0; k < width; k++)
                t->rows.g[(r + 1) * width + k] =
                    factor * t->rows.g[r * width + k] * (k == 3 ? 1 + off : 1);
            t->dense.h[r + 1] = t->dense.h[r] * factor;
        }
        write_out_again(t);
        compare(t, 6, 1e-7);
        free_twin(t);
    }
}

/* Bounds a little wider than the max-norm optimum bind nearly everywhere; with 0.9 of it there is
 * no answer. */
static void bounds_that_bind_are_met(void **state)
{
    static const double factors[] = {1.02, 1.5, 0.9};

    (void)state;
    for (int i = 0; i < 3 * N_LP_NORMS; i++) {
        twin *t = new_twin(NM_NORM_LINF, wide, 3);
        answer loose = solve_by(&nm_master_ipm, t, t->rows.m, 1);

        set_box(&t->dense, loose.objective * factors[i / N_LP_NORMS]);
        t->dense.spec.norm = norms[i % N_LP_NORMS];
        if (factors[i / N_LP_NORMS] > 1) {
            compare(t, t->rows.m, 1e-7);
        } else {
            answer got = solve_by(kind_for(t->dense.spec.norm), t, t->rows.m, 1);

            check_infeasible(&t->dense, &got);
            free_answer(&got);
        }
        free_answer(&loose);
        free_twin(t);
    }
}

static void contradicting_rows_have_a_proof(void **state)
{
    (void)state;
    for (int i = 0; i < N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i], wide, 9);
        int64_t width = nm_factor_width(&t->space);

        t->rows.point[1] = t->rows.point[0];
        for (int64_t k = 0; k < width; k++)
            t->rows.g[width + k] = -t->rows.g[k];
        t->dense.h[0] = 1;
        t->dense.h[1] = -0.5;
        write_out_again(t);
        answer got = solve_by(kind_for(norms[i]), t, t->rows.m, 1);
        check_infeasible(&t->dense, &got);
        free_answer(&got);
        free_twin(t);
    }
}

static void any_number_of_threads_gives_the_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i], (twin_shape){90, 400, 3, 12, 2, 0, 0, 0}, 8);
        answer one = solve_by(kind_for(norms[i]), t, 9, 1);
        answer two = solve_by(kind_for(norms[i]), t, 9, 2);

        assert_int_equal(one.outcome, NM_MASTER_SOLVED);
        assert_memory_equal(one.d, two.d, (size_t)t->dense.spec.n * sizeof(double));
        assert_memory_equal(one.y, two.y, (size_t)t->rows.m * sizeof(double));
        free_answer(&one);
        free_answer(&two);
        free_twin(t);
    }
}

static void cancelling_stops_them(void **state)
{
    (void)state;
    for (int i = 0; i < N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i], wide, 8);
        answer got;
        nm_ctx *ctx;
        nm_err err = {0};

        assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
        nm_ctx_cancel(ctx);
        assert_int_equal(run_kind(ctx, kind_for(norms[i]), t, t->rows.m, &got, &err),
                         NM_E_CANCELLED);
        nm_ctx_free(ctx);
        free_twin(t);
    }
}

static void failing_allocations_are_reported(void **state)
{
    (void)state;
    for (int i = 1; i < N_LP_NORMS; i++) {
        twin *t = new_twin(norms[i], (twin_shape){50, 420, 1, 3, 1, 0, 0, 0}, 7);
        nm_status rc = NM_E_NOMEM;
        answer got = {0};
        nm_ctx *ctx;

        assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
        for (long n = 1; rc != NM_OK; n += 1 + n / 7) {
            nm_mem_fail_at(n);
            rc = run_kind(ctx, kind_for(norms[i]), t, 2, &got, NULL);
            nm_mem_fail_at(0);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        }
        assert_int_equal(got.outcome, NM_MASTER_SOLVED);
        free_answer(&got);
        nm_ctx_free(ctx);
        free_twin(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_columns_at_once_give_the_same),
        cmocka_unit_test(clp_gives_the_same),
        cmocka_unit_test(ties_are_solved),
        cmocka_unit_test(parallel_rows_do_no_harm),
        cmocka_unit_test(bounds_that_bind_are_met),
        cmocka_unit_test(contradicting_rows_have_a_proof),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
        cmocka_unit_test(cancelling_stops_them),
        cmocka_unit_test(failing_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
