/* Choosing a layer on small nets with random weights. */
#include "choose_support.h"

#include "base/mem.h"
#include "choose/choosing.h"

/* A bottleneck of one number: behind it a layer can tell points apart by that number alone. */
static nm_net *bottleneck(void)
{
    return make_chain(7, "Tanh", (int64_t[]){6, 16, 1, 3}, 3);
}

/* -- the predicted cost --------------------------------------------------------------------------
 */

static void a_layer_behind_a_bottleneck_costs_more(void **state)
{
    struct world w = open_world(bottleneck(), 2);

    (void)state;
    choose(&w);
    assert_int_equal(w.choice.n_scores, 3);
    for (int i = 0; i < 2; i++)
        assert_true(w.choice.scores[i].predicted_cost < w.choice.scores[2].predicted_cost);
    assert_true(w.choice.layer < 2);
    assert_true(w.choice.scores[w.choice.layer].chosen);
    assert_int_equal(w.choice.order[0], w.choice.layer);
    close_world(&w);
}

static void a_larger_margin_costs_more_in_every_layer(void **state)
{
    struct world w = open_world(make_residual(5), 3);
    double low[32];

    (void)state;
    w.opts.margin = 0.01;
    choose(&w);
    for (int i = 0; i < w.choice.n_scores; i++)
        low[i] = w.choice.scores[i].predicted_cost;
    w.opts.margin = 0.5;
    choose(&w);
    for (int i = 0; i < w.choice.n_scores; i++)
        if (isfinite(low[i]))
            assert_true(w.choice.scores[i].predicted_cost > low[i]);
    close_world(&w);
}

static void points_that_are_right_cost_nothing_and_the_last_layer_is_taken(void **state)
{
    struct world w = open_world(make_chain(4, "Relu", (int64_t[]){5, 8, 8, 3}, 3), 1);

    (void)state;
    nm_points_free(&w.repair);
    w.repair = random_points(w.net, w.ctx, 1, 5, 0);
    w.opts.margin = 0;
    choose(&w);
    for (int i = 0; i < 3; i++) {
        assert_true(w.choice.scores[i].predicted_cost == 0);
        assert_true(w.choice.scores[i].measured_kl == 0);
        assert_int_equal(w.choice.scores[i].lost, 0);
    }
    assert_int_equal(w.choice.layer, 2);
    close_world(&w);
}

/* -- trials
 * ---------------------------------------------------------------------------------------- */

static void changes_of_scores_are_measured_as_by_hand(void **state)
{
    float before[] = {0, 0, 1, 0, 2, 0}, after[] = {0, (float)log(3), 0, 1, 2, 0};
    int8_t fate[3];
    int64_t labels[] = {0, 1, 0};
    nm_score_change with = nm_scores_compare(before, after, labels, 3, 2, fate);
    nm_score_change without = nm_scores_compare(before, after, NULL, 3, 2, NULL);
    double p = 1 / (1 + exp(-1));
    double first = 0.5 * log(0.5 / 0.25) + 0.5 * log(0.5 / 0.75);
    double wanted = (first + (2 * p - 1) * 1) / 3;

    (void)state;
    nm_assert_close(&with.kl, &wanted, 1, 1e-6, 0);
    assert_int_equal(with.lost, 1);    /* the first; the second was wrong before */
    assert_int_equal(with.gained, 1);  /* and is right now */
    assert_int_equal(without.lost, 2); /* both change class */
    assert_int_equal(without.gained, 0);
    assert_int_equal(fate[0], -1);
    assert_int_equal(fate[1], 1);
    assert_int_equal(fate[2], 0);
}

static void only_the_best_layers_are_tried(void **state)
{
    struct world w = open_world(make_chain(9, "Relu", (int64_t[]){5, 8, 8, 8, 8, 3}, 5), 4);
    int n_tried = 0;
    double worst_tried = 0;

    (void)state;
    w.how.max_trials = 2;
    choose(&w);
    for (int i = 0; i < 5; i++)
        if (w.choice.scores[i].tried) {
            n_tried++;
            worst_tried = fmax(worst_tried, w.choice.scores[i].predicted_cost);
            assert_true(isfinite(w.choice.scores[i].measured_kl));
        }
    assert_int_equal(n_tried, 2);
    for (int i = 0; i < 5; i++)
        if (!w.choice.scores[i].tried)
            assert_true(w.choice.scores[i].predicted_cost >= worst_tried);
    assert_int_equal(w.choice.n_reference + w.choice.n_measured, 120);
    close_world(&w);
}

