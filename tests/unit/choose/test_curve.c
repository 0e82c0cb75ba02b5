/* Curves: what margin and damping cost. */
#include "choose_support.h"

#include <unistd.h>

#include "base/file.h"

static nm_plan *last_layer(const struct world *w)
{
    nm_plan *plan;
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(w->net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(plan, "last", NM_FREE_ALL, &err), &err);
    return plan;
}

static void a_curve_rises_with_the_margin(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){5, 12, 12, 3}, 3), 3);
    nm_curve_opts how = NM_CURVE_OPTS_INIT;
    nm_repair_task task = task_of(&w);
    nm_plan *plan = last_layer(&w);
    const char *path = nm_temp_path(".svg");
    nm_buffer file;
    nm_curve curve;
    nm_err err = {0};
    char *text, *json;

    (void)state;
    how.margin = 0.1;
    task.test = &w.reference;
    nm_assert_ok(nm_curve_run(w.ctx, w.net, plan, &task, &w.opts, &how, &curve, &err), &err);
    assert_int_equal(curve.n, 12);
    for (int i = 0; i < curve.n; i++) {
        assert_int_equal(curve.points[i].outcome, NM_REPAIRED);
        assert_int_equal(curve.points[i].right, 3);
        assert_true(isfinite(curve.points[i].drawdown_points));
    }
    text = nm_curve_text(&curve);
    json = nm_curve_json(&curve);
    assert_non_null(strstr(text, "drawdown"));
    assert_null(strstr(text, "similar"));
    assert_non_null(strstr(json, "\"curve\""));
    nm_assert_ok(nm_curve_svg(&curve, path, &err), &err);
    nm_assert_ok(nm_file_read(path, 1 << 20, &file, &err), &err);
    assert_non_null(strstr((const char *)file.data, "drawdown on the test set"));
    assert_non_null(strstr((const char *)file.data, "</svg>"));
    assert_null(strstr((const char *)file.data, "nan"));
    nm_buffer_free(&file);
    (void)unlink(path);
    nm_string_free(text);
    nm_string_free(json);
    nm_curve_free(&curve);

    w.opts.refine = NM_REFINE_OFF; /* optima of one metric, one after the other */
    nm_assert_ok(nm_curve_run(w.ctx, w.net, plan, &task, &w.opts, &how, &curve, &err), &err);
    for (int i = 1; i < curve.n; i++)
        if (i % 4 != 0)
            assert_true(curve.points[i].objective > curve.points[i - 1].objective);
    nm_curve_free(&curve);
    nm_plan_free(plan);
    close_world(&w);
}

static void a_norm_without_damping_has_one_line(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){5, 12, 3}, 2), 2);
    nm_curve_opts how = NM_CURVE_OPTS_INIT;
    nm_repair_task task = task_of(&w);
    nm_plan *plan = last_layer(&w);
    nm_curve curve;
    nm_err err = {0};

    (void)state;
    how.margin = 0.1;
    w.opts.norm = NM_NORM_L2;
    nm_assert_ok(nm_curve_run(w.ctx, w.net, plan, &task, &w.opts, &how, &curve, &err), &err);
    assert_int_equal(curve.n, 4);
    assert_true(isnan(curve.points[0].damping_factor));
    nm_curve_free(&curve);
    how.margin = 0;
    assert_int_equal(nm_curve_run(w.ctx, w.net, plan, &task, &w.opts, &how, &curve, &err),
                     NM_E_ARG);
    assert_non_null(strstr(err.text, "margin 0"));
    nm_plan_free(plan);
    close_world(&w);
}

static void a_curve_without_repairs_is_not_drawn(void **state)
{
    nm_curve_point points[] = {{.margin = 1, .outcome = NM_LIMIT, .damping_factor = NAN}};
    nm_curve curve = {.points = points, .n = 1};
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_curve_svg(&curve, "none.svg", &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "nothing to draw"));
    assert_int_equal(access("none.svg", F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_curve_rises_with_the_margin),
        cmocka_unit_test(a_norm_without_damping_has_one_line),
        cmocka_unit_test(a_curve_without_repairs_is_not_drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
