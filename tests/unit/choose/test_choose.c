/* Choosing a layer, and curves, on small nets with random weights. */
#include "make_net.h"

#include <unistd.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/mem.h"
#include "choose/choosing.h"
#include "netmend/netmend.h"

enum { MAX_POINTS = 200 };

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points repair, reference;
    nm_repair_opts opts;
    nm_choose_opts how;
    nm_choice choice;
};

/* n normal points; label: the class with the (first + 1)-th largest score. */
static nm_points random_points(const nm_net *net, nm_ctx *ctx, uint64_t seed, int64_t n, int rank)
{
    int64_t n_in = nm_net_n_in(net), n_out = nm_net_n_out(net);
    static float x[MAX_POINTS * 128], y[MAX_POINTS * 16];
    int64_t labels[MAX_POINTS];
    nm_rng rng = {.seed = seed};
    nm_points points;
    nm_err err = {0};

    assert_true(n <= MAX_POINTS && n_in <= 128 && n_out <= 16);
    fill_normal(&rng, x, n * n_in);
    nm_assert_ok(nm_net_forward_f32(ctx, net, x, n, y, &err), &err);
    for (int64_t p = 0; p < n; p++)
        for (int64_t j = 0; j < n_out; j++) {
            int above = 0;

            for (int64_t k = 0; k < n_out; k++)
                above += y[p * n_out + k] > y[p * n_out + j];
            if (above == rank)
                labels[p] = j;
        }
    nm_assert_ok(nm_points_from_arrays(x, n, n_in, labels, &points, &err), &err);
    return points;
}

/* Takes over the net. The repair points want the class that comes second. */
static struct world open_world(nm_net *net, int64_t n_repair)
{
    struct world w = {.net = net};
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    w.repair = random_points(net, w.ctx, 1, n_repair, 1);
    w.reference = random_points(net, w.ctx, 2, 120, 0);
    w.opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w.opts.norm = NM_NORM_FUNCTION;
    w.how = (nm_choose_opts)NM_CHOOSE_OPTS_INIT;
    return w;
}

static nm_repair_task task_of(const struct world *w)
{
    return (nm_repair_task){.repair = &w->repair, .reference = &w->reference};
}

static void choose(struct world *w)
{
    nm_repair_task task = task_of(w);
    nm_err err = {0};

    nm_choice_free(&w->choice);
    nm_assert_ok(nm_choose_layer(w->ctx, w->net, &task, &w->opts, &w->how, &w->choice, &err), &err);
}

