/* Recalling: the same bits as evaluating anew, whatever is known, and only what still holds. */
#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "net/recall.h"

enum { MANY = 300 };

static nm_net *deep_chain(uint64_t seed)
{
    return make_chain(seed, "Relu", (int64_t[]){6, 24, 16, 20, 3}, 4);
}

static float *points_for(const nm_net *net, uint64_t seed)
{
    nm_rng rng = {.seed = seed};
    int64_t size = MANY * nm_net_n_in(net);
    float *x = calloc((size_t)size, sizeof *x);

    assert_non_null(x);
    fill_normal(&rng, x, size);
    return x;
}

static float *scores_in(nm_ctx *in, const nm_net *net, const float *x, int64_t n)
{
    float *scores = calloc((size_t)(n * net->values[net->scores].size), sizeof *scores);
    nm_err err = {0};

    assert_non_null(scores);
    nm_assert_ok(nm_partial_scores(in, net, x, n, scores, &err), &err);
    return scores;
}

static void assert_same_scores(const nm_net *net, const float *x, int64_t n)
{
    float *got = scores_in(ctx, net, x, n), *want;
    nm_ctx *without;

    nm_assert_ok(nm_ctx_new(&without, NULL), &(nm_err){0});
    nm_ctx_set_recall(without, 0);
    want = scores_in(without, net, x, n);
    assert_memory_equal(got, want, (size_t)(n * net->values[net->scores].size) * sizeof *got);
    nm_ctx_free(without);
    free(got);
    free(want);
}

/* The net with the weights of one layer moved. */
static nm_net *edited(const nm_net *net, int layer)
{
    const nm_layer *l = &net->layers[layer];
    double *w = calloc((size_t)l->n_weights, sizeof *w);
    nm_net *copy;
    nm_err err = {0};

    nm_assert_ok(nm_net_clone(net, &copy, &err), &err);
    for (int64_t i = 0; i < l->n_weights; i++)
        w[i] = net->values[l->weight].constant->f64[i] + 0.01 * (double)(i % 5);
    nm_assert_ok(nm_net_set_layer(copy, layer, false, w, &err), &err);
    free(w);
    return copy;
}

static nm_recall *known(void)
{
    return nm_ctx_kept(ctx);
}

/* Adds one to every number that is kept: who takes them gets other scores. */
static void spoil(void)
{
    const nm_recall *r = known();

    for (int64_t p = 0; p < r->n_points; p++)
        for (int i = 0; i < r->n_kept; i++)
            for (int64_t j = 0; j < r->net->values[r->kept[i]].size; j++)
                nm_recall_at(r, p, i)[j] += 1;
}

static bool scores_differ(const nm_net *net, const float *x, int64_t n, const float *from)
{
    float *got = scores_in(ctx, net, x, n);
    bool differ = memcmp(got, from, (size_t)(n * net->values[net->scores].size) * sizeof *got) != 0;

    free(got);
    return differ;
}

static void check_edits(nm_net *net, uint64_t seed)
{
    float *x = points_for(net, seed);

    nm_ctx_set_recall(ctx, 64 << 20);
    assert_same_scores(net, x, 100);
    assert_same_scores(net, x + 40 * nm_net_n_in(net), MANY - 40); /* some known, some not */
    assert_int_equal(known()->n_points, MANY);
    for (int layer = net->n_layers - 1; layer >= 0; layer--) {
        nm_net *other = edited(net, layer);

        assert_same_scores(other, x, MANY);
        assert_same_scores(other, x + 7 * nm_net_n_in(net), 50);
        nm_net_free(other);
    }
    assert_same_scores(net, x, MANY);
    free(x);
    nm_net_free(net);
}

static void recalled_scores_are_those_of_a_full_evaluation_to_the_bit(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 4; seed++) {
        check_edits(deep_chain(seed), seed);
        check_edits(make_residual(seed), seed);
    }
}

