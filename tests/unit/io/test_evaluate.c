#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/chain.h"
#include "net/op.h"
#include "net/op/dense.h"
#include "netmend/eval.h"

/* A dense net 2 - n_out with the given parameters. */
static nm_net *linear_net(int64_t n_out, const double *weights, const double *biases)
{
    const int64_t widths[] = {2, n_out};
    nm_net *net = NULL;
    nm_err err = {0};

    nm_assert_ok(nm_net_new_chain(widths, 1, &net, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, false, weights, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, true, biases, &err), &err);
    return net;
}

static nm_net *three_classes(double scale)
{
    const double w[] = {scale, 0, 0, scale, -scale, -scale}, b[] = {0, 0, scale / 2};

    return linear_net(3, w, b);
}

/* n random points with random labels below n_classes. */
static nm_points random_points(int64_t n, int64_t n_classes)
{
    nm_rng rng = {.seed = 7};
    nm_points points;
    nm_err err = {0};
    float *x = malloc((size_t)n * 2 * sizeof *x);
    int64_t *labels = malloc((size_t)n * sizeof *labels);

    for (int64_t i = 0; i < 2 * n; i++)
        x[i] = (float)nm_rng_normal(&rng);
    for (int64_t i = 0; i < n; i++)
        labels[i] = (int64_t)nm_rng_below(&rng, (uint64_t)n_classes);
    nm_assert_ok(nm_points_from_arrays(x, n, 2, labels, &points, &err), &err);
    free(x);
    free(labels);
    return points;
}

static nm_ctx *new_ctx(int n_threads)
{
    nm_ctx *ctx;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_ctx_set_threads(ctx, n_threads);
    return ctx;
}

