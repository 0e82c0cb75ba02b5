#include "instances.h"

#include <pthread.h>
#include <unistd.h>

typedef struct alarm_clock {
    nm_ctx *ctx;
    double delay, rung_at;
} alarm_clock;

static void *ring(void *argument)
{
    alarm_clock *alarm = argument;

    (void)usleep((useconds_t)(1e6 * alarm->delay));
    alarm->rung_at = nm_now();
    nm_ctx_cancel(alarm->ctx);
    return NULL;
}

/* Seconds from the cancellation, which comes while the solver works, to its return. */
static double time_to_stop(const instance *it, nm_solver solver)
{
    alarm_clock alarm = {.delay = 0.15};
    pthread_t thread;
    nm_master *master;
    nm_master_result result;
    nm_err err = {0};

    assert_int_equal(nm_ctx_new(&alarm.ctx, NULL), NM_OK);
    nm_assert_ok(nm_master_open(alarm.ctx, &it->spec, solver, &master, &err), &err);
    nm_assert_ok(nm_master_add_rows(master, it->m, it->a, it->h, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, ring, &alarm), 0);
    assert_int_equal(nm_master_solve(master, &result, &err), NM_E_CANCELLED);
    double returned = nm_now();
    (void)pthread_join(thread, NULL);
    nm_master_close(master);
    nm_ctx_free(alarm.ctx);
    return returned - alarm.rung_at;
}

/* Asked is 0.2 s; a machine busy with other tests gets some slack. */
static void cancelling_stops_clp_and_interior_point_soon(void **state)
{
    instance it = random_instance(NM_NORM_LINF_L1N, (shape){60, 60, 60, 5, 4, 0}, 1);

    (void)state;
    double clp = time_to_stop(&it, NM_SOLVER_CLP);
    double structured = time_to_stop(&it, NM_SOLVER_STRUCTURED);
    if (clp > 1 || structured > 1)
        fail_msg("stopped %.2f s (clp), %.2f s (interior point) after the cancellation", clp,
                 structured);
    free_instance(&it);
}

static void time_limit_stops_and_says_so(void **state)
{
    instance it = random_instance(NM_NORM_LINF_L1N, (shape){60, 60, 60, 5, 4, 0}, 1);
    nm_ctx *ctx;
    nm_master *master;
    nm_master_result result;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    nm_ctx_set_time_limit(ctx, 0.1);
    nm_assert_ok(nm_master_open(ctx, &it.spec, NM_SOLVER_CLP, &master, &err), &err);
    nm_assert_ok(nm_master_add_rows(master, it.m, it.a, it.h, &err), &err);
    assert_int_equal(nm_master_solve(master, &result, &err), NM_E_LIMIT);
    nm_master_close(master);
    nm_ctx_free(ctx);
    free_instance(&it);
}

/* Two rounds, the n-th allocation of which fails: an error and nothing lost, or the right answer.
 */
static nm_status solve_with_failure(nm_ctx *ctx, const instance *it, nm_solver solver, long n,
                                    double *objective)
{
    int64_t half = it->m / 2;
    nm_master *master = NULL;
    nm_master_result result = {0};
    nm_err err = {0};
    nm_status rc;

    nm_mem_fail_at(n);
    NM_TRY(nm_master_open(ctx, &it->spec, solver, &master, &err));
    NM_TRY(nm_master_add_rows(master, half, it->a, it->h, &err));
    NM_TRY(nm_master_solve(master, &result, &err));
    NM_TRY(nm_master_add_rows(master, it->m - half, it->a + half * it->spec.n, it->h + half, &err));
    NM_TRY(nm_master_solve(master, &result, &err));
    *objective = result.objective;
done:
    nm_mem_fail_at(0);
    nm_master_close(master);
    return rc;
}

static void every_failing_allocation_is_reported(void **state)
{
    static const nm_solver solvers[] = {NM_SOLVER_STRUCTURED, NM_SOLVER_CLP, NM_SOLVER_STRUCTURED};
    static const nm_norm norms[] = {NM_NORM_LINF_L1N, NM_NORM_LINF, NM_NORM_L2};
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 3; i++) {
        instance it = random_instance(norms[i], (shape){3, 8, 6, 2, 1, 1}, 7);
        answer plain = solve_once(&it, solvers[i]);
        nm_status rc = NM_E_NOMEM;
        double objective = NAN;

        check_solved(&it, &plain, 1e-8);
        for (long n = 1; rc != NM_OK; n++) {
            rc = solve_with_failure(ctx, &it, solvers[i], n, &objective);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
            assert_true(n < 2000);
        }
        nm_assert_close(&objective, &plain.objective, 1, 1e-8, 0);
        free_answer(&plain);
        free_instance(&it);
    }
    nm_ctx_free(ctx);
}

