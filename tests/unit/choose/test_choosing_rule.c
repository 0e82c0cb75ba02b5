/* The rule by which trials choose a layer, told by hand what they came to. */
#include "choose_support.h"

#include "base/mem.h"
#include "choose/choosing.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_that_are_clearly_lost_outweigh_drift),
        cmocka_unit_test(what_chance_can_do_does_not_count),
        cmocka_unit_test(of_equal_drift_the_later_layer_is_taken),
        cmocka_unit_test(layers_that_do_not_reach_the_points_come_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