static void two_points_by_hand(void **state)
{
    const float x[] = {1, 0, 0, 2};
    const int64_t labels[] = {0, 0};
    const double w[] = {1, 0, 0, 1}, b[] = {0, 0};
    nm_net *net = linear_net(2, w, b);
    nm_ctx *ctx = new_ctx(1);
    nm_points points;
    nm_eval_report report;
    nm_err err = {0};
    float outputs[4];
    double want = (log(1 + exp(-1.0)) + log(1 + exp(2.0))) / 2;

    (void)state;
    nm_assert_ok(nm_points_from_arrays(x, 2, 2, labels, &points, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, net, &points, false, outputs, &report, &err), &err);
    assert_int_equal(report.n, 2);
    assert_int_equal(report.n_right, 1);
    assert_int_equal(report.class_n[0], 2);
    assert_int_equal(report.class_right[0], 1);
    assert_int_equal(report.class_n[1], 0);
    nm_assert_close(&report.loss, &want, 1, 1e-14, 0);
    nm_assert_close_f32(outputs, x, 4, 0, 0);
    nm_eval_report_free(&report);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void a_sum_over_parts_is_the_whole(void **state)
{
    enum { N = 20000, CUT = 777 };
    nm_net *net = three_classes(1);
    nm_ctx *ctx = new_ctx(2);
    nm_points all = random_points(N, 3), head = all, tail = all;
    nm_eval_report whole, first, second;
    nm_err err = {0};
    double loss;

    (void)state;
    head.n = CUT;
    tail.n = N - CUT;
    tail.x += 2 * CUT;
    tail.labels += CUT;
    nm_assert_ok(nm_evaluate(ctx, net, &all, false, NULL, &whole, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, net, &head, false, NULL, &first, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, net, &tail, false, NULL, &second, &err), &err);
    assert_int_equal(whole.n_right, first.n_right + second.n_right);
    loss = (first.loss * CUT + second.loss * (N - CUT)) / N;
    nm_assert_close(&whole.loss, &loss, 1, 1e-12, 0);
    for (int c = 0; c < 3; c++)
        assert_int_equal(whole.class_right[c], first.class_right[c] + second.class_right[c]);
    nm_eval_report_free(&whole);
    nm_eval_report_free(&first);
    nm_eval_report_free(&second);
    nm_points_free(&all);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void predictions_agree_with_the_count_in_both_precisions(void **state)
{
    enum { N = 9000 };
    nm_net *net = three_classes(1);
    nm_ctx *ctx = new_ctx(2);
    nm_points points = random_points(N, 3);
    nm_eval_report f32, f64;
    int64_t *classes = malloc(N * sizeof *classes);
    int64_t n_right = 0;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_predict(ctx, net, points.x, N, classes, &err), &err);
    for (int64_t i = 0; i < N; i++)
        n_right += classes[i] == points.labels[i];
    nm_assert_ok(nm_evaluate(ctx, net, &points, false, NULL, &f32, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, net, &points, true, NULL, &f64, &err), &err);
    assert_int_equal(f32.n_right, n_right);
    assert_int_equal(f64.n_right, n_right);
    nm_assert_close(&f32.loss, &f64.loss, 1, 1e-6, 0);
    free(classes);
    nm_eval_report_free(&f32);
    nm_eval_report_free(&f64);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

/* three_classes() with a Softmax behind the scores. */
static nm_net *three_probabilities(double scale)
{
    const nm_op_kind *softmax = nm_op_find("Softmax");
    const nm_node_view node = {.op_type = "Softmax", .opset = 13};
    const nm_dense_attr dense = {.alpha = 1, .beta = 1, .trans_b = true};
    const nm_shape x = {.rank = 2, .dim = {1, 2}}, w = {.rank = 2, .dim = {3, 2}},
                   b = {.rank = 1, .dim = {3}};
    const double weights[] = {scale, 0, 0, scale, -scale, -scale}, biases[] = {0, 0, scale / 2};
    nm_tensor *weight, *bias;
    nm_net *net;
    nm_err err = {0};
    int in[3], op;
    void *attr;

    assert_non_null(softmax);
    attr = calloc(1, softmax->attr_bytes + 1);
    if (softmax->parse)
        nm_assert_ok(softmax->parse(&node, attr, &err), &err);
    nm_assert_ok(nm_tensor_new(&weight, &w, NM_F32, &err), &err);
    nm_assert_ok(nm_tensor_new(&bias, &b, NM_F32, &err), &err);
    nm_assert_ok(nm_net_new(&net, &err), &err);
    nm_assert_ok(nm_net_add_value(net, "x", &x, &in[0], &err), &err);
    nm_assert_ok(nm_net_add_constant(net, "w", weight, &in[1], &err), &err);
    nm_assert_ok(nm_net_add_constant(net, "b", bias, &in[2], &err), &err);
    net->input = in[0];
    nm_assert_ok(
        nm_net_add_op(net, &nm_op_dense, "fc", in, 3, "scores", &dense, sizeof dense, &op, &err),
        &err);
    in[0] = net->ops[op].out;
    nm_assert_ok(nm_net_add_op(net, softmax, "softmax", in, 1, "probabilities", attr,
                               softmax->attr_bytes, &op, &err),
                 &err);
    net->output = net->ops[op].out;
    nm_assert_ok(nm_net_finish(net, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, false, weights, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, 0, true, biases, &err), &err);
    free(attr);
    return net;
}

static void a_saturated_softmax_hides_nothing(void **state)
{
    enum { N = 500 };
    nm_net *net = three_classes(1e4);
    nm_net *hidden = three_probabilities(1e4);
    nm_ctx *ctx = new_ctx(1);
    nm_points points = random_points(N, 3);
    nm_eval_report plain, behind;
    float *p = malloc(N * 3 * sizeof *p);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_evaluate(ctx, net, &points, false, NULL, &plain, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, hidden, &points, false, p, &behind, &err), &err);
    assert_int_equal(plain.n_right, behind.n_right);
    assert_true(isfinite(behind.loss));
    nm_assert_close(&behind.loss, &plain.loss, 1, 0, 0);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(p[3 * i] + p[3 * i + 1] + p[3 * i + 2] - 1) < 1e-6F);
    free(p);
    nm_eval_report_free(&plain);
    nm_eval_report_free(&behind);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(hidden);
    nm_net_free(net);
}

