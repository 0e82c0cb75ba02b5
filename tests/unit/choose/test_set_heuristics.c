/* Set heuristics on the net scores = inputs, where every order is known. */
#include "heuristic_support.h"

/* Points on which class 0 leads by `lead` in score; label as given. */
struct pool {
    nm_ctx *ctx;
    nm_net *net;
    nm_points points;
};

static struct pool open_pool(const double *lead, const int64_t *labels, int64_t n)
{
    struct pool p = {.net = identity_net()};
    float x[64];
    nm_err err = {0};

    assert_true(2 * n <= 64);
    for (int64_t i = 0; i < n; i++) {
        x[2 * i] = (float)lead[i];
        x[2 * i + 1] = 0;
    }
    nm_assert_ok(nm_ctx_new(&p.ctx, &err), &err);
    p.points = make_points(x, labels, n, 2);
    return p;
}

static void close_pool(struct pool *p)
{
    nm_points_free(&p->points);
    nm_net_free(p->net);
    nm_ctx_free(p->ctx);
}

static nm_selection select_seeded(struct pool *p, const char *text, int64_t size, uint64_t seed)
{
    nm_selection s;
    nm_err err = {0};

    nm_assert_ok(nm_select(p->ctx, p->net, &p->points, text, size, seed, &s, &err), &err);
    return s;
}

static void assert_selects(struct pool *p, const char *text, int64_t size, const int64_t *wanted,
                           int64_t n)
{
    nm_selection s = select_seeded(p, text, size, 0);

    if (s.n != n)
        fail_msg("%s: %lld points, wanted %lld", text, (long long)s.n, (long long)n);
    for (int64_t i = 0; i < n; i++)
        if (s.indices[i] != wanted[i])
            fail_msg("%s: place %lld has point %lld, wanted %lld", text, (long long)i,
                     (long long)s.indices[i], (long long)wanted[i]);
    nm_selection_free(&s);
}

#define WANT(...) (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)

/* Right: 0 (by 3), 2 (by 1), 3 (by 0.2); wrong: 1 (by 2), 4 (by 0.4), 5 (by 5). */
static struct pool mixed(void)
{
    return open_pool((double[]){3, 2, -1, 0.2, -0.4, 5}, (int64_t[]){0, 1, 1, 0, 0, 1}, 6);
}

static void all_and_full_dataset_take_every_point(void **state)
{
    struct pool p = mixed();

    (void)state;
    assert_selects(&p, "All", 100, WANT(0, 1, 2, 3, 4, 5));
    assert_selects(&p, "All", 2, WANT(0, 1));
    assert_selects(&p, "FullDataset", 100, WANT(0, 1, 2, 3, 4, 5));
    assert_selects(&p, "FullDataset", 3, WANT(0, 2, 4));
    close_pool(&p);
}

static void wrong_points_come_in_the_order_that_is_asked(void **state)
{
    struct pool p = mixed();

    (void)state;
    assert_selects(&p, "Misclassified", 100, WANT(1, 4, 5));
    assert_selects(&p, "Misclassified:order=closest", 100, WANT(4, 1, 5));
    assert_selects(&p, "Misclassified:order=worst", 2, WANT(5, 1));
    close_pool(&p);
}

static void classes_are_told_by_label_or_by_prediction(void **state)
{
    struct pool p = mixed();

    (void)state;
    assert_selects(&p, "ByClass:class=1", 100, WANT(1, 2, 5));
    assert_selects(&p, "ByClass:class=1,by=predicted", 100, WANT(2, 4));
    close_pool(&p);
}

static void unsure_and_close_points_come_first_if_they_are_worst(void **state)
{
    struct pool p = mixed();

    (void)state;
    /* Probabilities 1 / (1 + exp(-lead)): 0.2 gives 0.55, 0.4 gives 0.60, 1 gives 0.73. */
    assert_selects(&p, "ConfidenceBased", 100, WANT(3, 4));
    assert_selects(&p, "ConfidenceBased:threshold=0.74", 100, WANT(3, 4, 2));
    assert_selects(&p, "BoundarySamples", 100, WANT(3, 4));
    assert_selects(&p, "BoundarySamples:margin=2.5", 100, WANT(3, 4, 2, 1));
    close_pool(&p);
}

static void hard_points_come_by_loss(void **state)
{
    struct pool p = mixed();

    (void)state;
    assert_selects(&p, "HardNegativeMining:percentile=0", 100, WANT(5, 1, 4, 3, 2, 0));
    assert_selects(&p, "HardNegativeMining:percentile=0.5", 100, WANT(5, 1, 4));
    /* The smallest losses first, then the largest, all ascending. */
    assert_selects(&p, "ProgressiveDifficulty", 4, WANT(0, 2, 1, 5));
    assert_selects(&p, "ProgressiveDifficulty:ratio=1", 2, WANT(0, 2));
    assert_selects(&p, "ProgressiveDifficulty:of=misclassified,ratio=0", 2, WANT(1, 5));
    close_pool(&p);
}

