#include "instances.h"

/* Random y and x: whatever they are, the bound stays below the norm of every feasible d. */
static void no_multipliers_prove_too_much(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        nm_rng rng = {.seed = seed};
        shape s = {3, 8, 5, 2, seed % 3 ? 2 : 0, seed % 2 ? 2.5 : 0};
        instance it = random_instance(all_norms[seed % N_NORMS], s, seed);
        nm_rows rows = {.n = it.spec.n, .m = it.m, .a = it.a, .h = it.h};
        double *d = new_array(it.spec.n), *y = new_array(it.m), *x = new_array(it.spec.n_terms);
        double bound;
        nm_err err = {0};

        for (int64_t k = 0; k < it.spec.n_terms; k++) {
            it.offset[k] = 0.2 * nm_rng_normal(&rng);
            x[k] = nm_rng_normal(&rng) * pow(10, -(double)(seed % 4));
        }
        for (int64_t j = 0; j < it.spec.n; j++)
            d[j] = nm_rng_normal(&rng);
        nm_clip_to_box(&it.spec, d);
        for (int64_t r = 0; r < it.m; r++) { /* d is made feasible, most rows tight */
            y[r] = fmax(0, nm_rng_normal(&rng)) * pow(10, -(double)(seed % 5));
            it.h[r] = value_of_row(&rows, r, d) - (r % 4 == 0 ? 0.1 : 0);
        }
        double norm = norm_of(&it.spec, d);
        nm_assert_ok(nm_dual_bound(1, &it.spec, &rows, y, x, norm, &bound, &err), &err);
        if (!(bound >= 0 && bound <= norm * (1 + 1e-12)))
            fail_msg("seed %d: bound %g above a feasible value %g", (int)seed, bound, norm);
        free(d);
        free(y);
        free(x);
        free_instance(&it);
    }
}

static void scaling_the_multipliers_changes_nothing_without_a_box(void **state)
{
    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        instance it = random_instance(all_norms[i], (shape){3, 8, 5, 2, 0, 0}, 3);
        nm_rows rows = {.n = it.spec.n, .m = it.m, .a = it.a, .h = it.h};
        answer got = solve_once(&it, NM_SOLVER_AUTO);
        double bound;
        nm_err err = {0};

        check_solved(&it, &got, 1e-8);
        for (int64_t r = 0; r < it.m; r++)
            got.y[r] *= 1000;
        nm_assert_ok(nm_dual_bound(1, &it.spec, &rows, got.y, NULL, got.objective, &bound, &err),
                     &err);
        nm_assert_close(&bound, &got.lower_bound, 1, 1e-9, 0);
        free_answer(&got);
        free_instance(&it);
    }
}

static void norms_have_their_hand_values(void **state)
{
    const double d[] = {3, -4}, terms[] = {1, 1}, offset[] = {13},
                 want[] = {12 + 0.5 * 19, 12, 19, 13};

    (void)state;
    for (int i = 0; i < N_NORMS; i++) {
        nm_master_spec spec = {.norm = all_norms[i],
                               .l1_weight = 0.5,
                               .n = 2,
                               .n_terms = 1,
                               .terms = terms,
                               .offset = offset};
        double got = norm_of(&spec, d);

        nm_assert_close(&got, &want[i], 1, 1e-15, 0);
    }
}

/* Whatever y is tried, it must not prove a feasible program infeasible. */
static void feasible_programs_have_no_proof(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        instance it = random_instance(NM_NORM_LINF, (shape){3, 8, 5, 2, 0, seed % 2 ? 1 : 0}, seed);
        nm_rows rows = {.n = it.spec.n, .m = it.m, .a = it.a, .h = it.h};
        nm_rng rng = {.seed = seed, .stream = 1};
        double *d = new_array(it.spec.n), *y = new_array(it.m);

        /* Opposite rows that leave exactly d: the closest a feasible program can be to a proof. */
        for (int64_t j = 0; j < it.spec.n; j++) {
            d[j] = nm_rng_uniform(&rng) - 0.5;
            it.a[it.spec.n + j] = -it.a[j];
        }
        for (int64_t r = 0; r < it.m; r++) {
            it.h[r] = value_of_row(&rows, r, d) - 1e-13;
            y[r] = r < 2 ? 1e6 : nm_rng_uniform(&rng) * (double)(seed % 3);
        }
        assert_true(excess_of(&it, y) <= 0);
        free(d);
        free(y);
        free_instance(&it);
    }
}

static void a_hand_made_proof_counts(void **state)
{
    const double a[] = {1, 2, -1, -2}, h[] = {1, -1 + 1e-9}, y[] = {1, 1}, wrong[] = {1, 1.001};
    const double lo[] = {-0.1, -0.1}, hi[] = {0.1, 0.1}, only_first[] = {1, 0};
    nm_master_spec open = {.n = 2}, boxed = {.n = 2, .lo = lo, .hi = hi};
    nm_rows rows = {.n = 2, .m = 2, .a = (double *)(uintptr_t)a, .h = (double *)(uintptr_t)h};

    (void)state;
    assert_true(nm_farkas_excess(&open, &rows, y) > 0);
    assert_true(nm_farkas_excess(&open, &rows, wrong) <= 0);
    assert_true(nm_farkas_excess(&open, &rows, only_first) <= 0);
    double excess = nm_farkas_excess(&boxed, &rows, only_first), want = 1 - 0.3;
    nm_assert_close(&excess, &want, 1, 1e-12, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_multipliers_prove_too_much),
        cmocka_unit_test(scaling_the_multipliers_changes_nothing_without_a_box),
        cmocka_unit_test(norms_have_their_hand_values),
        cmocka_unit_test(feasible_programs_have_no_proof),
        cmocka_unit_test(a_hand_made_proof_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
