#include "instances.h"

/* The solvers that can do a norm. */
static int solvers_for(nm_norm norm, nm_solver out[2])
{
    out[0] = NM_SOLVER_STRUCTURED;
    out[1] = NM_SOLVER_CLP;
    return norm == NM_NORM_L2 ? 1 : 2;
}

static void solve_and_check(const instance *it, double gap)
{
    nm_solver solvers[2];
    double first = NAN;
    int count = solvers_for(it->spec.norm, solvers);

    for (int i = 0; i < count; i++) {
        answer got = solve_once(it, solvers[i]);

        check_solved(it, &got, gap);
        if (i > 0)
            nm_assert_close(&got.objective, &first, 1, 1e-7, 0);
        first = got.objective;
        free_answer(&got);
    }
}

static void expect_objective(const instance *it, double want)
{
    nm_solver solvers[2];
    int count = solvers_for(it->spec.norm, solvers);

    for (int i = 0; i < count; i++) {
        answer got = solve_once(it, solvers[i]);

        check_solved(it, &got, 1e-8);
        nm_assert_close(&got.objective, &want, 1, 1e-9, 0);
        free_answer(&got);
    }
}

static void expect_infeasible(const instance *it)
{
    nm_solver solvers[2];
    int count = solvers_for(it->spec.norm, solvers);

    for (int i = 0; i < count; i++) {
        answer got = solve_once(it, solvers[i]);

        check_infeasible(it, &got);
        free_answer(&got);
    }
}

static int descending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x < y) - (x > y);
}

/* One row a d >= h: min over s of h (1 + s w) / G_s for linf+l1n (G_s = sum of the s largest |a|),
 * h / |a|_1 for linf, h / max |a| for l1, h / |a|_2 for l2. */
static double closed_form(const instance *it)
{
    int64_t n = it->spec.n;
    double *g = new_array(n), sum = 0, squares = 0, best = INFINITY;

    for (int64_t j = 0; j < n; j++)
        g[j] = fabs(it->a[j]);
    qsort(g, (size_t)n, sizeof *g, descending);
    for (int64_t s = 0; s < n; s++) {
        sum += g[s];
        squares += g[s] * g[s];
        best = fmin(best, (1 + (double)(s + 1) * it->spec.l1_weight) / sum);
    }
    double largest = g[0];
    free(g);
    switch (it->spec.norm) {
    case NM_NORM_L1:
        return it->h[0] / largest;
    case NM_NORM_L2:
        return it->h[0] / sqrt(squares);
    case NM_NORM_LINF:
        return it->h[0] / sum;
    default:
        return it->h[0] * best;
    }
}

static void one_row_has_its_closed_form(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS], (shape){3, 22, 1, 1, 0, 0}, seed);

        it.h[0] = 0.1 + (double)seed;
        expect_objective(&it, closed_form(&it));
        free_instance(&it);
    }
}

static void without_rows_nothing_moves(void **state)
{
    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        instance it = new_instance(all_norms[i], 5, 0);
        answer got = solve_once(&it, NM_SOLVER_AUTO);

        assert_int_equal(got.outcome, NM_MASTER_SOLVED);
        assert_true(got.objective == 0 && got.lower_bound == 0);
        free_answer(&got);
        free_instance(&it);
    }
}

static void rows_that_hold_already_move_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        instance it = random_instance(all_norms[i], (shape){3, 7, 4, 3, 0, 0}, 5);

        for (int64_t r = 0; r < it.m; r++)
            it.h[r] = -fabs(it.h[r]) * (double)(r % 3);
        expect_objective(&it, 0);
        free_instance(&it);
    }
}

static void solvers_agree_on_random_programs(void **state)
{
    static const shape shapes[] = {
        {4, 10, 6, 3, 0, 0}, {10, 21, 12, 5, 0, 0}, {3, 60, 30, 2, 0, 0}, {2, 5, 4, 1, 0, 0}};

    (void)state;
    for (uint64_t seed = 0; seed < 16; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS], shapes[seed / N_NORMS], seed);

        solve_and_check(&it, 1e-8);
        free_instance(&it);
    }
}

