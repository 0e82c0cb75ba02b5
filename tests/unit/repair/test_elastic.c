/* Elastic repairs: the largest set, against trying all subsets; what is said about the rest. */
#include "elastic_support.h"

#include "repair/elastic.h"

/* -- the largest set ------------------------------------------------------------------------- */

/* Whether these points alone can be repaired, by another norm and solver. */
static bool can_repair(es_world *w, unsigned subset, int64_t n)
{
    float x[ES_MAX * 4];
    int64_t labels[ES_MAX], count = 0;
    nm_points points = {.n_in = 4, .x = x, .labels = labels, .rows = w->rows};
    nm_repair_task task = {.repair = &points};
    nm_repair_opts opts = w->opts;
    nm_err err = {0};
    bool can;

    for (int64_t p = 0; p < n; p++)
        if (subset >> p & 1U) {
            memcpy(x + 4 * count, w->x + 4 * p, 4 * sizeof *x);
            labels[count++] = w->labels[p];
        }
    points.n = count;
    w->opts.elastic = false;
    w->opts.norm = NM_NORM_LINF;
    w->opts.solver = NM_SOLVER_CLP;
    nm_assert_ok(es_try(w, &task, &err), &err);
    can = w->report.outcome == NM_REPAIRED;
    w->opts = opts;
    return can;
}

static int64_t largest_by_brute_force(es_world *w, int64_t n)
{
    int64_t largest = 0;

    for (unsigned subset = 1; subset < 1U << n; subset++) {
        int64_t size = 0;

        for (int64_t p = 0; p < n; p++)
            size += subset >> p & 1U;
        if (size > largest && can_repair(w, subset, n))
            largest = size;
    }
    return largest;
}

static void no_larger_set_can_be_repaired(void **state)
{
    static const nm_norm norms[] = {NM_NORM_L2, NM_NORM_FUNCTION, NM_NORM_LINF, NM_NORM_LINF_L1N,
                                    NM_NORM_L1};
    static const double bounds[] = {0.1, 0.3, INFINITY};
    enum { N = 9 };
    int partly = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        es_world w;
        nm_repair_task task = {.repair = &w.repair};
        int64_t largest;

        es_open(&w, seed, N);
        w.bound = bounds[seed % 3];
        w.opts.safe = NM_SAFE_NONE;
        w.opts.margin = 0.05;
        largest = largest_by_brute_force(&w, N);
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) {
            w.opts.norm = norms[i];
            es_repair(&w, &task);
            if (N - w.report.n_unrepaired != largest ||
                (largest < N && w.report.repairable_at_most != largest))
                fail_msg("seed %d, norm %s: %d repaired, at most %d, expected %d", (int)seed,
                         nm_norm_name(norms[i]), (int)(N - w.report.n_unrepaired),
                         (int)w.report.repairable_at_most, (int)largest);
            partly += largest > 0 && largest < N;
        }
        es_close(&w);
    }
    assert_true(partly >= 10);
}

/* Without exact tests: points leave greedily and come back. */
static void greedy_is_below_the_optimum_and_its_bound_above(void **state)
{
    enum { N = 9 };

    (void)state;
    for (uint64_t seed = 0; seed < 4; seed++) {
        es_world w;
        nm_err err = {0};
        nm_plan *plan;
        nm_params *params;
        nm_search *search;
        nm_elastic *elastic;
        nm_search_outcome outcome;
        bool passes[N], right[N] = {false};
        int64_t in = 0, largest;

        es_open(&w, seed, N);
        w.bound = 0.2;
        w.opts.safe = NM_SAFE_NONE;
        w.opts.margin = 0.05;
        largest = largest_by_brute_force(&w, N);
        es_forget(&w);
        nm_search_data data = {.x = w.x, .target = w.labels, .n = N};

        nm_assert_ok(nm_plan_new(w.net, &plan, &err), &err);
        nm_assert_ok(nm_plan_mark_text(plan, "last", NM_FREE_ALL, &err), &err);
        nm_assert_ok(nm_plan_set_bounds(plan, -w.bound, w.bound, &err), &err);
        nm_assert_ok(nm_params_new(plan, &params, &err), &err);
        nm_assert_ok(nm_search_open(w.ctx, w.net, plan, params, &w.opts, &data, &search, &err),
                     &err);
        nm_assert_ok(nm_elastic_open(search, &w.opts, w.x, &elastic, &err), &err);
        for (int64_t p = 0; p < N; p++)
            search->demand.margin[p] = 0.05;
        elastic->max_tests = 0;
        nm_assert_ok(nm_elastic_run(elastic, &outcome, &err), &err);
        for (int64_t p = 0; p < N; p++) {
            passes[p] = !elastic->out[p];
            in += passes[p];
        }
        nm_assert_ok(nm_elastic_report(elastic, passes, right, &w.report, &err), &err);
        assert_true(in <= largest && largest <= w.report.repairable_at_most);
        assert_true(in == 0 || outcome == NM_SEARCH_FOUND);
        nm_elastic_close(elastic);
        nm_search_close(search);
        nm_params_free(params);
        nm_plan_free(plan);
        es_close(&w);
    }
}