static void close_world(struct world *w)
{
    nm_choice_free(&w->choice);
    nm_points_free(&w->repair);
    nm_points_free(&w->reference);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

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

/* -- steps --------------------------------------------------------------------------------------
 */

/* What steps in one layer came to, and the margins that the changed network really gives. */
struct walked {
    nm_steps steps;
    double margin[MAX_POINTS];
};

static void measure_margins(const struct world *w, const nm_net *net, double *margin)
{
    int64_t n = w->repair.n, n_out = nm_net_n_out(net);
    static double x[MAX_POINTS * 128], y[MAX_POINTS * 16];
    nm_err err = {0};

    for (int64_t i = 0; i < n * w->repair.n_in; i++)
        x[i] = (double)w->repair.x[i];
    nm_assert_ok(nm_net_forward_f64(w->ctx, net, x, n, y, &err), &err);
    for (int64_t p = 0; p < n; p++) {
        int64_t label = w->repair.labels[p];

        margin[p] = INFINITY;
        for (int64_t j = 0; j < n_out; j++)
            if (j != label)
                margin[p] = fmin(margin[p], y[p * n_out + label] - y[p * n_out + j]);
    }
}

static struct walked walk(const struct world *w, int layer, double margin, int most)
{
    nm_prediction p = {.net = w->net,
                       .x = w->repair.x,
                       .target = w->repair.labels,
                       .n = w->repair.n,
                       .margin = margin,
                       .least_margin = margin,
                       .reference = w->reference.x,
                       .n_reference = w->reference.n,
                       .damping_in = 1e-3,
                       .damping_out = 0.1};
    nm_predictor *predictor = NULL;
    nm_metric metric;
    nm_plan *plan = NULL;
    nm_params *params = NULL;
    nm_net *changed = NULL;
    struct walked out;
    double *delta = NULL;
    nm_err err = {0};

    nm_assert_ok(nm_predictor_open(w->ctx, &p, &layer, 1, &predictor, &err), &err);
    metric = nm_predictor_metric(predictor, 0);
    nm_assert_ok(nm_plan_new(w->net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark(plan, layer, NM_FREE_ALL, &err), &err);
    nm_assert_ok(nm_params_new(plan, &params, &err), &err);
    nm_assert_ok(nm_alloc(&delta, (size_t)params->n, sizeof *delta, &err), &err);
    nm_assert_ok(nm_steps_walk(w->ctx, &p, params, &metric, most, delta, &out.steps, &err), &err);
    nm_assert_ok(nm_net_clone(w->net, &changed, &err), &err);
    nm_assert_ok(nm_params_apply(params, w->net, delta, changed, &err), &err);
    measure_margins(w, changed, out.margin);
    nm_net_free(changed);
    nm_params_free(params);
    nm_plan_free(plan);
    nm_predictor_close(predictor);
    nm_free(delta);
    return out;
}

static int64_t count_below(const struct walked *walked, int64_t n, double margin)
{
    int64_t below = 0;

    for (int64_t p = 0; p < n; p++)
        below += walked->margin[p] < margin - 1e-5;
    return below;
}

/* Behind the last layer everything is affine. */
static void one_step_in_the_last_layer_gives_the_margins(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){5, 12, 12, 3}, 3), 6);
    struct walked walked = walk(&w, 2, 0.25, 12);

    (void)state;
    assert_int_equal(walked.steps.n_steps, 1);
    assert_int_equal(walked.steps.n_missed, 0);
    assert_int_equal(count_below(&walked, 6, 0.25), 0);
    close_world(&w);
}

static void steps_through_activations_arrive_or_say_who_is_missing(void **state)
{
    int arrived = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w = open_world(make_chain(seed, "Relu", (int64_t[]){6, 16, 16, 3}, 3), 10);
        struct walked walked = walk(&w, 0, 0.2, 12);

        assert_int_equal(count_below(&walked, 10, 0.2), walked.steps.n_missed);
        assert_true(walked.steps.n_missed == 0 || walked.steps.stalled ||
                    walked.steps.n_steps == 12);
        arrived += walked.steps.n_missed == 0 && walked.steps.n_steps > 1;
        close_world(&w);
    }
    assert_true(arrived > 0);
}

static void no_steps_lead_out_of_a_contradiction(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){5, 8, 3}, 2), 2);
    struct walked walked;

    (void)state;
    memcpy(w.repair.x + 5, w.repair.x, 5 * sizeof(float));
    w.repair.labels[0] = 0;
    w.repair.labels[1] = 1;
    walked = walk(&w, 0, 0.1, 12);
    assert_true(walked.steps.stalled);
    assert_true(walked.steps.n_missed > 0);
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

/* -- the rule of choice --------------------------------------------------------------------------
 */

enum { RULED = 100 };

/* A trial by hand: so many points lost (from the first on) and gained (from the last on). */
struct told {
    int64_t lost, gained;
    double kl;
    bool stalled;
};

/* The order in which layers are taken of which this is known. */
static void decide(const struct told *told, int n, int *order)
{
    static int8_t fate[8][RULED];
    nm_layer_score scores[8] = {{0}};
    nm_tried tried[8] = {{0}};
    int layers[8];
    nm_choice choice = {.scores = scores, .n_scores = n, .n_measured = RULED};
    nm_choosing c = {
        .choice = &choice, .layers = layers, .n = n, .tried = tried, .measured.n = RULED};
    nm_err err = {0};

    memset(fate, 0, sizeof fate);
    for (int i = 0; i < n; i++) {
        layers[i] = i;
        scores[i] = (nm_layer_score){.layer = i,
                                     .predicted_cost = 1,
                                     .tried = true,
                                     .measured_kl = told[i].kl,
                                     .lost = told[i].lost,
                                     .gained = told[i].gained};
        tried[i] = (nm_tried){.fate = fate[i], .reached = !told[i].stalled};
        for (int64_t p = 0; p < told[i].lost; p++)
            fate[i][p] = -1;
        for (int64_t p = 0; p < told[i].gained; p++)
            fate[i][RULED - 1 - p] = 1;
    }
    nm_assert_ok(nm_choosing_decide(&c, false, &err), &err);
    assert_int_equal(choice.n_order, n);
    assert_int_equal(choice.layer, choice.order[0]);
    memcpy(order, choice.order, (size_t)n * sizeof *order);
    nm_free(choice.order);
}