/* A box a little wider than the max-norm optimum binds almost everywhere in l1 and l2. */
static void bounds_that_bind_are_met(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 16; seed++) {
        shape s = {5, 14, 8, 3, 0, 0};
        instance it = random_instance(NM_NORM_LINF, s, seed);
        answer loose = solve_once(&it, NM_SOLVER_CLP);

        check_solved(&it, &loose, 1e-8);
        set_box(&it, loose.objective * (1.02 + (double)(seed / N_NORMS)));
        it.spec.norm = all_norms[seed % N_NORMS];
        solve_and_check(&it, 1e-8);
        free_answer(&loose);
        free_instance(&it);
    }
}

static void one_sided_and_zero_bounds_are_met(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS], (shape){4, 12, 5, 2, 0, 0}, seed);

        set_box(&it, INFINITY);
        for (int64_t j = 0; j < it.spec.n; j++) {
            it.lo[j] = j % 3 == 0 ? 0 : j % 3 == 1 ? -INFINITY : -0.8;
            it.hi[j] = j % 4 == 0 ? 0 : j % 4 == 1 ? INFINITY : 0.8;
        }
        solve_and_check(&it, 1e-8);
        free_instance(&it);
    }
}

static void output_changes_enter_the_norm(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS],
                                      (shape){4, 12, 6, 3, 4, seed > 5 ? 0.4 : 0}, seed);

        for (int64_t k = 0; k < it.spec.n_terms && seed % 2; k++)
            it.offset[k] = 0.1 * sin((double)k);
        solve_and_check(&it, 1e-8);
        free_instance(&it);
    }
}

/* With C = identity and c0 = 0 every unknown counts twice. */
static void identity_terms_double_l1_and_stretch_l2(void **state)
{
    static const nm_norm norms[] = {NM_NORM_L1, NM_NORM_L2, NM_NORM_LINF};
    const double factor[] = {2, sqrt(2.0), 1};

    (void)state;
    for (int i = 0; i < 3; i++) {
        instance it = random_instance(norms[i], (shape){3, 8, 5, 2, 0, 0}, 9);
        answer plain = solve_once(&it, NM_SOLVER_AUTO);
        int64_t n = it.spec.n;

        free(it.terms);
        free(it.offset);
        it.spec.n_terms = n;
        it.spec.terms = it.terms = new_array(n * n);
        it.spec.offset = it.offset = new_array(n);
        for (int64_t j = 0; j < n; j++)
            it.terms[j * n + j] = 1;
        expect_objective(&it, factor[i] * plain.objective);
        free_answer(&plain);
        free_instance(&it);
    }
}

static void duplicate_and_tied_rows_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS], (shape){4, 9, 12, 2, 0, 0}, seed);
        size_t row = (size_t)it.spec.n * sizeof(double);

        for (int64_t r = 0; r + 1 < it.m; r += 2) { /* exact, scaled, and nearly equal copies */
            double factor = r % 3 == 0 ? 1 : 7.5;

            memcpy(it.a + (r + 1) * it.spec.n, it.a + r * it.spec.n, row);
            for (int64_t j = 0; j < it.spec.n; j++)
                it.a[(r + 1) * it.spec.n + j] *= factor;
            it.h[r + 1] = it.h[r] * factor * (r % 5 == 0 ? 1 + 1e-11 : 1);
        }
        solve_and_check(&it, 1e-7);
        free_instance(&it);
    }
}

/* All entries 0, 1 or -1 and all h equal: many optimal bases. */
static void degenerate_ties_are_solved(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        instance it = new_instance(all_norms[seed % N_NORMS], 24, 30);
        nm_rng rng = {.seed = seed};

        for (int64_t i = 0; i < it.m * it.spec.n; i++)
            it.a[i] = (double)nm_rng_below(&rng, 3) - (i % it.spec.n < 12 ? 0.0 : 1.0);
        for (int64_t r = 0; r < it.m; r++)
            it.h[r] = 1;
        solve_and_check(&it, 1e-7);
        free_instance(&it);
    }
}

