/* Edit heuristics on nets where the right layer is known by construction. */
#include "edit_support.h"

#include "confirm_repair.h"

/* -- by place --------------------------------------------------------------------------------- */

static nm_net *small_cnn(void)
{
    net_maker m = make_net(8, MAKE_SHAPE(1, 2, 8, 8));

    make_conv(&m, 3, 3, 1); /* layer 0 */
    make_unary(&m, "Relu");
    make_pool(&m, "MaxPool");
    make_conv(&m, 4, 3, 1); /* layer 1 */
    make_unary(&m, "Relu");
    make_pool(&m, "AveragePool");
    make_conv(&m, 4, 3, 1); /* layer 2 */
    make_unary(&m, "Relu");
    make_unary(&m, "Flatten");
    make_dense(&m, 6); /* layer 3 */
    make_unary(&m, "Relu");
    make_dense(&m, 5); /* layer 4 */
    make_unary(&m, "Relu");
    make_dense(&m, 3); /* layer 5 */
    return make_done(&m);
}

static void places_are_read_from_the_graph(void **state)
{
    struct world w = open_world(small_cnn(), 4);
    nm_edit_choice c;

    (void)state;
    assert_chooses(&w, "LayerPosition:position=first-dense", 3);
    assert_chooses(&w, "LayerPosition:position=penultimate", 4);
    assert_chooses(&w, "LayerPosition:position=last", 5);
    assert_chooses(&w, "LayerPosition:position=before-pooling", 1);
    assert_chooses(&w, "SingleLayer:layer=2", 2);
    assert_chooses(&w, "SingleLayer", 5);
    c = choose(&w, "FromLayer:layer=-2");
    assert_int_equal(c.best, 4);
    assert_int_equal(nm_plan_n_free(c.plan),
                     6 * 5 + 5 + 3); /* the last layer's weights are inert */
    nm_edit_choice_free(&c);
    c = choose(&w, "LastN:n=3");
    assert_int_equal(c.best, 3);
    assert_true(nm_plan_edits(c.plan, 3) && nm_plan_edits(c.plan, 5) && !nm_plan_edits(c.plan, 2));
    nm_edit_choice_free(&c);
    close_world(&w);
}

static void places_that_do_not_exist_are_refused(void **state)
{
    struct world w = open_world(make_chain(2, "Relu", (int64_t[]){3, 4, 2}, 2), 3);
    nm_repair_task task = {.repair = &w.repair};
    nm_edit_choice c;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_edit_choose(w.ctx, w.net, &task, &w.opts, NULL, NM_FREE_ALL,
                                    "LayerPosition:position=before-pooling", &c, &err),
                     NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_edit_choose(w.ctx, w.net, &task, &w.opts, NULL, NM_FREE_ALL,
                                    "SingleLayer:layer=-3", &c, &err),
                     NM_E_ARG);
    assert_non_null(strstr(err.text, "expected 0 to 1"));
    err = (nm_err){0};
    assert_int_equal(nm_edit_choose(w.ctx, w.net, &task, &w.opts, NULL, NM_FREE_ALL,
                                    "FeatureSimilarity", &c, &err),
                     NM_E_ARG);
    close_world(&w);
}