static void sure_errors_and_near_misses_are_told_apart(void **state)
{
    struct pool p = mixed();

    (void)state;
    /* Wrong by 5: 0.993; by 2: 0.88 against 0.12; by 0.4: 0.60 against 0.40. */
    assert_selects(&p, "ConfidentWrong", 100, WANT(5, 1));
    assert_selects(&p, "ConfidentWrong:threshold=0.99", 100, WANT(5));
    assert_selects(&p, "Closest", 100, WANT(4));
    assert_selects(&p, "Closest:gap=0.8", 100, WANT(4, 1));
    close_pool(&p);
}

static void equal_scores_keep_the_order_of_the_file(void **state)
{
    struct pool p = open_pool((double[]){1, 1, 2, 1}, (int64_t[]){1, 1, 1, 1}, 4);

    (void)state;
    assert_selects(&p, "HardNegativeMining:percentile=0", 100, WANT(2, 0, 1, 3));
    assert_selects(&p, "BoundarySamples:margin=5", 100, WANT(0, 1, 3, 2));
    close_pool(&p);
}

static void named_points_come_as_named_and_once(void **state)
{
    struct pool p = mixed();
    nm_selection s;
    nm_err err = {0};

    (void)state;
    assert_selects(&p, "Subset:indices=4+1-3+1", 100, WANT(4, 1, 2, 3));
    assert_int_equal(nm_select(p.ctx, p.net, &p.points, "Subset", 9, 0, &s, &err), NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_select(p.ctx, p.net, &p.points, "Subset:indices=6", 9, 0, &s, &err),
                     NM_E_ARG);
    assert_non_null(strstr(err.text, "expected 0 to 5"));
    close_pool(&p);
}

/* A pair far left, a triple far right, one in the middle; at 0 is the point nearest to the mean. */
static void diverse_points_are_far_from_each_other(void **state)
{
    struct pool p =
        open_pool((double[]){-10, -9.5, 0, 9, 9.5, 10}, (int64_t[]){0, 0, 0, 1, 1, 1}, 6);

    (void)state;
    assert_selects(&p, "Diverse:of=all", 3, WANT(2, 0, 5));
    assert_selects(&p, "Diverse:of=all,space=input", 3, WANT(2, 0, 5));
    close_pool(&p);
}

static void clusters_give_their_middle_points_for_any_seed(void **state)
{
    struct pool p =
        open_pool((double[]){-10, -9, -8, 8, 9, 10.5}, (int64_t[]){0, 0, 0, 1, 1, 1}, 6);

    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        nm_selection s = select_seeded(&p, "ClusteringBased:clusters=2,per_cluster=1", 9, seed);

        assert_int_equal(s.n, 2);
        assert_int_equal(s.indices[0] + s.indices[1], 1 + 4);
        nm_selection_free(&s);
    }
    close_pool(&p);
}

static void the_largest_group_of_alike_points_is_found(void **state)
{
    /* Directions from the mean: three point one way, two another, one a third. */
    float x[] = {5, 0, 5.2F, 0.1F, -3, 4, -3.1F, 4.1F, 4.9F, -0.1F, -9, -8.1F};
    struct pool p = {.net = identity_net()};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&p.ctx, &err), &err);
    p.points = make_points(x, (int64_t[]){1, 1, 0, 0, 1, 0}, 6, 2);
    assert_selects(&p, "Similarity:of=all", 9, WANT(0, 1, 4));
    assert_selects(&p, "Similarity:of=all,threshold=-1,space=input", 9, WANT(0, 1, 2, 3, 4, 5));
    close_pool(&p);
}

static void draws_depend_on_the_seed_and_smaller_sets_begin_larger_ones(void **state)
{
    struct pool p = mixed();
    nm_selection few = select_seeded(&p, "Random", 3, 7), all = select_seeded(&p, "Random", 6, 7);
    int64_t sum = 0, same = 0;

    (void)state;
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(few.indices[i], all.indices[i]);
    for (int64_t i = 0; i < 6; i++)
        sum += all.indices[i];
    assert_int_equal(sum, 15);
    for (uint64_t seed = 0; seed < 20; seed++) {
        nm_selection s = select_seeded(&p, "Random", 6, seed);

        same += memcmp(s.indices, all.indices, 6 * sizeof *s.indices) == 0;
        nm_selection_free(&s);
    }
    assert_true(same < 5);
    nm_selection_free(&few);
    nm_selection_free(&all);
    close_pool(&p);
}

/* Features of a convolutional net: heuristics that compare points run, any number of threads the
   same. */