static void badly_scaled_rows_do_no_harm(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        instance it = random_instance(all_norms[seed % N_NORMS], (shape){4, 11, 7, 3, 0, 0}, seed);

        for (int64_t r = 0; r < it.m; r++) {
            double factor = pow(10, (double)(r % 13) - 6);

            it.h[r] *= factor;
            for (int64_t j = 0; j < it.spec.n; j++)
                it.a[r * it.spec.n + j] *= factor;
        }
        solve_and_check(&it, 1e-8);
        free_instance(&it);
    }
}

static void size_of_the_deficits_does_not_matter(void **state)
{
    static const double sizes[] = {1e-7, 1e7};

    (void)state;
    for (int i = 0; i < 2 * N_NORMS; i++) {
        instance it = random_instance(all_norms[i % N_NORMS], (shape){4, 11, 7, 3, 0, 0}, 3);
        answer plain = solve_once(&it, NM_SOLVER_AUTO);

        for (int64_t r = 0; r < it.m; r++)
            it.h[r] *= sizes[i / N_NORMS];
        answer got = solve_once(&it, NM_SOLVER_AUTO);
        check_solved(&it, &got, 1e-8);
        nm_assert_close(&got.objective, &(double){plain.objective * sizes[i / N_NORMS]}, 1, 1e-8,
                        0);
        free_answer(&plain);
        free_answer(&got);
        free_instance(&it);
    }
}

static void zero_rows_are_harmless_or_a_proof(void **state)
{
    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        instance it = random_instance(all_norms[i], (shape){3, 7, 5, 2, 0, 0}, 2);

        memset(it.a + 4 * it.spec.n, 0, (size_t)it.spec.n * sizeof(double));
        it.h[4] = 0;
        solve_and_check(&it, 1e-8);
        it.h[4] = -1;
        solve_and_check(&it, 1e-8);
        it.h[4] = 1e-9;
        expect_infeasible(&it);
        free_instance(&it);
    }
}

static void contradictory_rows_are_proven_so(void **state)
{
    static const double differences[] = {1, 1e-3, 1e-6};

    (void)state;
    for (int i = 0; i < 3 * N_NORMS; i++) {
        instance it = random_instance(all_norms[i % N_NORMS], (shape){4, 9, 6, 2, 0, 0}, 11);

        for (int64_t j = 0; j < it.spec.n; j++) /* a d >= 1, -a d >= -1 + difference */
            it.a[7 * it.spec.n + j] = -it.a[3 * it.spec.n + j];
        it.h[3] = 1;
        it.h[7] = -1 + differences[i / N_NORMS];
        expect_infeasible(&it);
        it.h[7] = -1; /* only the equality is left: feasible */
        solve_and_check(&it, 1e-6);
        free_instance(&it);
    }
}

static void too_narrow_a_box_is_proven_so(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * N_NORMS; i++) {
        shape s = {5, 14, 8, 3, 0, 0};
        instance it = random_instance(NM_NORM_LINF, s, (uint64_t)i);
        answer loose = solve_once(&it, NM_SOLVER_CLP);

        set_box(&it, loose.objective * (i < N_NORMS ? 0.5 : 0.9999));
        it.spec.norm = all_norms[i % N_NORMS];
        expect_infeasible(&it);
        free_answer(&loose);
        free_instance(&it);
    }
}