static void random_layers_follow_the_seed(void **state)
{
    struct world w = open_world(small_cnn(), 2);
    int seen = 0;

    (void)state;
    for (w.opts.seed = 0; w.opts.seed < 40; w.opts.seed++) {
        nm_edit_choice a = choose(&w, "Random:probability=0"), b = choose(&w, "Random");

        assert_memory_equal(a.scores, b.scores, 6 * sizeof *a.scores);
        seen |= 1 << a.best;
        nm_edit_choice_free(&a);
        nm_edit_choice_free(&b);
    }
    assert_int_equal(seen, 63); /* 6 layers, 40 draws */
    nm_edit_choice c = choose(&w, "Random:probability=1");

    for (int i = 0; i < 6; i++)
        assert_true(nm_plan_edits(c.plan, i));
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* -- by activity ------------------------------------------------------------------------------- */

static struct world quiet_neuron(void)
{
    struct world w = {.net = make_chain(4, "Relu", (int64_t[]){2, 2, 2, 2}, 3),
                      .opts = NM_REPAIR_OPTS_INIT};
    nm_err err = {0};

    make_quiet(w.net);
    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    w.repair = make_points(QUIET_REPAIR, (int64_t[]){1, 1, 1}, 3, 2);
    w.reference = make_points(QUIET_USUAL, (int64_t[]){0, 0, 0}, 3, 2);
    w.opts.margin = 0.1;
    return w;
}

static void a_layer_that_only_wakes_at_the_repair_points_is_found(void **state)
{
    struct world w = quiet_neuron();

    (void)state;
    assert_finds_what_wakes(&w);
    close_world(&w);
}

/* Without reference points: variance over squared mean, by hand. */
static void variation_is_that_of_each_neuron(void **state)
{
    struct world w = open_world(identity_net(), 2);
    float x[] = {1, 4, 3, 4};
    nm_edit_choice c;

    (void)state;
    nm_points_free(&w.repair);
    nm_points_free(&w.reference);
    w.repair = make_points(x, (int64_t[]){0, 0}, 2, 2);
    c = choose(&w, "ActivationBased");
    nm_assert_close(&c.scores[0], &(double){1.0 / (4 + 16)}, 1, 1e-9, 0);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* Layer 0 has a dead neuron, layer 1 has none. */
static void silent_neurons_are_pruned(void **state)
{
    struct world w = quiet_neuron();
    nm_edit_choice c;

    (void)state;
    set_layer(w.net, 0, (double[]){1, 0, 0, 1}, (double[]){0, -100});
    set_layer(w.net, 1, (double[]){1, 0, 1, 0}, (double[]){0, -50});
    set_layer(w.net, 2, (double[]){1, 0, 0, 1}, (double[]){-60, 10});
    c = choose(&w, "NeuronPruning");
    nm_assert_close(c.scores, (double[]){0.5, 0.5, 1}, 3, 0, 0);
    assert_int_equal(c.best, 2);
    assert_int_equal(nm_plan_n_free(c.plan), 6);
    nm_edit_choice_free(&c);
    c = choose(&w, "NeuronPruning:activation_threshold=0.9"); /* 10 against 59 */
    nm_assert_close(&c.scores[2], &(double){0.5}, 1, 0, 0);
    assert_int_equal(c.best, 2);
    assert_int_equal(nm_plan_n_free(c.plan), 3);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* -- by sensitivity ---------------------------------------------------------------------------- */

/* Scores = (w x, 0): the loss is log(1 + exp(-+ w x)); all by hand. */
static void gradients_are_those_of_the_mean_loss(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){1, 1, 2}, 2), 1);
    float x = 2;
    double p, g[4];
    nm_edit_choice c;

    (void)state;
    nm_points_free(&w.repair);
    w.repair = make_points(&x, (int64_t[]){1}, 1, 1);
    set_layer(w.net, 0, (double[]){3}, (double[]){0});
    set_layer(w.net, 1, (double[]){0.5, 0}, (double[]){0, 0});
    p = 1 / (1 + exp(-3)); /* of class 0: score 3 */
    g[0] = p * 0.5 * 2;    /* layer 0: weight, bias */
    g[1] = p * 0.5;
    g[2] = p * 6; /* layer 1: weight to class 0 (and minus that to class 1), biases */
    g[3] = p;
    c = choose(&w, "GradientBased:scale=raw");
    nm_assert_close(
        c.scores,
        (double[]){sqrt(g[0] * g[0] + g[1] * g[1]), sqrt(2 * g[2] * g[2] + 2 * g[3] * g[3])}, 2,
        1e-6, 0);
    assert_int_equal(c.best, 1);
    nm_edit_choice_free(&c);
    c = choose(&w, "GradientBased");
    nm_assert_close(&c.scores[0], &(double){3 * sqrt(g[0] * g[0] + g[1] * g[1])}, 1, 1e-6, 0);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* Neuron 0 of layer 0 fires at every point, neuron 1 at half of them: not consistent. */
static void only_consistent_neurons_contribute(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){2, 2, 2}, 2), 1);
    float x[] = {1, 1, 2, -1};
    nm_edit_choice c;

    (void)state;
    nm_points_free(&w.repair);
    w.repair = make_points(x, (int64_t[]){0, 0}, 2, 2);
    set_layer(w.net, 0, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    set_layer(w.net, 1, (double[]){3, 7, 0, 0}, (double[]){0, 1});
    c = choose(&w, "NeuronContribution");
    /* mean |a dm/da| = 3 (1 + 2) / 2 over two neurons; outputs: z0 = 10, 6, z1 = 1, 1 */
    nm_assert_close(c.scores, (double[]){4.5 / 2, (8 + 1) / 2.0}, 2, 1e-6, 0);
    nm_edit_choice_free(&c);
    c = choose(&w, "NeuronContribution:consistency=0.5");
    nm_assert_close(&c.scores[0], &(double){(4.5 + 3.5) / 2}, 1, 1e-6, 0);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* irdnn.md, section 1: 0.0729593334 for the first misclassified point of the moons net. */
static void predicted_cost_is_the_closed_form(void **state)
{
    struct world w = {.opts = NM_REPAIR_OPTS_INIT};
    nm_data_opts data = NM_DATA_OPTS_INIT;
    nm_edit_choice c;
    nm_err err = {0};

    (void)state;
    (void)nm_shared("moons/moons_mlp.onnx");
    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    nm_assert_ok(nm_net_load(w.ctx, nm_shared("moons/moons_mlp.onnx"), &w.net, &err), &err);
    data.first = 17;
    data.last = 18;
    nm_assert_ok(nm_points_load(w.ctx, nm_shared("moons/x_all.npy"), nm_shared("moons/y_all.npy"),
                                &data, &w.repair, &err),
                 &err);
    w.opts.norm = NM_NORM_LINF_L1N;
    w.opts.margin = 1e-3;
    c = choose(&w, "PredictedCost");
    nm_assert_close(&c.scores[3], &(double){-0.0729593334}, 1, 0, 1e-9);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* In every norm, the bound of a last layer is below what the repair takes, and equal for one point
   with one rival. */
static void predicted_costs_bound_the_repair(void **state)
{
    static const char *const texts[] = {"PredictedCost:norm=linf+l1n", "PredictedCost:norm=linf",
                                        "PredictedCost:norm=l1", "PredictedCost:norm=l2"};

    (void)state;
    for (int norm = NM_NORM_LINF_L1N; norm <= NM_NORM_L2; norm++)
        for (int64_t n = 1; n <= 3; n += 2) {
            struct world w = open_world(make_chain(6, "Relu", (int64_t[]){4, 6, 2}, 2), n);
            nm_repair_task task = {.repair = &w.repair};
            nm_repair_report report;
            nm_edit_choice c = choose(&w, texts[norm]);
            nm_plan *plan;
            nm_err err = {0};

            w.opts.norm = (nm_norm)norm;
            w.opts.safe = NM_SAFE_NONE;
            nm_assert_ok(nm_plan_new(w.net, &plan, &err), &err);
            nm_assert_ok(nm_plan_mark(plan, 1, NM_FREE_ALL, &err), &err);
            nm_assert_ok(
                nm_repair_confirmed(w.ctx, w.net, plan, &task, &w.opts, NULL, NULL, &report, &err),
                &err);
            assert_int_equal(report.outcome, NM_REPAIRED);
            assert_true(-c.scores[1] <= report.objective * (1 + 1e-5));
            if (n == 1)
                nm_assert_close(&report.objective, &(double){-c.scores[1]}, 1, 1e-5, 0);
            nm_repair_report_free(&report);
            nm_plan_free(plan);
            nm_edit_choice_free(&c);
            close_world(&w);
        }
}

/* -- by ablation, disturbance, likeness ---------------------------------------------------------
 */

/* scores = (h + 10 x1, 0), where h passes through layer 0 and x1 ... only through layer 0, too: a
   residual net whose block adds next to nothing. */
static nm_net *idle_block(void)
{
    net_maker m = make_net(5, MAKE_SHAPE(1, 3));
    int skip;
    nm_net *net;

    make_dense(&m, 3); /* layer 0 */
    skip = m.at;
    make_dense(&m, 3); /* layer 1: the block */
    make_unary(&m, "Relu");
    make_add(&m, skip);
    make_dense(&m, 2); /* layer 2 */
    net = make_done(&m);
    set_layer(net, 1, (double[]){1e-6, 0, 0, 0, 1e-6, 0, 0, 0, 1e-6}, (double[]){0, 0, 0});
    return net;
}

static void a_block_that_does_nothing_is_not_important(void **state)
{
    struct world w = open_world(idle_block(), 8);
    nm_edit_choice c = choose(&w, "LayerImportance");

    (void)state;
    assert_true(c.scores[1] < 1e-5);
    assert_true(c.scores[0] > 1e-2 && c.scores[2] > 1e-2);
    nm_edit_choice_free(&c);
    c = choose(&w, "LayerImportance:importance_threshold=0.001");
    assert_true(nm_plan_edits(c.plan, 0) && nm_plan_edits(c.plan, 2) && !nm_plan_edits(c.plan, 1));
    nm_edit_choice_free(&c);
    close_world(&w);
}

static void a_layer_that_blows_up_disturbances_is_found(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){2, 2, 2, 2}, 3), 1);

    (void)state;
    nm_points_free(&w.repair);
    w.repair = make_points((float[]){10, 0.2F}, (int64_t[]){1}, 1, 2);
    assert_finds_what_blows_up(&w);
    close_world(&w);
}