/* Points that are repaired would make a change look good where it is made. */
static void trials_are_not_measured_on_repair_points(void **state)
{
    struct world w = open_world(make_chain(4, "Relu", (int64_t[]){5, 8, 8, 3}, 3), 4);
    size_t point = 5 * sizeof(float);

    (void)state;
    choose(&w);
    assert_int_equal(w.choice.n_measured, 60);
    memcpy(w.reference.x + 5 * 11, w.repair.x + 5 * 2, point); /* odd ones are measured */
    memcpy(w.reference.x + 5 * 12, w.repair.x, point);
    choose(&w);
    assert_int_equal(w.choice.n_measured, 59);
    close_world(&w);
}

static void trials_want_points_with_labels(void **state)
{
    struct world w = open_world(make_chain(4, "Relu", (int64_t[]){5, 8, 8, 3}, 3), 4);
    nm_points keep = random_points(w.net, w.ctx, 3, 30, 0);
    nm_repair_task task = {.repair = &w.repair, .reference = &w.reference, .keep = &keep};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_choose_layer(w.ctx, w.net, &task, &w.opts, &w.how, &w.choice, &err), &err);
    assert_int_equal(w.choice.n_measured, 60);
    nm_choice_free(&w.choice);
    nm_free(w.reference.labels);
    w.reference.labels = NULL;
    nm_assert_ok(nm_choose_layer(w.ctx, w.net, &task, &w.opts, &w.how, &w.choice, &err), &err);
    assert_int_equal(w.choice.n_measured, 30);
    nm_points_free(&keep);
    close_world(&w);
}

/* -- the choice
 * -------------------------------------------------------------------------------------- */

static void any_number_of_threads_chooses_the_same(void **state)
{
    struct world w = open_world(make_residual(11), 5);
    nm_layer_score first[32];
    int layer;

    (void)state;
    nm_ctx_set_threads(w.ctx, 1);
    choose(&w);
    layer = w.choice.layer;
    memcpy(first, w.choice.scores, (size_t)w.choice.n_scores * sizeof *first);
    nm_ctx_set_threads(w.ctx, 2);
    choose(&w);
    assert_int_equal(w.choice.layer, layer);
    for (int i = 0; i < w.choice.n_scores; i++) {
        const nm_layer_score *s = &w.choice.scores[i];

        assert_memory_equal(&s->predicted_cost, &first[i].predicted_cost, sizeof(double));
        assert_memory_equal(&s->measured_kl, &first[i].measured_kl, sizeof(double));
        assert_int_equal(s->lost, first[i].lost);
    }
    close_world(&w);
}

static void layers_without_a_matrix_are_skipped_with_a_reason(void **state)
{
    struct world w = open_world(make_residual(5), 2);
    int n_skipped = 0;

    (void)state;
    choose(&w);
    for (int i = 0; i < w.choice.n_scores; i++) {
        nm_layer_info info;
        nm_err err = {0};
        bool norm;

        nm_assert_ok(nm_net_layer_info(w.net, i, &info, &err), &err);
        norm = strcmp(info.kind, "BatchNormalization") == 0;
        assert_int_equal(w.choice.scores[i].skipped != NULL, norm);
        assert_int_equal(isnan(w.choice.scores[i].predicted_cost), norm);
        n_skipped += norm;
    }
    assert_int_equal(n_skipped, 2);
    close_world(&w);
}

/* Also: few points, and none but the repair points. */
static void one_point_alone_is_enough(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 1);
    nm_repair_task task = {.repair = &w.repair};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_choose_layer(w.ctx, w.net, &task, &w.opts, &w.how, &w.choice, &err), &err);
    assert_in_range(w.choice.layer, 0, 1);
    assert_true(w.choice.reason[0] != '\0');
    close_world(&w);
}

