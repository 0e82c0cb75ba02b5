/* Edit heuristics on convolutions and residual nets where the right answer is known: channels are
 * neurons, and places count as often as they are. */
#include "edit_support.h"

enum { PLACES = 4, SIDE = 2 };

/* Two planes of 2 x 2 places, two convolutions of one place each, their mean over the places, two
   scores: on images of one colour this is the dense chain 2-2-2-2 at each place. */
static nm_net *colour_net(void)
{
    net_maker m = make_net(8, MAKE_SHAPE(1, 2, SIDE, SIDE));

    make_conv(&m, 2, 1, 1);
    make_unary(&m, "Relu");
    make_conv(&m, 2, 1, 1);
    make_unary(&m, "Relu");
    make_pool(&m, "AveragePool");
    make_unary(&m, "Flatten");
    make_dense(&m, 2);
    return make_done(&m);
}

/* Images of one colour each. @param colours  [n x 2] */
static nm_points images(const float *colours, const int64_t *labels, int64_t n)
{
    float x[8 * 2 * PLACES];

    assert_true(n <= 8);
    for (int64_t i = 0; i < 2 * n; i++)
        for (int64_t place = 0; place < PLACES; place++)
            x[i * PLACES + place] = colours[i];
    return make_points(x, labels, n, 2 * PLACES);
}

static struct world colour_world(const float *repair, const float *usual, int64_t n)
{
    struct world w = {.net = colour_net(), .opts = NM_REPAIR_OPTS_INIT};
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    w.repair = images(repair, (int64_t[8]){1, 1, 1, 1, 1, 1, 1, 1}, n);
    w.reference = images(usual, (int64_t[8]){0}, n);
    w.opts.margin = 0.1;
    return w;
}

static void a_channel_that_only_wakes_at_the_repair_points_is_found(void **state)
{
    struct world w = colour_world(QUIET_REPAIR, QUIET_USUAL, 3);

    (void)state;
    make_quiet(w.net);
    assert_finds_what_wakes(&w);
    close_world(&w);
}

/* Layer 0 has three channels, one of which is dead; of layer 1's four three are. */
static void silent_channels_are_pruned(void **state)
{
    net_maker m = make_net(8, MAKE_SHAPE(1, 2, 4, 4));
    struct world w;
    nm_edit_choice c;
    nm_err err = {0};

    (void)state;
    make_conv(&m, 3, 3, 1);
    make_unary(&m, "Relu");
    make_conv(&m, 4, 3, 1);
    make_unary(&m, "Relu");
    make_unary(&m, "Flatten");
    make_dense(&m, 2);
    w = open_world(make_done(&m), 6);
    nm_assert_ok(nm_net_set_layer(w.net, 0, true, (double[]){50, -100, 50}, &err), &err);
    nm_assert_ok(nm_net_set_layer(w.net, 1, true, (double[]){-1e4, 1e4, -1e4, -1e4}, &err), &err);
    nm_assert_ok(nm_net_set_layer(w.net, 2, true, (double[]){1e7, 0}, &err), &err);
    c = choose(&w, "NeuronPruning");
    nm_assert_close(c.scores, (double[]){2.0 / 3, 0.25, 0.5}, 3, 1e-12, 0);
    assert_int_equal(c.best, 0);
    assert_int_equal(nm_plan_n_free(c.plan), 2 * (2 * 3 * 3 + 1));
    for (int64_t i = 0; i < 3 * 18; i++)
        assert_int_equal(c.plan->mask[0][i], i / 18 != 1);
    assert_int_equal(c.plan->mask[1][1], 0);
    nm_edit_choice_free(&c);
    close_world(&w);
}

static void a_channel_that_blows_up_disturbances_is_found(void **state)
{
    struct world w = colour_world((float[]){10, 0.2F}, (float[]){1, 1}, 1);

    (void)state;
    assert_finds_what_blows_up(&w);
    close_world(&w);
}