/* All repair points look the same behind layer 0, which drops what tells them apart. */
static void the_layer_that_makes_points_alike_is_found(void **state)
{
    struct world w = open_world(make_chain(3, "Tanh", (int64_t[]){3, 2, 2}, 2), 6);
    float repair[6 * 3], usual[12 * 3];
    nm_rng rng = {.seed = 2};
    int64_t labels[12] = {0};
    nm_edit_choice c;

    (void)state;
    nm_points_free(&w.repair);
    nm_points_free(&w.reference);
    for (int i = 0; i < 6; i++) {
        repair[3 * i] = 1;
        repair[3 * i + 1] = 0.5F;
        repair[3 * i + 2] = (float)nm_rng_normal(&rng);
    }
    fill_normal(&rng, usual, 36);
    w.repair = make_points(repair, labels, 6, 3);
    w.reference = make_points(usual, labels, 12, 3);
    set_layer(w.net, 0, (double[]){1, 0, 0, 0, 1, 0}, (double[]){0, 0});
    c = choose(&w, "FeatureSimilarity");
    for (int i = 0; i < 2; i++)
        assert_true(c.scores[i] > 0.5 && c.scores[i] < 1.5); /* cosine 1 against about 0 */
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* A layer behind which the classes still differ in one number that carries all of the gradient. */
static void adversarial_marks_the_parameters_that_are_pulled(void **state)
{
    struct world w = open_world(make_chain(3, "Relu", (int64_t[]){2, 8, 2}, 2), 1);
    double weights[16] = {0}, out[16] = {0}, biases[8];
    float x[] = {1, 0.1F};
    nm_edit_choice c;

    (void)state;
    nm_points_free(&w.repair);
    w.repair = make_points(x, (int64_t[]){1}, 1, 2);
    for (int i = 0; i < 8; i++) {
        weights[2 * i] = 1;
        biases[i] = 0.1;
    }
    out[3] = 10; /* of class 0, neuron 3 alone is heard */
    set_layer(w.net, 0, weights, biases);
    set_layer(w.net, 1, out, (double[]){0, 0});
    c = choose(&w, "Adversarial:layers=all,epsilon=0.01");
    for (int i = 0; i < 16; i++)
        assert_int_equal(c.plan->mask[0][i], i == 6); /* from x0 to neuron 3 */
    for (int i = 0; i < 8; i++)
        assert_int_equal(c.plan->mask[1][i], i == 3);
    nm_edit_choice_free(&c);
    close_world(&w);
}

/* -- all of them --------------------------------------------------------------------------------
 */

/* Every heuristic on a residual net with convolutions and batch normalisation: scores that are the
   same for any number of threads, a plan that frees something, ties to the later layer. */
static void all_run_on_residual_nets(void **state)
{
    (void)state;
    for (int i = 0; nm_edit_heuristic(i); i++) {
        const char *name = nm_edit_heuristic(i)->name;
        struct world w = open_world(make_residual(5), 6);
        nm_edit_choice one, two;

        if (strncmp(name, "published:", 10) == 0) {
            close_world(&w);
            continue;
        }
        nm_ctx_set_threads(w.ctx, 1);
        one = choose(&w, name);
        nm_ctx_set_threads(w.ctx, 2);
        two = choose(&w, name);
        assert_int_equal(one.n_layers, nm_net_n_layers(w.net));
        assert_memory_equal(one.scores, two.scores, (size_t)one.n_layers * sizeof *one.scores);
        assert_int_equal(one.best, two.best);
        assert_true(nm_plan_n_free(one.plan) > 0);
        assert_true(one.n_order > 0 && one.best >= 0);
        /* The advisor's order is that of its trials. */
        assert_true(strcmp(name, "auto") != 0 || one.order[0] == one.best);
        for (int k = 1; k < one.n_order && strcmp(name, "auto") != 0; k++) {
            double a = one.scores[one.order[k - 1]], b = one.scores[one.order[k]];

            assert_true(a > b || (a == b && one.order[k - 1] > one.order[k]));
        }
        nm_edit_choice_free(&one);
        nm_edit_choice_free(&two);
        close_world(&w);
    }
}

static void only_biases_can_be_asked_for(void **state)
{
    struct world w = open_world(small_cnn(), 4);
    nm_edit_choice c;

    (void)state;
    w.free = NM_FREE_BIASES;
    c = choose(&w, "GradientBased");
    assert_int_equal(nm_plan_n_free(c.plan), w.net->layers[c.best].n_biases);
    nm_edit_choice_free(&c);
    c = choose(&w, "WeightsActivationBased");
    assert_true(nm_plan_n_free(c.plan) <= w.net->layers[c.best].n_biases);
    nm_edit_choice_free(&c);
    close_world(&w);
}

static void limits_of_parameters_hold(void **state)
{
    (void)state;
    assert_limits_hold(true);
    assert_refused(true, "nothing", "no edit heuristic");
    assert_refused(true, "published:Adversaria", "no edit heuristic");
    assert_refused(true, "LastN:", "expected key=value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_read_from_the_graph),
        cmocka_unit_test(places_that_do_not_exist_are_refused),
        cmocka_unit_test(random_layers_follow_the_seed),
        cmocka_unit_test(a_layer_that_only_wakes_at_the_repair_points_is_found),
        cmocka_unit_test(variation_is_that_of_each_neuron),
        cmocka_unit_test(silent_neurons_are_pruned),
        cmocka_unit_test(gradients_are_those_of_the_mean_loss),
        cmocka_unit_test(only_consistent_neurons_contribute),
        cmocka_unit_test(predicted_cost_is_the_closed_form),
        cmocka_unit_test(predicted_costs_bound_the_repair),
        cmocka_unit_test(a_block_that_does_nothing_is_not_important),
        cmocka_unit_test(a_layer_that_blows_up_disturbances_is_found),
        cmocka_unit_test(the_layer_that_makes_points_alike_is_found),
        cmocka_unit_test(adversarial_marks_the_parameters_that_are_pulled),
        cmocka_unit_test(all_run_on_residual_nets),
        cmocka_unit_test(only_biases_can_be_asked_for),
        cmocka_unit_test(limits_of_parameters_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
