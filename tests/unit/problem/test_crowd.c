/* Crowds: large sets of points in float32, against tails in double and the whole net. */
#include "problem_support.h"

#include "net/partial.h"
#include "problem/crowd.h"

static nm_crowd *open_crowd(const problem *p)
{
    nm_crowd *crowd;
    nm_err err = {0};

    nm_assert_ok(nm_crowd_new(ctx, p->net, p->params, p->x, p->n, &crowd, &err), &err);
    return crowd;
}

static float *scores_of(const problem *p, const nm_crowd *crowd, const double *delta)
{
    float *scores = calloc((size_t)(p->n * p->n_scores), sizeof *scores);
    nm_err err = {0};

    assert_non_null(scores);
    nm_assert_ok(nm_crowd_scores(ctx, crowd, delta, scores, &err), &err);
    return scores;
}

static void assert_scores(const problem *p, const nm_crowd *crowd, const double *delta)
{
    int64_t n = p->n * p->n_scores;
    float *got = scores_of(p, crowd, delta);
    double *want = calloc((size_t)n, sizeof *want);
    nm_err err = {0};

    assert_non_null(want);
    nm_assert_ok(nm_tail_scores(ctx, p->tail, delta, want, &err), &err);
    for (int64_t i = 0; i < n; i++) {
        double score = (double)got[i];

        nm_assert_close(&score, &want[i], 1, 2e-5, 2e-5);
    }
    free(got);
    free(want);
}

/* With the original parameters, with those of the tail, and with others. */
static void check_scores(problem *p)
{
    nm_crowd *crowd = open_crowd(p);
    double *zero = random_step(p, 0), *other = random_step(p, 0.5 / sqrt((double)p->params->n));

    assert_scores(p, crowd, zero);
    assert_scores(p, crowd, p->tail->delta);
    assert_scores(p, crowd, other);
    assert_scores(p, crowd, zero); /* nothing is left of the others */
    nm_free(zero);
    nm_free(other);
    nm_crowd_free(crowd);
}

static void scores_are_those_of_the_tail(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 7);

        check_scores(&p);
        close_problem(&p);
    }
}

static void many_points_are_evaluated_in_blocks(void **state)
{
    static const int64_t widths[] = {5, 9, 8, 7, 4};

    (void)state;
    for (int i = 0; i < 8; i++) {
        static const char *const marks[][3] = {{"0"},      {"1"},   {"2"},  {"last"},
                                               {"1", "3"}, {"0.."}, {"!1"}, {"0,2"}};
        problem p = open_problem(make_chain(3, "Relu", widths, 4), random_points(4, 700 * 5), 700,
                                 marks[i]);

        check_scores(&p);
        close_problem(&p);
    }
}

/* The input itself is the frontier of the first layer; a final Softmax does not count. */
static void scores_stand_before_the_softmax(void **state)
{
    net_maker m = make_net(8, MAKE_SHAPE(1, 6));
    problem p;

    (void)state;
    make_dense(&m, 5);
    make_unary(&m, "Tanh");
    make_dense(&m, 3);
    make_unary(&m, "Softmax");
    p = open_problem(make_done(&m), random_points(8, 40 * 6), 40, edits[0]);
    assert_true(p.net->scores != p.net->output);
    check_scores(&p);
    close_problem(&p);
}

static void the_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 600);
        float *scores[2];

        for (int t = 0; t < 2; t++) {
            nm_ctx_set_threads(ctx, t + 1);
            nm_crowd *crowd = open_crowd(&p);

            scores[t] = scores_of(&p, crowd, p.tail->delta);
            nm_crowd_free(crowd);
        }
        assert_memory_equal(scores[0], scores[1], (size_t)(p.n * p.n_scores) * sizeof *scores[0]);
        free(scores[0]);
        free(scores[1]);
        close_problem(&p);
    }
}

/* The frontier is what the tail has there, to float32; loaded points evaluate to the tail. */
static void loaded_points_are_those_of_the_tail(void **state)
{
    enum { FIRST = 3, N = 4 };

    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 9);
        nm_crowd *crowd = open_crowd(&p);
        nm_tape *tape;
        nm_err err = {0};

        nm_assert_ok(nm_tape_new(p.tail->net, N, NULL, &tape, &err), &err);
        nm_crowd_load(crowd, FIRST, N, tape);
        nm_assert_ok(nm_tape_forward(ctx, tape, crowd->marks.op_mask, false, &err), &err);
        for (int v = 0; v < p.net->n_values; v++) {
            size_t size = (size_t)p.net->values[v].size;

            if (p.tail->at->val[v])
                nm_assert_close(tape->val[v], p.tail->at->val[v] + FIRST * size, N * size, 1e-4,
                                1e-4);
        }
        nm_tape_free(tape);
        nm_crowd_free(crowd);
        close_problem(&p);
    }
}

/* -- partial evaluation -------------------------------------------------------------------- */