static void what_an_edited_layer_gave_is_not_recalled(void **state)
{
    nm_net *net = deep_chain(5);
    float *x = points_for(net, 5);

    (void)state;
    nm_ctx_set_recall(ctx, 64 << 20);
    free(scores_in(ctx, net, x, MANY));
    spoil();
    for (int layer = 0; layer < net->n_layers; layer++) {
        nm_net *other = edited(net, layer);
        nm_ctx *without;
        float *want;

        nm_assert_ok(nm_ctx_new(&without, NULL), &(nm_err){0});
        nm_ctx_set_recall(without, 0);
        want = scores_in(without, other, x, MANY);
        assert_int_equal(scores_differ(other, x, MANY, want), layer > 0);
        nm_ctx_free(without);
        free(want);
        nm_net_free(other);
    }
    nm_net_free(net);
    free(x);
}

static void points_beyond_the_budget_are_evaluated_all_the_same(void **state)
{
    nm_net *net = deep_chain(6);
    nm_rng rng = {.seed = 6};
    enum { LOTS = 3000 };
    float *x = calloc(LOTS * 6, sizeof *x);

    (void)state;
    assert_non_null(x);
    fill_normal(&rng, x, LOTS * 6);
    nm_ctx_set_recall(ctx, 200 << 10);
    assert_same_scores(net, x, LOTS);
    assert_same_scores(net, x, LOTS);
    assert_in_range(known()->n_points, 1, LOTS - 1);
    nm_net_free(net);
    free(x);
}

static void another_net_takes_the_place_of_the_first(void **state)
{
    nm_net *net = deep_chain(7), *other = make_chain(8, "Relu", (int64_t[]){6, 30, 30, 2}, 3);
    float *x = points_for(net, 7);

    (void)state;
    nm_ctx_set_recall(ctx, 64 << 20);
    assert_same_scores(net, x, MANY);
    assert_same_scores(other, x, MANY);
    assert_same_scores(net, x, MANY);
    nm_net_free(net);
    nm_net_free(other);
    free(x);
}

static void a_point_twice_in_a_set_is_kept_once(void **state)
{
    nm_net *net = deep_chain(9);
    float *x = points_for(net, 9);

    (void)state;
    nm_ctx_set_recall(ctx, 64 << 20);
    memcpy(x + 50 * 6, x, 50 * 6 * sizeof *x);
    assert_same_scores(net, x, MANY);
    assert_int_equal(known()->n_points, MANY - 50);
    x[3] += 1e-6F; /* another point */
    assert_same_scores(net, x, MANY);
    assert_int_equal(known()->n_points, MANY - 49);
    nm_net_free(net);
    free(x);
}