static void rows_in_rounds_give_the_same_as_at_once(void **state)
{
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 2 * N_NORMS; i++) {
        nm_solver solver = i < N_NORMS ? NM_SOLVER_AUTO : NM_SOLVER_CLP;
        nm_norm norm = all_norms[i % N_NORMS];

        if (norm == NM_NORM_L2 && solver == NM_SOLVER_CLP)
            continue;
        instance it = random_instance(norm, (shape){6, 12, 15, 3, i % 2 ? 2 : 0, 0.7}, 4);
        answer once = solve_once(&it, solver), rounds = solve_in_batches(ctx, &it, solver, 7);

        check_solved(&it, &rounds, 1e-8);
        nm_assert_close(&rounds.objective, &once.objective, 1, 1e-8, 0);
        free_answer(&once);
        free_answer(&rounds);
        free_instance(&it);
    }
    nm_ctx_free(ctx);
}

static void a_loose_gap_saves_steps_and_stays_feasible(void **state)
{
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 3; i++) {
        instance it = random_instance(all_norms[i], (shape){10, 30, 20, 3, 0, 2}, 8);
        nm_master *master;
        nm_master_result result;
        nm_err err = {0};

        nm_assert_ok(nm_master_open(ctx, &it.spec, NM_SOLVER_STRUCTURED, &master, &err), &err);
        nm_assert_ok(nm_master_add_rows(master, it.m, it.a, it.h, &err), &err);
        nm_master_set_gap(master, 0.01);
        nm_assert_ok(nm_master_solve(master, &result, &err), &err);
        int64_t loose = result.iterations;
        answer got = {result.outcome,
                      result.objective,
                      result.lower_bound,
                      loose,
                      copy_of(result.d, it.spec.n),
                      copy_of(result.y, it.m)};
        check_solved(&it, &got, 0.01);
        nm_master_set_gap(master, 1e-9);
        nm_assert_ok(nm_master_solve(master, &result, &err), &err);
        assert_true(nm_relative_gap(result.objective, result.lower_bound) <= 1e-9);
        assert_true(loose < result.iterations);
        nm_master_close(master);
        free_answer(&got);
        free_instance(&it);
    }
    nm_ctx_free(ctx);
}

static void threads_do_not_change_a_bit(void **state)
{
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < N_NORMS; i++) {
        instance it = random_instance(all_norms[i], (shape){8, 40, 40, 3, 2, 0.9}, 6);

        nm_ctx_set_threads(ctx, 1);
        answer one = solve_in_batches(ctx, &it, NM_SOLVER_AUTO, 60);
        nm_ctx_set_threads(ctx, 2);
        answer two = solve_in_batches(ctx, &it, NM_SOLVER_AUTO, 60);
        check_solved(&it, &one, 1e-8);
        assert_memory_equal(one.d, two.d, (size_t)it.spec.n * sizeof(double));
        assert_memory_equal(one.y, two.y, (size_t)it.m * sizeof(double));
        free_answer(&one);
        free_answer(&two);
        free_instance(&it);
    }
    nm_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_row_has_its_closed_form),
        cmocka_unit_test(without_rows_nothing_moves),
        cmocka_unit_test(rows_that_hold_already_move_nothing),
        cmocka_unit_test(solvers_agree_on_random_programs),
        cmocka_unit_test(bounds_that_bind_are_met),
        cmocka_unit_test(one_sided_and_zero_bounds_are_met),
        cmocka_unit_test(output_changes_enter_the_norm),
        cmocka_unit_test(identity_terms_double_l1_and_stretch_l2),
        cmocka_unit_test(duplicate_and_tied_rows_do_no_harm),
        cmocka_unit_test(degenerate_ties_are_solved),
        cmocka_unit_test(badly_scaled_rows_do_no_harm),
        cmocka_unit_test(size_of_the_deficits_does_not_matter),
        cmocka_unit_test(zero_rows_are_harmless_or_a_proof),
        cmocka_unit_test(contradictory_rows_are_proven_so),
        cmocka_unit_test(too_narrow_a_box_is_proven_so),
        cmocka_unit_test(rows_in_rounds_give_the_same_as_at_once),
        cmocka_unit_test(a_loose_gap_saves_steps_and_stays_feasible),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