/* The net cut at each value in turn: what is given is believed, what is wanted comes out. */
static void what_is_given_is_not_computed(void **state)
{
    static const int64_t widths[] = {4, 6, 5, 3};
    enum { POINTS = 300 };
    nm_net *net = make_chain(9, "Relu", widths, 3);
    nm_rng rng = {.seed = 9};
    float *x = random_points(10, POINTS * 4);
    nm_tape *tape;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_tape_new(net, POINTS, NULL, &tape, &err), &err);
    for (int cut = 0; cut < net->n_values; cut++) {
        const nm_value *value = &net->values[cut];
        const float *given[64] = {NULL};
        float *wanted[64] = {NULL}, *from, *to;
        bool mask[64];
        int64_t n_from = POINTS * value->size, n_to = POINTS * net->values[net->output].size;

        if (value->constant || cut == net->output)
            continue;
        assert_true(net->n_values <= 64 && net->n_ops <= 64);
        from = calloc((size_t)n_from, sizeof *from);
        to = calloc((size_t)n_to, sizeof *to);
        fill_normal(&rng, from, n_from);
        given[cut] = from;
        wanted[net->output] = to;
        for (int i = 0; i < net->n_ops; i++) /* a chain: operators stand in order */
            mask[i] = value->producer < i;
        nm_partial partial = {
            .net = net, .op_mask = mask, .n = POINTS, .given = given, .wanted = wanted};

        nm_assert_ok(nm_partial_run(ctx, &partial, &err), &err);
        for (int64_t k = 0; k < n_from; k++)
            tape->val[cut][k] = (double)from[k];
        nm_assert_ok(nm_tape_forward(ctx, tape, mask, true, &err), &err);
        for (int64_t k = 0; k < n_to; k++) {
            double got = (double)to[k];

            nm_assert_close(&got, &tape->val[net->output][k], 1, 1e-5, 1e-5);
        }
        free(from);
        free(to);
    }
    nm_tape_free(tape);
    nm_net_free(net);
    free(x);
}

static void values_in_between_can_be_wanted_too(void **state)
{
    static const int64_t widths[] = {4, 6, 5, 3};
    enum { POINTS = 20 };
    nm_net *net = make_chain(11, "Relu", widths, 3);
    float *x = random_points(11, POINTS * 4), *wanted[64] = {NULL};
    const float *given[64] = {NULL};
    bool mask[64];
    nm_tape *tape;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_tape_new(net, POINTS, NULL, &tape, &err), &err);
    nm_tape_set_input(tape, x);
    nm_assert_ok(nm_tape_forward(ctx, tape, NULL, true, &err), &err);
    given[net->input] = x;
    for (int i = 0; i < net->n_ops; i++)
        mask[i] = true;
    for (int v = 0; v < net->n_values; v++)
        if (net->values[v].producer >= 0)
            wanted[v] = calloc((size_t)(POINTS * net->values[v].size), sizeof(float));
    nm_partial partial = {
        .net = net, .op_mask = mask, .n = POINTS, .given = given, .wanted = wanted};

    nm_assert_ok(nm_partial_run(ctx, &partial, &err), &err);
    for (int v = 0; v < net->n_values; v++) {
        for (int64_t k = 0; wanted[v] && k < POINTS * net->values[v].size; k++) {
            double got = (double)wanted[v][k];

            nm_assert_close(&got, &tape->val[v][k], 1, 1e-5, 1e-5);
        }
        free(wanted[v]);
    }
    nm_tape_free(tape);
    nm_net_free(net);
    free(x);
}

/* -- failures ------------------------------------------------------------------------------ */

static void failed_allocations_are_reported(void **state)
{
    problem p = residual_problem(edits[0], 3);
    float *scores = calloc((size_t)(p.n * p.n_scores), sizeof *scores);
    nm_status rc = NM_E_NOMEM;
    int n = 0;

    (void)state;
    nm_ctx_set_recall(ctx, 0); /* it does without where memory is short */
    while (rc != NM_OK) {
        nm_crowd *crowd = NULL;
        nm_err err = {0};

        nm_mem_fail_at(++n);
        rc = nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &crowd, &err);
        assert_true((rc == NM_OK) == (crowd != NULL));
        if (rc == NM_OK)
            rc = nm_crowd_scores(ctx, crowd, p.tail->delta, scores, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        nm_crowd_free(crowd);
    }
    assert_true(n > 8);
    free(scores);
    close_problem(&p);
}

static void cancelling_is_heard(void **state)
{
    problem p = residual_problem(edits[0], 3);
    nm_crowd *crowd = NULL;
    nm_err err = {0};

    (void)state;
    nm_ctx_cancel(ctx);
    assert_int_equal(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &crowd, &err), NM_E_CANCELLED);
    assert_null(crowd);
    close_problem(&p);
    nm_ctx_free(ctx);
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_tail),
        cmocka_unit_test(many_points_are_evaluated_in_blocks),
        cmocka_unit_test(scores_stand_before_the_softmax),
        cmocka_unit_test(the_same_bits_for_any_number_of_threads),
        cmocka_unit_test(loaded_points_are_those_of_the_tail),
        cmocka_unit_test(what_is_given_is_not_computed),
        cmocka_unit_test(values_in_between_can_be_wanted_too),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(cancelling_is_heard),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