static void assert_order(const struct told *told, int n, const int *wanted)
{
    int order[8];

    decide(told, n, order);
    assert_memory_equal(order, wanted, (size_t)n * sizeof *order);
}

static void points_that_are_clearly_lost_outweigh_drift(void **state)
{
    (void)state;
    assert_order((struct told[]){{20, 0, 0.001, false}, {2, 0, 0.5, false}}, 2, (int[]){1, 0});
    assert_order((struct told[]){{0, 15, 0.5, false}, {0, 0, 0.001, false}}, 2, (int[]){0, 1});
}

/* 3 points of 100 more are nothing: their paired difference has the standard error sqrt(3). */
static void what_chance_can_do_does_not_count(void **state)
{
    (void)state;
    assert_order((struct told[]){{5, 0, 0.01, false}, {2, 0, 0.5, false}}, 2, (int[]){0, 1});
    assert_order((struct told[]){{7, 0, 0.01, false}, {2, 0, 0.5, false}}, 2, (int[]){1, 0});
}

static void of_equal_drift_the_later_layer_is_taken(void **state)
{
    (void)state;
    assert_order((struct told[]){{0, 0, 0.1, false}, {0, 0, 0.14, false}, {0, 0, 0.3, false}}, 3,
                 (int[]){1, 0, 2});
    assert_order((struct told[]){{0, 0, 1e-7, false}, {0, 0, 1e-4, false}, {0, 0, 1e-3, false}}, 3,
                 (int[]){1, 0, 2});
}

static void layers_that_do_not_reach_the_points_come_last(void **state)
{
    (void)state;
    assert_order((struct told[]){{30, 0, 2, false}, {0, 0, 0, true}}, 2, (int[]){0, 1});
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

/* -- curves
 * ---------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(a_layer_behind_a_bottleneck_costs_more),
        cmocka_unit_test(one_step_in_the_last_layer_gives_the_margins),
        cmocka_unit_test(steps_through_activations_arrive_or_say_who_is_missing),
        cmocka_unit_test(no_steps_lead_out_of_a_contradiction),
        cmocka_unit_test(points_that_are_clearly_lost_outweigh_drift),
        cmocka_unit_test(what_chance_can_do_does_not_count),
        cmocka_unit_test(of_equal_drift_the_later_layer_is_taken),
        cmocka_unit_test(layers_that_do_not_reach_the_points_come_last),
        cmocka_unit_test(trials_are_not_measured_on_repair_points),
        cmocka_unit_test(trials_want_points_with_labels),
        cmocka_unit_test(a_larger_margin_costs_more_in_every_layer),
        cmocka_unit_test(points_that_are_right_cost_nothing_and_the_last_layer_is_taken),
        cmocka_unit_test(changes_of_scores_are_measured_as_by_hand),
        cmocka_unit_test(only_the_best_layers_are_tried),
        cmocka_unit_test(any_number_of_threads_chooses_the_same),
        cmocka_unit_test(layers_without_a_matrix_are_skipped_with_a_reason),
        cmocka_unit_test(one_point_alone_is_enough),
        cmocka_unit_test(equal_points_with_different_labels_fit_no_layer),
        cmocka_unit_test(what_makes_no_sense_is_refused),
        cmocka_unit_test(layers_that_are_all_locked_are_refused),
        cmocka_unit_test(a_passed_time_limit_still_gives_a_layer),
        cmocka_unit_test(reports_name_layers_and_reason),
        cmocka_unit_test(a_curve_rises_with_the_margin),
        cmocka_unit_test(a_norm_without_damping_has_one_line),
        cmocka_unit_test(a_curve_without_repairs_is_not_drawn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