static void equal_points_with_different_labels_fit_no_layer(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 2);

    (void)state;
    memcpy(w.repair.x + 5, w.repair.x, 5 * sizeof(float));
    w.repair.labels[0] = 0;
    w.repair.labels[1] = 1;
    choose(&w);
    for (int i = 0; i < 2; i++)
        assert_true(isinf(w.choice.scores[i].predicted_cost));
    assert_int_equal(w.choice.layer, 1);
    assert_int_equal(w.choice.n_order, 1);
    close_world(&w);
}

static void assert_refuses(struct world *w, const nm_repair_task *task, nm_status code,
                           const char *words)
{
    nm_choice choice;
    nm_err err = {0};

    assert_int_equal(nm_choose_layer(w->ctx, w->net, task, &w->opts, &w->how, &choice, &err), code);
    if (!strstr(err.text, words))
        fail_msg("message '%s', expected something with '%s'", err.text, words);
    assert_null(choice.scores);
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 2);
    nm_repair_task task = task_of(&w);
    int64_t labels[] = {0, 3}, *own = w.repair.labels;

    (void)state;
    task.targets = labels;
    assert_refuses(&w, &task, NM_E_SHAPE, "label 3, expected 0 to 2");
    task.targets = NULL;
    w.repair.labels = NULL;
    assert_refuses(&w, &task, NM_E_SHAPE, "no labels");
    w.repair.labels = own;
    w.reference.n_in = 4;
    assert_refuses(&w, &task, NM_E_SHAPE, "reference set");
    w.reference.n_in = 5;
    w.opts.method = NM_METHOD_APRNN;
    assert_refuses(&w, &task, NM_E_ARG, "method pointwise");
    w.opts.method = NM_METHOD_POINTWISE;
    w.how.max_repair = 0;
    assert_refuses(&w, &task, NM_E_ARG, "at least one point");
    close_world(&w);
}

static void layers_that_are_all_locked_are_refused(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 2);
    nm_repair_task task = task_of(&w);

    (void)state;
    for (int i = 0; i < w.net->n_layers; i++)
        w.net->layers[i].locked = "its weights are shared";
    assert_refuses(&w, &task, NM_E_ARG, "its weights are shared");
    close_world(&w);
}

static void a_passed_time_limit_still_gives_a_layer(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 2);

    (void)state;
    nm_ctx_set_time_limit(w.ctx, 0);
    choose(&w);
    assert_int_equal(w.choice.layer, 1);
    assert_non_null(strstr(w.choice.reason, "time limit"));
    close_world(&w);
}

/* -- reports
 * ------------------------------------------------------------------------------------------ */

static void reports_name_layers_and_reason(void **state)
{
    struct world w = open_world(make_residual(5), 2);
    char *json, *text;

    (void)state;
    choose(&w);
    json = nm_choice_json(&w.choice);
    text = nm_choice_text(&w.choice);
    assert_non_null(strstr(json, "\"layer_scores\""));
    assert_non_null(strstr(json, "\"predicted_cost\""));
    assert_non_null(strstr(json, w.choice.reason));
    assert_non_null(strstr(text, w.choice.scores[w.choice.layer].name));
    nm_string_free(json);
    nm_string_free(text);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_behind_a_bottleneck_costs_more),
        cmocka_unit_test(a_larger_margin_costs_more_in_every_layer),
        cmocka_unit_test(points_that_are_right_cost_nothing_and_the_last_layer_is_taken),
        cmocka_unit_test(changes_of_scores_are_measured_as_by_hand),
        cmocka_unit_test(only_the_best_layers_are_tried),
        cmocka_unit_test(trials_are_not_measured_on_repair_points),
        cmocka_unit_test(trials_want_points_with_labels),
        cmocka_unit_test(any_number_of_threads_chooses_the_same),
        cmocka_unit_test(layers_without_a_matrix_are_skipped_with_a_reason),
        cmocka_unit_test(one_point_alone_is_enough),
        cmocka_unit_test(equal_points_with_different_labels_fit_no_layer),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(layers_that_are_all_locked_are_refused),
        cmocka_unit_test(a_passed_time_limit_still_gives_a_layer),
        cmocka_unit_test(reports_name_layers_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