static void a_score_that_is_no_number_is_never_right(void **state)
{
    const double w[] = {INFINITY, 0, 0, 1}, b[] = {0, 0};
    const float x[] = {0, -1};
    const int64_t label = 0;
    nm_net *net = linear_net(2, w, b);
    nm_ctx *ctx = new_ctx(1);
    nm_points points;
    nm_eval_report report;
    int64_t predicted = 0;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_points_from_arrays(x, 1, 2, &label, &points, &err), &err);
    nm_assert_ok(nm_predict(ctx, net, x, 1, &predicted, &err), &err);
    assert_int_equal(predicted, -1);
    nm_assert_ok(nm_evaluate(ctx, net, &points, false, NULL, &report, &err), &err);
    assert_int_equal(report.n_right, 0);
    nm_eval_report_free(&report);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void without_labels_only_outputs_are_known(void **state)
{
    const float x[] = {3, 4};
    nm_net *net = three_classes(1);
    nm_ctx *ctx = new_ctx(1);
    nm_points points;
    nm_eval_report report;
    float outputs[3];
    const float want[] = {3, 4, -6.5F};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_points_from_arrays(x, 1, 2, NULL, &points, &err), &err);
    nm_assert_ok(nm_evaluate(ctx, net, &points, true, outputs, &report, &err), &err);
    nm_assert_close_f32(outputs, want, 3, 0, 0);
    assert_int_equal(report.n_right, -1);
    assert_true(isnan(report.accuracy) && isnan(report.loss));
    assert_null(report.class_n);
    nm_eval_report_free(&report);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void points_that_do_not_fit_are_refused(void **state)
{
    const float x[] = {1, 2, 3, 4, 5, 6};
    const int64_t labels[] = {0, 3};
    nm_net *net = three_classes(1);
    nm_ctx *ctx = new_ctx(1);
    nm_points wide, high;
    nm_eval_report report;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_points_from_arrays(x, 2, 3, labels, &wide, &err), &err);
    assert_int_equal(nm_evaluate(ctx, net, &wide, false, NULL, &report, &err), NM_E_SHAPE);
    assert_string_equal(err.text, "the points have 3 numbers each, the network takes 2");
    err = (nm_err){0};
    nm_assert_ok(nm_points_from_arrays(x, 2, 2, labels, &high, &err), &err);
    assert_int_equal(nm_evaluate(ctx, net, &high, false, NULL, &report, &err), NM_E_SHAPE);
    assert_string_equal(err.text, "label 3 of point 1: the network has 3 outputs, 0 to 2");
    nm_points_free(&wide);
    nm_points_free(&high);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

static void a_cancelled_evaluation_stops(void **state)
{
    nm_net *net = three_classes(1);
    nm_ctx *ctx = new_ctx(1);
    nm_points points = random_points(100, 3);
    nm_eval_report report;
    nm_err err = {0};

    (void)state;
    nm_ctx_cancel(ctx);
    assert_int_equal(nm_evaluate(ctx, net, &points, false, NULL, &report, &err), NM_E_CANCELLED);
    nm_points_free(&points);
    nm_ctx_free(ctx);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_points_by_hand),
        cmocka_unit_test(a_sum_over_parts_is_the_whole),
        cmocka_unit_test(predictions_agree_with_the_count_in_both_precisions),
        cmocka_unit_test(a_saturated_softmax_hides_nothing),
        cmocka_unit_test(a_score_that_is_no_number_is_never_right),
        cmocka_unit_test(without_labels_only_outputs_are_known),
        cmocka_unit_test(points_that_do_not_fit_are_refused),
        cmocka_unit_test(a_cancelled_evaluation_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