static void convolutional_nets_have_features(void **state)
{
    static const char *const texts[] = {"Diverse:of=all", "Similarity:of=all,threshold=0",
                                        "ClusteringBased", "HardNegativeMining",
                                        "ConfidenceBased:threshold=1"};
    struct pool p = {.net = make_residual(3)};
    float x[20 * 128];
    int64_t labels[20];
    nm_rng rng = {.seed = 5};
    nm_err err = {0};

    (void)state;
    fill_normal(&rng, x, 20 * 128);
    for (int64_t i = 0; i < 20; i++)
        labels[i] = i % 2;
    nm_assert_ok(nm_ctx_new(&p.ctx, &err), &err);
    p.points = make_points(x, labels, 20, 128);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        nm_selection one, two;

        nm_ctx_set_threads(p.ctx, 1);
        one = select_seeded(&p, texts[i], 6, 1);
        nm_ctx_set_threads(p.ctx, 2);
        two = select_seeded(&p, texts[i], 6, 1);
        assert_true(one.n >= 1 && one.n <= 6);
        assert_int_equal(one.n, two.n);
        assert_memory_equal(one.indices, two.indices, (size_t)one.n * sizeof *one.indices);
        assert_memory_equal(one.scores, two.scores, (size_t)one.n * sizeof *one.scores);
        nm_selection_free(&one);
        nm_selection_free(&two);
    }
    close_pool(&p);
}

/* irdnn.md, section 4. */
static void published_sets_are_the_published_ones(void **state)
{
    static const struct {
        const char *text;
        int64_t n, rows[15];
    } sets[] = {
        {"published:Similarity", 1, {17}},
        {"published:Misclassified", 10, {17, 27, 28, 55, 60, 87, 101, 119, 137, 168}},
        {"published:ConfidenceBased",
         15,
         {7, 27, 28, 33, 39, 46, 55, 67, 70, 73, 83, 84, 86, 87, 88}},
        {"published:BoundarySamples",
         15,
         {7, 28, 33, 46, 55, 67, 86, 87, 103, 127, 141, 173, 207, 221, 222}},
        {"published:HardNegativeMining",
         15,
         {265, 257, 168, 17, 291, 60, 250, 210, 119, 264, 27, 137, 101, 173, 87}},
        {"published:ProgressiveDifficulty",
         15,
         {223, 40, 290, 95, 16, 246, 19, 210, 250, 60, 291, 17, 168, 257, 265}},
    };
    struct pool p = {0};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};

    (void)state;
    (void)nm_shared("moons/moons_mlp.onnx");
    nm_assert_ok(nm_ctx_new(&p.ctx, &err), &err);
    nm_assert_ok(nm_net_load(p.ctx, nm_shared("moons/moons_mlp.onnx"), &p.net, &err), &err);
    nm_assert_ok(nm_points_load(p.ctx, nm_shared("moons/x_all.npy"), nm_shared("moons/y_all.npy"),
                                &opts, &p.points, &err),
                 &err);
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        assert_selects(&p, sets[i].text, 1000, sets[i].rows, sets[i].n);
    for (int c = 0; c < 2; c++) {
        nm_selection s =
            select_seeded(&p, c == 0 ? "published:ByClass_Blue" : "published:ByClass_Red", 1000, 0);

        assert_int_equal(s.n, c == 0 ? 160 : 140);
        nm_selection_free(&s);
    }
    close_pool(&p);
}

static void limits_of_parameters_hold(void **state)
{
    (void)state;
    assert_limits_hold(false);
    assert_refused(false, "HardNegativemining", "no set heuristic");
    assert_refused(false, "Closest:gap", "expected key=value");
    assert_refused(false, "Subset:indices=5-3", "expected whole numbers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_and_full_dataset_take_every_point),
        cmocka_unit_test(wrong_points_come_in_the_order_that_is_asked),
        cmocka_unit_test(classes_are_told_by_label_or_by_prediction),
        cmocka_unit_test(unsure_and_close_points_come_first_if_they_are_worst),
        cmocka_unit_test(hard_points_come_by_loss),
        cmocka_unit_test(sure_errors_and_near_misses_are_told_apart),
        cmocka_unit_test(equal_scores_keep_the_order_of_the_file),
        cmocka_unit_test(named_points_come_as_named_and_once),
        cmocka_unit_test(diverse_points_are_far_from_each_other),
        cmocka_unit_test(clusters_give_their_middle_points_for_any_seed),
        cmocka_unit_test(the_largest_group_of_alike_points_is_found),
        cmocka_unit_test(draws_depend_on_the_seed_and_smaller_sets_begin_larger_ones),
        cmocka_unit_test(convolutional_nets_have_features),
        cmocka_unit_test(published_sets_are_the_published_ones),
        cmocka_unit_test(limits_of_parameters_hold),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
