#include "instances.h"

#include "solve/polish.h"

static nm_ctx *new_ctx(void)
{
    nm_ctx *ctx;

    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    return ctx;
}

/* `size` rows at `places` that cannot hold together: the last is minus the sum of the others. */
static void plant_conflict(instance *it, const int64_t *places, int size)
{
    int64_t n = it->spec.n, last = places[size - 1];

    memset(it->a + last * n, 0, (size_t)n * sizeof(double));
    for (int i = 0; i + 1 < size; i++) {
        for (int64_t j = 0; j < n; j++)
            it->a[last * n + j] -= it->a[places[i] * n + j];
        it->h[places[i]] = 0.5;
    }
    it->h[last] = -0.4;
}

static bool infeasible_without(const instance *it, const int64_t *group, const bool *member,
                               int64_t without)
{
    nm_ctx *ctx = new_ctx();
    nm_rows rows = {.n = it->spec.n};
    nm_master_outcome outcome;
    nm_err err = {0};

    for (int64_t r = 0; r < it->m; r++) {
        if (member[group[r]] && group[r] != without)
            nm_assert_ok(nm_rows_append(&rows, 1, it->a + r * it->spec.n, it->h + r, NULL, &err),
                         &err);
    }
    double *y = new_array(rows.m);
    nm_assert_ok(nm_find_proof(ctx, &it->spec, &rows, y, &outcome, &err), &err);
    assert_int_not_equal(outcome, NM_MASTER_FAILED);
    free(y);
    nm_rows_free(&rows);
    nm_ctx_free(ctx);
    return outcome == NM_MASTER_INFEASIBLE;
}

static void check_irreducible(const instance *it, const int64_t *group, int64_t n_groups,
                              const bool *member)
{
    assert_true(infeasible_without(it, group, member, -1));
    for (int64_t g = 0; g < n_groups; g++) {
        if (member[g])
            assert_false(infeasible_without(it, group, member, g));
    }
}

enum { GROUPS = 30, PER_GROUP = 3 };

static void find_groups(const instance *it, const double *y, int64_t *group, bool *member)
{
    nm_ctx *ctx = new_ctx();
    nm_rows rows = rows_of(it);
    nm_err err = {0};

    for (int64_t r = 0; r < it->m; r++)
        group[r] = r / PER_GROUP;
    nm_assert_ok(nm_conflict_groups(ctx, &it->spec, &rows, group, GROUPS, y, member, &err), &err);
    nm_ctx_free(ctx);
}

/* Five rows of five groups contradict; one of the groups contradicts itself in the second half. */
static void planted_conflicts_are_found_and_nothing_else(void **state)
{
    static const int64_t across[] = {4, 31, 50, 62, 80}, within[] = {42, 43, 44};

    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        instance it = random_instance(NM_NORM_LINF, (shape){6, 40, GROUPS, PER_GROUP, 0, 0}, seed);
        int64_t group[GROUPS * PER_GROUP];
        bool member[GROUPS], expected[GROUPS] = {false};

        plant_conflict(&it, across, 5);
        if (seed >= 3)
            plant_conflict(&it, within, 3);
        for (int i = 0; i < 5 && seed < 3; i++)
            expected[across[i] / PER_GROUP] = true;
        answer got = solve_once(&it, NM_SOLVER_AUTO);
        check_infeasible(&it, &got);
        find_groups(&it, got.y, group, member);
        check_irreducible(&it, group, GROUPS, member);
        if (seed < 3)
            assert_memory_equal(member, expected, sizeof member);
        free_answer(&got);
        free_instance(&it);
    }
}

static void conflicts_with_the_box_are_irreducible(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        instance it = random_instance(NM_NORM_LINF, (shape){3, 40, GROUPS, PER_GROUP, 0, 0}, seed);
        answer loose = solve_once(&it, NM_SOLVER_CLP);
        int64_t group[GROUPS * PER_GROUP];
        bool member[GROUPS];

        check_solved(&it, &loose, 1e-8);
        set_box(&it, 0.7 * loose.objective);
        answer got = solve_once(&it, NM_SOLVER_AUTO);
        check_infeasible(&it, &got);
        find_groups(&it, got.y, group, member);
        check_irreducible(&it, group, GROUPS, member);
        free_answer(&loose);
        free_answer(&got);
        free_instance(&it);
    }
}

/* All rows as the proof's support: the filter has the whole way to go. */
static void a_wide_proof_narrows_to_the_conflict(void **state)
{
    static const int64_t pair[] = {7, 70};
    instance it = random_instance(NM_NORM_LINF, (shape){6, 40, GROUPS, PER_GROUP, 0, 0.01}, 1);
    int64_t group[GROUPS * PER_GROUP];
    bool member[GROUPS];
    double y[GROUPS * PER_GROUP];

    (void)state;
    plant_conflict(&it, pair, 2);
    for (int64_t r = 0; r < it.m; r++)
        y[r] = r == 7 || r == 70 ? 1 : 1e-9;
    assert_true(excess_of(&it, y) > 0);
    find_groups(&it, y, group, member);
    check_irreducible(&it, group, GROUPS, member);
    free_instance(&it);
}

static void a_false_proof_is_not_believed(void **state)
{
    instance it = random_instance(NM_NORM_LINF, (shape){6, 40, GROUPS, PER_GROUP, 0, 0}, 2);
    nm_rows rows = rows_of(&it);
    int64_t group[GROUPS * PER_GROUP] = {0};
    bool member[GROUPS];
    double *y = new_array(it.m);
    nm_ctx *ctx = new_ctx();
    nm_err err = {0};

    (void)state;
    y[3] = 1;
    assert_int_equal(nm_conflict_groups(ctx, &it.spec, &rows, group, GROUPS, y, member, &err),
                     NM_E_ARG);
    free(y);
    nm_ctx_free(ctx);
    free_instance(&it);
}

static void without_time_the_conflict_is_still_one(void **state)
{
    static const int64_t pair[] = {7, 70};
    instance it = random_instance(NM_NORM_LINF, (shape){6, 40, GROUPS, PER_GROUP, 0, 0}, 3);
    nm_rows rows = rows_of(&it);
    int64_t group[GROUPS * PER_GROUP];
    bool member[GROUPS];
    nm_ctx *ctx = new_ctx();
    nm_err err = {0};

    (void)state;
    plant_conflict(&it, pair, 2);
    answer got = solve_once(&it, NM_SOLVER_AUTO);
    check_infeasible(&it, &got);
    for (int64_t r = 0; r < it.m; r++)
        group[r] = r / PER_GROUP;
    nm_ctx_cancel(ctx);
    nm_assert_ok(nm_conflict_groups(ctx, &it.spec, &rows, group, GROUPS, got.y, member, &err),
                 &err);
    assert_true(infeasible_without(&it, group, member, -1));
    free_answer(&got);
    nm_ctx_free(ctx);
    free_instance(&it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planted_conflicts_are_found_and_nothing_else),
        cmocka_unit_test(conflicts_with_the_box_are_irreducible),
        cmocka_unit_test(a_wide_proof_narrows_to_the_conflict),
        cmocka_unit_test(a_false_proof_is_not_believed),
        cmocka_unit_test(without_time_the_conflict_is_still_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