static void keep_points_stay_hard(void **state)
{
    static const char *const layers[] = {"last", "0"};

    (void)state;
    for (int i = 0; i < 2; i++)
        for (uint64_t seed = 20; seed < 23; seed++) {
            es_world w;
            nm_repair_task task = {.repair = &w.repair, .keep = &w.keep};

            es_open(&w, seed, 12);
            w.layer = layers[i];
            es_repair(&w, &task);
            assert_true(w.report.outcome == NM_PARTLY || w.report.outcome == NM_REPAIRED);
            assert_int_equal(w.report.keep.right_after, w.report.keep.right_before);
            es_close(&w);
        }
}

static void all_pins_leave_out_what_they_forbid(void **state)
{
    es_world w;
    nm_repair_task task = {.repair = &w.repair};

    (void)state;
    for (uint64_t seed = 30; seed < 33; seed++) {
        es_open(&w, seed, 10);
        w.layer = "0";
        w.opts.method = NM_METHOD_APRNN;
        w.opts.norm = NM_NORM_LINF_L1N;
        es_repair(&w, &task);
        assert_true(w.report.outcome != NM_LIMIT);
        es_close(&w);
    }
}

/* -- why points are left out --------------------------------------------------------------------
 */

static void twins_are_named_and_the_others_repaired(void **state)
{
    static const char *const layers[] = {"last", "0", "0,1"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        es_world w;
        nm_repair_task task = {.repair = &w.repair};

        es_open(&w, 40, 5);
        w.layer = layers[i];
        memcpy(w.x + 4, w.x + 12, 4 * sizeof *w.x); /* 1 and 3 are equal */
        w.labels[1] = 0;
        w.labels[3] = 2;
        es_repair(&w, &task);
        assert_int_equal(w.report.outcome, NM_PARTLY);
        assert_int_equal(w.report.repairable_at_most, 4);
        assert_int_equal(w.report.n_unrepaired, 1);
        assert_true(w.report.unrepaired[0].point == 1 || w.report.unrepaired[0].point == 3);
        assert_int_equal(w.report.unrepaired[0].why, NM_LEFT_CONFLICT);
        assert_int_equal(w.report.conflicts[0].kind, NM_CONFLICT_TWINS);
        es_close(&w);
    }
}

/* Of many equal points the label of most wins. */
static void most_of_many_twins_are_repaired(void **state)
{
    es_world w;
    nm_repair_task task = {.repair = &w.repair};

    (void)state;
    es_open(&w, 41, 20);
    for (int64_t p = 0; p < 20; p++) {
        memcpy(w.x + 4 * p, w.x, 4 * sizeof *w.x);
        w.labels[p] = p < 11 ? 1 : p < 17 ? 2 : 0;
    }
    es_repair(&w, &task);
    assert_int_equal(w.report.outcome, NM_PARTLY);
    assert_int_equal(20 - w.report.n_unrepaired, 11);
    assert_int_equal(w.report.repairable_at_most, 11);
    es_close(&w);
}

static void a_keep_point_of_another_label_wins(void **state)
{
    static const char *const layers[] = {"last", "0"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        es_world w;
        nm_repair_task task = {.repair = &w.repair, .keep = &w.keep};

        es_open(&w, 42, 4);
        w.layer = layers[i];
        memcpy(w.x + 8, w.keep_x + 4, 4 * sizeof *w.x);
        w.labels[2] = (w.keep_labels[1] + 1) % 3;
        es_repair(&w, &task);
        assert_int_equal(w.report.outcome, NM_PARTLY);
        assert_int_equal(w.report.unrepaired[0].point, 2);
        assert_int_equal(w.report.unrepaired[0].why, NM_LEFT_CONFLICT);
        assert_int_equal(w.report.conflicts[w.report.unrepaired[0].conflict].n_keep, 1);
        assert_int_equal(w.report.conflicts[w.report.unrepaired[0].conflict].keep[0], 1);
        /* without elastic: proven, both named */
        w.opts.elastic = false;
        es_repair(&w, &task);
        assert_int_equal(w.report.outcome, NM_INFEASIBLE);
        assert_int_equal(w.report.n_conflict, 1);
        assert_int_equal(w.report.conflict[0], 2);
        assert_int_equal(w.report.conflict_keep[0], 1);
        es_close(&w);
    }
}