/* Channel 0 of layer 0 fires at every point, channel 1 at half of them: not consistent. */
static void only_consistent_channels_contribute(void **state)
{
    struct world w = colour_world((float[]){1, 1, 2, -1}, (float[]){1, 1, 1, 1}, 2);
    nm_edit_choice c;

    (void)state;
    w.repair.labels[0] = w.repair.labels[1] = 0;
    set_layer(w.net, 0, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    set_layer(w.net, 1, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    set_layer(w.net, 2, (double[]){3, 7, 0, 0}, (double[]){0, 1});
    c = choose(&w, "NeuronContribution");
    /* Mean |a dm/da| = 3 (1 + 2) / 2, in four quarters, over 8 numbers; scores 10, 6 and 1, 1. */
    nm_assert_close(c.scores, (double[]){4.5 / 8, 4.5 / 8, (8 + 1) / 2.0}, 3, 1e-6, 0);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* Two images that are one colour behind layer 1 and tell nothing apart from there on. */
static void the_channels_that_make_points_alike_are_found(void **state)
{
    struct world w = colour_world((float[]){1, 0.5F, 1, -2, 1, 1.5F, 1, -1},
                                  (float[]){1, -1, -1, 1, 2, -2, -2, 1}, 4);
    nm_edit_choice c;

    (void)state;
    set_layer(w.net, 0, (double[]){1, 0, 0, 1}, (double[]){3, 3});
    set_layer(w.net, 1, (double[]){1, 0, 1, 0}, (double[]){0, 0}); /* drops the second colour */
    set_layer(w.net, 2, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    c = choose(&w, "FeatureSimilarity");
    assert_true(c.scores[1] > c.scores[0] + 0.1);
    assert_true(c.best >= 1); /* equal from there on: the later layer */
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* A residual block of convolutions that adds next to nothing. */
static nm_net *idle_block(void)
{
    net_maker m = make_net(5, MAKE_SHAPE(1, 2, 4, 4));
    double weights[2 * 2 * 9] = {0};
    nm_net *net;
    int skip;

    make_conv(&m, 2, 3, 1); /* layer 0 */
    skip = m.at;
    make_conv(&m, 2, 3, 1); /* layer 1: the block */
    make_unary(&m, "Relu");
    make_add(&m, skip);
    make_unary(&m, "Flatten");
    make_dense(&m, 2); /* layer 2 */
    net = make_done(&m);
    weights[4] = weights[2 * 9 + 9 + 4] = 1e-6; /* each plane to itself */
    set_layer(net, 1, weights, (double[]){0, 0});
    return net;
}

static void a_block_of_convolutions_that_does_nothing_is_not_important(void **state)
{
    struct world w = open_world(idle_block(), 8);
    nm_edit_choice c = choose(&w, "LayerImportance");

    (void)state;
    assert_true(c.scores[1] < 1e-4);
    assert_true(c.scores[0] > 1e-2 && c.scores[2] > 1e-2);
    nm_edit_choice_free(&c);
    c = choose(&w, "LayerImportance:importance_threshold=0.001");
    assert_true(nm_plan_edits(c.plan, 0) && nm_plan_edits(c.plan, 2) && !nm_plan_edits(c.plan, 1));
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* Behind the block a mask of zeros: what happens in it changes nothing, and repairs nothing. */
static nm_net *unheard_block(void)
{
    net_maker m = make_net(6, MAKE_SHAPE(1, 2, 4, 4));
    nm_net *net;
    int skip;

    make_conv(&m, 2, 3, 1); /* layer 0 */
    make_unary(&m, "Relu");
    skip = m.at;
    make_conv(&m, 3, 3, 1); /* layer 1 */
    make_unary(&m, "Relu");
    make_conv(&m, 2, 3, 1); /* layer 2: hears nothing of it */
    make_add(&m, skip);
    make_unary(&m, "Flatten");
    make_dense(&m, 2); /* layer 3 */
    net = make_done(&m);
    set_layer(net, 2, (double[2 * 3 * 9]){0}, (double[]){0.1, -0.1});
    return net;
}

static void a_convolution_that_is_not_heard_has_no_gradient_and_no_finite_cost(void **state)
{
    struct world w = open_world(unheard_block(), 5);
    nm_edit_choice c = choose(&w, "GradientBased:scale=raw");

    (void)state;
    assert_true(c.scores[1] == 0);
    assert_true(c.scores[0] > 0 && c.scores[2] > 0 && c.scores[3] > 0);
    assert_int_equal(c.order[c.n_order - 1], 1);
    nm_edit_choice_free(&c);
    c = choose(&w, "PredictedCost:norm=l2");
    assert_true(isinf(c.scores[1]) && c.scores[1] < 0);
    assert_true(isfinite(c.scores[0]) && isfinite(c.scores[2]) && isfinite(c.scores[3]));
    nm_edit_choice_free(&c);
    c = choose(&w, "auto");
    assert_int_not_equal(c.best, 1);
    nm_edit_choice_free(&c);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_only_wakes_at_the_repair_points_is_found),
        cmocka_unit_test(silent_channels_are_pruned),
        cmocka_unit_test(a_channel_that_blows_up_disturbances_is_found),
        cmocka_unit_test(only_consistent_channels_contribute),
        cmocka_unit_test(the_channels_that_make_points_alike_are_found),
        cmocka_unit_test(a_block_of_convolutions_that_does_nothing_is_not_important),
        cmocka_unit_test(a_convolution_that_is_not_heard_has_no_gradient_and_no_finite_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