static void running_out_of_memory_is_reported_or_does_without(void **state)
{
    nm_net *net = deep_chain(10);
    float *x = points_for(net, 10), *want = scores_in(ctx, net, x, MANY);
    float *got = calloc(MANY * 3, sizeof *got);
    nm_status rc = NM_E_NOMEM;

    (void)state;
    for (long k = 1; rc != NM_OK; k++) {
        nm_err err = {0};

        assert_in_range(k, 1, 1000);
        nm_ctx_set_recall(ctx, 64 << 20);
        nm_mem_fail_at(k);
        rc = nm_partial_scores(ctx, net, x, MANY, got, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        if (rc == NM_OK && k < 100) {
            assert_memory_equal(got, want, MANY * 3 * sizeof *got);
            rc = NM_E_NOMEM; /* on, until no allocation is left to fail */
        }
    }
    free(got);
    free(want);
    free(x);
    nm_net_free(net);
}

/* Two layers behind a pool that repeats its pixels: in part the weights are taken together. */
static void layers_behind_repeated_pixels_give_what_all_their_inputs_do(void **state)
{
    const nm_attr_value attrs[] = {
        {.name = "kernel_shape", .type = NM_ATTR_INTS, .ints = (int64_t[]){2, 2}, .n = 2},
        {.name = "pads", .type = NM_ATTR_INTS, .ints = (int64_t[]){1, 1, 1, 1}, .n = 4}};

    (void)state;
    for (uint64_t seed = 1; seed < 4; seed++) {
        net_maker m = make_net(seed, MAKE_SHAPE(1, 2, 4, 4));
        nm_net *net;
        float *x, *single;
        double *wide, *want;
        nm_err err = {0};
        int64_t n;

        make_conv(&m, 5, 3, 2);
        make_unary(&m, "Relu");
        make_pool(&m, "MaxPool");
        make_op(&m, "AveragePool", &m.at, 1, attrs, 2);
        make_unary(&m, "Flatten");
        make_dense(&m, 7);
        make_unary(&m, "Relu");
        make_dense(&m, 3);
        net = make_done(&m);
        assert_int_equal(net->values[net->ops[net->layers[1].op].in[0]].size, 20); /* of 5 */
        x = points_for(net, seed);
        n = MANY * nm_net_n_in(net);
        wide = calloc((size_t)n, sizeof *wide);
        want = calloc(MANY * 3, sizeof *want);
        assert_non_null(wide);
        assert_non_null(want);
        for (int64_t i = 0; i < n; i++)
            wide[i] = (double)x[i];
        nm_assert_ok(nm_net_forward_f64(ctx, net, wide, MANY, want, &err), &err);
        single = scores_in(ctx, net, x, MANY);
        for (int64_t i = 0; i < MANY * 3; i++) {
            double got = (double)single[i];

            nm_assert_close(&got, &want[i], 1, 1e-5, 1e-5);
        }
        free(x);
        free(single);
        free(wide);
        free(want);
        check_edits(net, seed);
    }
}

/* Rows of what a pool repeats pass a matrix that is as wide as they are long together. */
static void rows_of_repeated_pixels_keep_their_weights(void **state)
{
    const nm_attr_value attrs[] = {
        {.name = "kernel_shape", .type = NM_ATTR_INTS, .ints = (int64_t[]){2, 2}, .n = 2},
        {.name = "pads", .type = NM_ATTR_INTS, .ints = (int64_t[]){1, 1, 1, 1}, .n = 4}};
    net_maker m = make_net(12, MAKE_SHAPE(1, 2, 1, 1));
    double x[] = {0.3, -0.7}, want[16];
    float single[] = {0.3F, -0.7F}, *got;
    nm_net *net;
    nm_err err = {0};
    int shape;

    (void)state;
    make_conv(&m, 2, 1, 1);
    make_op(&m, "AveragePool", &m.at, 1, attrs, 2);
    shape = make_constant(&m, MAKE_SHAPE(3), 0, 0);
    for (int i = 0; i < 3; i++)
        m.net->values[shape].constant->f64[i] = i == 0 ? 1 : 2 * i; /* 1 x 2 x 4 */
    make_op(&m, "Reshape", (int[]){m.at, shape}, 2, NULL, 0);
    make_op(&m, "MatMul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(4, 8), 0, 1)}, 2, NULL, 0);
    make_unary(&m, "Flatten");
    net = make_done(&m);
    nm_assert_ok(nm_net_forward_f64(ctx, net, x, 1, want, &err), &err);
    got = scores_in(ctx, net, single, 1);
    for (int i = 0; i < 16; i++) {
        double value = (double)got[i];

        nm_assert_close(&value, &want[i], 1, 1e-5, 1e-5);
    }
    free(got);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recalled_scores_are_those_of_a_full_evaluation_to_the_bit),
        cmocka_unit_test(what_an_edited_layer_gave_is_not_recalled),
        cmocka_unit_test(points_beyond_the_budget_are_evaluated_all_the_same),
        cmocka_unit_test(another_net_takes_the_place_of_the_first),
        cmocka_unit_test(a_point_twice_in_a_set_is_kept_once),
        cmocka_unit_test(rows_of_repeated_pixels_keep_their_weights),
        cmocka_unit_test(layers_behind_repeated_pixels_give_what_all_their_inputs_do),
        cmocka_unit_test(running_out_of_memory_is_reported_or_does_without),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
