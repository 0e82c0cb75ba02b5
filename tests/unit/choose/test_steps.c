/* Steps of a trial in one layer: where they lead, and what they say of those who are missing. */
#include "choose_support.h"

#include "base/mem.h"
#include "choose/choosing.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_in_the_last_layer_gives_the_margins),
        cmocka_unit_test(steps_through_activations_arrive_or_say_who_is_missing),
        cmocka_unit_test(no_steps_lead_out_of_a_contradiction),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