static void nothing_at_all_is_infeasible(void **state)
{
    es_world w;
    nm_repair_task task = {.repair = &w.repair};
    const char *path = nm_temp_path(".onnx");
    int64_t classes[4];
    nm_err err = {0};

    (void)state;
    es_open(&w, 43, 4);
    nm_assert_ok(nm_predict(w.ctx, w.net, w.x, 4, classes, &err), &err);
    for (int64_t p = 0; p < 4; p++)
        w.labels[p] = (classes[p] + 1) % 3;
    w.bound = 1e-6;
    w.path = path;
    es_repair(&w, &task);
    assert_int_equal(w.report.outcome, NM_INFEASIBLE);
    assert_int_equal(w.report.repairable_at_most, 0);
    assert_int_equal(w.report.n_unrepaired, 4);
    assert_int_equal(w.report.n_conflict, 1);
    assert_int_not_equal(access(path, F_OK), 0);
    es_close(&w);
}

/* -- the end comes early --------------------------------------------------------------------------
 */

struct stopper {
    nm_ctx *ctx;
    bool cancel;
    int after;
};

/* Stops once a part of the points was found to be repairable. */
static void stop_when_found(void *user, nm_log_level level, const char *line)
{
    struct stopper *s = user;

    (void)level;
    if (!strstr(line, "can be repaired") || s->after-- > 0)
        return;
    if (s->cancel)
        nm_ctx_cancel(s->ctx);
    else
        nm_ctx_set_time_limit(s->ctx, -1);
}

static void what_was_found_before_the_end_is_written(void **state)
{
    int written = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        es_world w;
        nm_repair_task task = {.repair = &w.repair};
        struct stopper stopper = {.cancel = i % 2, .after = i / 4};
        nm_err err = {0};
        nm_status rc;

        es_open(&w, 50 + (uint64_t)i / 2 % 2, 30);
        w.bound = 0.2;
        w.path = nm_temp_path(".onnx");
        stopper.ctx = w.ctx;
        nm_ctx_set_log(w.ctx, stop_when_found, &stopper);
        rc = es_try(&w, &task, &err);
        if (rc == NM_E_CANCELLED) {
            assert_int_not_equal(access(w.path, F_OK), 0);
            assert_non_null(strstr(err.text, "interrupted"));
        } else {
            nm_assert_ok(rc, &err);
            written += w.report.outcome == NM_PARTLY;
            assert_int_equal(access(w.path, F_OK) == 0, w.report.outcome == NM_PARTLY);
            assert_true(w.report.stopped);
            es_check(&w, &task);
            assert_true(isnan(w.report.objective));
        }
        es_close(&w);
    }
    assert_true(written >= 4);
}

static void an_end_before_the_start_writes_nothing(void **state)
{
    es_world w;
    nm_repair_task task = {.repair = &w.repair};
    nm_err err = {0};

    (void)state;
    es_open(&w, 60, 6);
    w.path = nm_temp_path(".onnx");
    nm_ctx_set_time_limit(w.ctx, -1);
    es_repair(&w, &task);
    assert_int_equal(w.report.outcome, NM_LIMIT);
    nm_ctx_cancel(w.ctx);
    assert_int_equal(es_try(&w, &task, &err), NM_E_CANCELLED);
    assert_int_not_equal(access(w.path, F_OK), 0);
    es_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_larger_set_can_be_repaired),
        cmocka_unit_test(greedy_is_below_the_optimum_and_its_bound_above),
        cmocka_unit_test(keep_points_stay_hard),
        cmocka_unit_test(all_pins_leave_out_what_they_forbid),
        cmocka_unit_test(twins_are_named_and_the_others_repaired),
        cmocka_unit_test(most_of_many_twins_are_repaired),
        cmocka_unit_test(a_keep_point_of_another_label_wins),
        cmocka_unit_test(nothing_at_all_is_infeasible),
        cmocka_unit_test(what_was_found_before_the_end_is_written),
        cmocka_unit_test(an_end_before_the_start_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