/* After a failure the master is still usable: the same call succeeds when there is memory again. */
static void a_failed_solve_can_be_repeated(void **state)
{
    nm_ctx *ctx;

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (long n = 1; n < 40; n++) {
        nm_norm norm = all_norms[n % N_NORMS];
        instance it = random_instance(norm, (shape){3, 8, 6, 2, 1, 1}, 7);
        nm_solver solver = n % 3 && norm != NM_NORM_L2 ? NM_SOLVER_CLP : NM_SOLVER_STRUCTURED;
        answer plain = solve_once(&it, solver);
        nm_master *master;
        nm_master_result result;
        nm_err err = {0};

        nm_assert_ok(nm_master_open(ctx, &it.spec, solver, &master, &err), &err);
        nm_assert_ok(nm_master_add_rows(master, it.m, it.a, it.h, &err), &err);
        nm_mem_fail_at(n);
        (void)nm_master_solve(master, &result, NULL);
        nm_mem_fail_at(0);
        nm_assert_ok(nm_master_solve(master, &result, &err), &err);
        nm_assert_close(&result.objective, &plain.objective, 1, 1e-8, 0);
        nm_master_close(master);
        free_answer(&plain);
        free_instance(&it);
    }
    nm_ctx_free(ctx);
}

static void nothing_is_printed(void **state)
{
    char path[256];
    int saved_out = dup(1), saved_err = dup(2);

    (void)state;
    (void)snprintf(path, sizeof path, "%s", nm_temp_path(".txt"));
    FILE *file = fopen(path, "w+");
    assert_non_null(file);
    (void)fflush(stdout);
    (void)dup2(fileno(file), 1);
    (void)dup2(fileno(file), 2);
    for (int i = 0; i < 2 * N_NORMS; i++) {
        instance it = random_instance(all_norms[i % N_NORMS], (shape){6, 12, 15, 3, 2, 0.3}, 4);
        nm_solver solver =
            it.spec.norm == NM_NORM_L2 || i < N_NORMS ? NM_SOLVER_AUTO : NM_SOLVER_CLP;
        answer got = solve_once(&it, solver);

        free_answer(&got);
        free_instance(&it);
    }
    (void)fflush(stdout);
    (void)dup2(saved_out, 1);
    (void)dup2(saved_err, 2);
    (void)close(saved_out);
    (void)close(saved_err);
    (void)fseek(file, 0, SEEK_END);
    assert_int_equal(ftell(file), 0);
    (void)fclose(file);
}

static void nonsense_is_refused(void **state)
{
    double row[] = {1, NAN}, h = 1, lo[] = {0.5, -1};
    nm_master_spec spec = {.norm = NM_NORM_LINF, .n = 2, .gap = 1e-6}, bad = spec;
    nm_ctx *ctx;
    nm_master *master;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    bad.lo = lo;
    assert_int_equal(nm_master_open(ctx, &bad, NM_SOLVER_AUTO, &master, NULL), NM_E_ARG);
    bad = spec;
    bad.n = 0;
    assert_int_equal(nm_master_open(ctx, &bad, NM_SOLVER_AUTO, &master, NULL), NM_E_ARG);
    bad = spec;
    bad.norm = NM_NORM_L2;
    assert_int_equal(nm_master_open(ctx, &bad, NM_SOLVER_CLP, &master, NULL), NM_E_ARG);
    nm_assert_ok(nm_master_open(ctx, &spec, NM_SOLVER_AUTO, &master, &err), &err);
    assert_int_equal(nm_master_add_rows(master, 1, row, &h, &err), NM_E_ARG);
    assert_int_equal(nm_master_n_rows(master), 0);
    nm_master_close(master);
    nm_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cancelling_stops_clp_and_interior_point_soon),
        cmocka_unit_test(time_limit_stops_and_says_so),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(a_failed_solve_can_be_repeated),
        cmocka_unit_test(nothing_is_printed),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
