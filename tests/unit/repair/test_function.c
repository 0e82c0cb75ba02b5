/* Repairs that minimise what changes in the network's behaviour: what is promised holds in the
   file, whatever layers; what cannot be measured is refused. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "confirm_repair.h"
#include "make_net.h"
#include "netmend/netmend.h"

/* -- material ---------------------------------------------------------------------------- */

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points all, repair, keep; /* all points; wrong ones; right ones */
    nm_plan *plan;
    nm_repair_task task;
    nm_repair_opts opts;
    nm_repair_report report;
    nm_net *fixed;
};

/* The first n points that the net gets right, or wrong; fewer where there are no more. */
static void choose(struct world *w, bool right, int64_t n, nm_points *out)
{
    int64_t *classes = calloc((size_t)w->all.n, sizeof *classes), found = 0;
    int64_t *rows = calloc((size_t)w->all.n, sizeof *rows);
    nm_err err = {0};

    assert_non_null(classes);
    assert_non_null(rows);
    nm_assert_ok(nm_predict(w->ctx, w->net, w->all.x, w->all.n, classes, &err), &err);
    for (int64_t p = 0; p < w->all.n && found < n; p++)
        if ((classes[p] == w->all.labels[p]) == right)
            rows[found++] = p;
    nm_assert_ok(nm_points_subset(&w->all, rows, found, out, &err), &err);
    free(classes);
    free(rows);
}

static void open_world(struct world *w, const char *net, const char *x, const char *y,
                       const nm_data_opts *data, int64_t n_repair, int64_t n_keep)
{
    nm_err err = {0};

    memset(w, 0, sizeof *w);
    w->opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w->opts.norm = NM_NORM_FUNCTION;
    nm_assert_ok(nm_ctx_new(&w->ctx, &err), &err);
    nm_assert_ok(nm_net_load(w->ctx, net, &w->net, &err), &err);
    nm_assert_ok(nm_points_load(w->ctx, x, y, data, &w->all, &err), &err);
    choose(w, false, n_repair, &w->repair);
    choose(w, true, n_keep, &w->keep);
    w->task.repair = &w->repair;
}

static void open_moons(struct world *w, int64_t n_repair, int64_t n_keep)
{
    nm_data_opts data = NM_DATA_OPTS_INIT;

    open_world(w, nm_shared("moons/moons_mlp.onnx"), nm_shared("moons/x_all.npy"),
               nm_shared("moons/y_all.npy"), &data, n_repair, n_keep);
}

static void open_fog(struct world *w, int64_t n_repair, int64_t n_keep)
{
    nm_data_opts data = NM_DATA_OPTS_INIT;

    data.last = 1000;
    open_world(w, nm_shared("aprnn/mnist_relu_3_100.onnx"),
               nm_shared("mnist/t10k-fog-images-idx3-ubyte.gz"),
               nm_shared("mnist/t10k-labels-idx1-ubyte.gz"), &data, n_repair, n_keep);
}

static void open_cifar(struct world *w, const char *net, int64_t n_repair, int64_t n_keep)
{
    static const double mean[] = {0.4914, 0.4822, 0.4465}, std[] = {0.247, 0.2435, 0.2616};
    nm_data_opts data = NM_DATA_OPTS_INIT;

    data.last = 60;
    data.mean = mean;
    data.std = std;
    data.n_channels = 3;
    open_world(w, nm_shared(net), nm_shared("cifar10/test_batch.bin"), NULL, &data, n_repair,
               n_keep);
}

static void forget_result(struct world *w)
{
    nm_repair_report_free(&w->report);
    nm_plan_free(w->plan);
    nm_net_free(w->fixed);
    w->plan = NULL;
    w->fixed = NULL;
}

static void close_world(struct world *w)
{
    forget_result(w);
    nm_points_free(&w->all);
    nm_points_free(&w->repair);
    nm_points_free(&w->keep);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

static void plan_layers(struct world *w, const char *layers, bool joint)
{
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(w->net, &w->plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(w->plan, layers, NM_FREE_ALL, &err), &err);
    if (joint)
        nm_plan_set_joint(w->plan, true);
}

static int64_t count_right(struct world *w, const nm_net *net, const nm_points *points)
{
    nm_err err = {0};
    nm_eval_report eval;
    int64_t n;

    nm_assert_ok(nm_evaluate(w->ctx, net, points, false, NULL, &eval, &err), &err);
    n = eval.n_right;
    nm_eval_report_free(&eval);
    return n;
}

/* Repairs into a file and judges what is read back from it, by the public float32 path. */
static const char *repair(struct world *w, const char *layers, bool joint)
{
    const char *path = nm_temp_path(".onnx");
    nm_net *read_back;
    nm_err err = {0};

    plan_layers(w, layers, joint);
    nm_assert_ok(nm_repair_confirmed(w->ctx, w->net, w->plan, &w->task, &w->opts, path, &w->fixed,
                                     &w->report, &err),
                 &err);
    if (w->report.outcome != NM_REPAIRED)
        fail_msg("layers %s: %s", layers, w->report.reason);
    print_message("layers %s: objective %g, gap %g, %d linearisations, %d rounds, l2 %g\n", layers,
                  w->report.objective, w->report.gap, w->report.linearisations,
                  w->report.solver_rounds, w->report.change_l2);
    assert_string_equal(w->report.solver, "structured");
    assert_int_equal(w->report.repair.right_after, w->repair.n);
    assert_int_equal(w->report.repair.safe_after, w->repair.n);
    if (isnan(w->report.objective)) { /* a sum of steps, which minimises nothing */
        assert_true(isnan(w->report.gap) && isnan(w->report.lower_bound));
    } else {
        assert_true(w->report.gap >= 0 && w->report.gap <= 1e-6);
        assert_true(w->report.lower_bound <= w->report.objective * (1 + 1e-9));
    }
    nm_assert_ok(nm_net_load(w->ctx, path, &read_back, &err), &err);
    assert_int_equal(count_right(w, read_back, &w->repair), w->repair.n);
    if (w->task.keep) {
        assert_int_equal(w->report.keep.right_before, w->keep.n);
        assert_int_equal(w->report.keep.right_after, w->keep.n);
        assert_int_equal(count_right(w, read_back, &w->keep), w->keep.n);
    }
    nm_net_free(read_back);
    return path;
}

/* -- what is promised -------------------------------------------------------------------- */

static void every_layer_of_moons_is_repaired(void **state)
{
    static const char *const layers[] = {"0", "1", "2", "last", "0..", "2.."};
    struct world w;

    (void)state;
    open_moons(&w, 8, 150);
    for (int keep = 0; keep < 3; keep++)
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
            w.task.keep = keep == 1 ? &w.keep : NULL;
            w.task.reference = keep == 2 ? &w.all : NULL;
            repair(&w, layers[i], false);
            forget_result(&w);
        }
    close_world(&w);
}

static void mnist_layers_are_repaired(void **state)
{
    static const char *const layers[] = {"0", "1", "2", "1.."};
    struct world w;

    (void)state;
    open_fog(&w, 10, 200);
    w.task.keep = &w.keep;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        repair(&w, layers[i], false);
        forget_result(&w);
    }
    close_world(&w);
}

/* Weights of several layers change at once, under both norms that go by inner products. */
static void joint_plans_are_repaired(void **state)
{
    static const struct {
        const char *layers;
        bool joint; /* commas say so by themselves */
        int n_layers;
    } cases[] = {{"1,2", false, 2}, {"0..", true, 4}, {"0,last", false, 2}};
    struct world w;

    (void)state;
    open_moons(&w, 8, 150);
    for (int i = 0; i < 6; i++) {
        double before[3 * 2048], after[3 * 2048];
        nm_err err = {0};

        w.opts.norm = i % 2 ? NM_NORM_L2 : NM_NORM_FUNCTION;
        w.task.keep = &w.keep;
        repair(&w, cases[i / 2].layers, cases[i / 2].joint);
        assert_int_equal(w.report.n_layers, cases[i / 2].n_layers);
        for (int l = 0; l < w.report.n_layers; l++) {
            int layer = w.report.layers[l];
            nm_layer_info info;

            nm_assert_ok(nm_net_layer_info(w.net, layer, &info, &err), &err);
            assert_true(info.n_weights <= 3 * 2048);
            nm_assert_ok(nm_net_get_layer(w.net, layer, false, before, &err), &err);
            nm_assert_ok(nm_net_get_layer(w.fixed, layer, false, after, &err), &err);
            assert_memory_not_equal(before, after, (size_t)info.n_weights * sizeof *before);
        }
        forget_result(&w);
    }
    close_world(&w);
}

/* The last layer of these is dense, the first two are convolutions with many and few places. */
static void convolutions_are_repaired(void **state)
{
    static const char *const layers[] = {"0", "1", "last"};
    struct world w;

    (void)state;
    open_cifar(&w, "cifar10/small_cnn_cifar10.onnx", 3, 20);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        w.task.keep = i % 2 ? &w.keep : NULL;
        w.task.reference = &w.all;
        repair(&w, layers[i], false);
        forget_result(&w);
    }
    close_world(&w);
}

static void bounds_hold_in_the_file(void **state)
{
    struct world w;
    double before[64 * 32], after[64 * 32], bound;
    nm_err err = {0};

    (void)state;
    open_moons(&w, 8, 100);
    w.task.reference = &w.all;
    repair(&w, "1", false);
    bound = 0.5 * w.report.change_linf;
    forget_result(&w);
    plan_layers(&w, "1", false);
    nm_assert_ok(nm_plan_set_bounds(w.plan, -bound, bound, &err), &err);
    nm_assert_ok(nm_repair_confirmed(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, &w.fixed,
                                     &w.report, &err),
                 &err);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    nm_assert_ok(nm_net_get_layer(w.net, 1, false, before, &err), &err);
    nm_assert_ok(nm_net_get_layer(w.fixed, 1, false, after, &err), &err);
    for (int i = 0; i < 64 * 32; i++)
        assert_true(fabs(after[i] - before[i]) <= bound);
    close_world(&w);
}

/* The loss on right reference points is what their answers changed by. */
static void answers_elsewhere_change_less_than_under_l2(void **state)
{
    struct world w;
    double changed[2];

    (void)state;
    open_fog(&w, 10, 500);
    w.task.reference = &w.keep;
    for (int i = 0; i < 2; i++) {
        nm_eval_report eval;
        nm_err err = {0};

        w.opts.norm = i ? NM_NORM_L2 : NM_NORM_FUNCTION;
        repair(&w, "1", false);
        nm_assert_ok(nm_evaluate(w.ctx, w.fixed, &w.keep, false, NULL, &eval, &err), &err);
        changed[i] = eval.loss;
        nm_eval_report_free(&eval);
        forget_result(&w);
    }
    print_message("loss on the reference data: %g, with l2 %g\n", changed[0], changed[1]);
    assert_true(changed[0] < changed[1]);
    close_world(&w);
}

/* -- the machine --------------------------------------------------------------------------- */

static void assert_same_files(const char *a, const char *b)
{
    nm_buffer one, two;
    nm_err err = {0};

    nm_assert_ok(nm_file_read(a, 1 << 26, &one, &err), &err);
    nm_assert_ok(nm_file_read(b, 1 << 26, &two, &err), &err);
    assert_int_equal(one.n_bytes, two.n_bytes);
    assert_memory_equal(one.data, two.data, one.n_bytes);
    nm_buffer_free(&one);
    nm_buffer_free(&two);
}

static void threads_do_not_change_a_byte(void **state)
{
    static const struct {
        const char *layers;
        nm_norm norm;
        bool fog;
    } cases[] = {{"1", NM_NORM_FUNCTION, true},
                 {"0", NM_NORM_L2, true},
                 {"1,2", NM_NORM_FUNCTION, true},
                 {"1", NM_NORM_FUNCTION, false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path[2];

        for (int t = 0; t < 2; t++) {
            struct world w;

            if (cases[i].fog)
                open_fog(&w, 10, 700);
            else
                open_cifar(&w, "cifar10/small_cnn_cifar10.onnx", 3, 20);
            nm_ctx_set_threads(w.ctx, t + 1);
            w.opts.norm = cases[i].norm;
            w.task.keep = &w.keep;
            path[t] = repair(&w, cases[i].layers, false);
            close_world(&w);
        }
        assert_same_files(path[0], path[1]);
    }
}

/* -- refusals -------------------------------------------------------------------------------- */

static void refuse(struct world *w, const char *part)
{
    const char *path = nm_temp_path(".onnx");
    nm_err err = {0};

    assert_int_equal(
        nm_repair(w->ctx, w->net, w->plan, &w->task, &w->opts, path, &w->fixed, &w->report, &err),
        NM_E_ARG);
    if (!strstr(err.text, part))
        fail_msg("'%s', expected '%s'", err.text, part);
    assert_null(w->fixed);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void what_cannot_be_measured_is_refused(void **state)
{
    struct world w;
    uint8_t mask[64 * 32] = {1};
    nm_err err = {0};

    (void)state;
    open_moons(&w, 3, 10);
    nm_assert_ok(nm_plan_new(w.net, &w.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_mask(w.plan, 1, false, mask, 64 * 32, &err), &err);
    refuse(&w, "whole dense and convolution layers without groups; expected such a layer and no "
               "mask");
    close_world(&w);

    open_cifar(&w, "cifar10/resnet_tiny_cifar10.onnx", 2, 10);
    plan_layers(&w, "b3_bn2_BatchNormalization", false);
    refuse(&w, "whole dense and convolution layers");
    close_world(&w);
}

static void grouped_convolutions_are_refused(void **state)
{
    net_maker m = make_net(3, MAKE_SHAPE(1, 4, 5, 5));
    const nm_attr_value group = {.name = "group", .type = NM_ATTR_INT, .i = 2};
    float x[200];
    struct world w = {.opts = NM_REPAIR_OPTS_INIT};
    int64_t labels[2];
    nm_err err = {0};

    (void)state;
    make_op(&m, "Conv",
            (int[]){m.at, make_constant(&m, MAKE_SHAPE(4, 2, 3, 3), 0, 1),
                    make_constant(&m, MAKE_SHAPE(4), 0, 1)},
            3, &group, 1);
    make_unary(&m, "Flatten");
    make_dense(&m, 2);
    w.net = make_done(&m);
    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    fill_normal(&m.rng, x, 200);
    nm_assert_ok(nm_predict(w.ctx, w.net, x, 2, labels, &err), &err);
    labels[0] = 1 - labels[0];
    nm_assert_ok(nm_points_from_arrays(x, 2, 100, labels, &w.repair, &err), &err);
    w.task.repair = &w.repair;
    w.opts.norm = NM_NORM_FUNCTION;
    plan_layers(&w, "0", false);
    assert_int_equal(nm_repair(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, NULL, &w.report, &err),
                     NM_E_ARG);
    assert_non_null(strstr(err.text, "convolution layers without groups"));
    w.opts.norm = NM_NORM_L2; /* which needs no matrix */
    err = (nm_err){0};
    nm_assert_ok(nm_repair(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, &w.fixed, &w.report, &err),
                 &err);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    close_world(&w);
}

static void options_that_do_not_go_together_are_refused(void **state)
{
    struct world w;

    (void)state;
    open_moons(&w, 3, 10);
    plan_layers(&w, "1", false);
    w.opts.solver = NM_SOLVER_CLP;
    refuse(&w, "solver clp cannot minimise the function norm");
    w.opts.solver = NM_SOLVER_AUTO;
    w.opts.norm_includes_outputs = true;
    refuse(&w, "norm function cannot include outputs");
    w.opts.norm_includes_outputs = false;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            static const double bad[] = {0, -1, NAN};

            if (i == 0 && isnan(bad[k])) /* as much as float32 blurs */
                continue;
            w.opts.damping_in = i ? 0.1 : bad[k];
            w.opts.damping_out = i ? bad[k] : 0.1;
            refuse(&w, "damping");
        }
    w.opts.damping_in = w.opts.damping_out = 0.1;
    forget_result(&w);
    plan_layers(&w, "1,2", false);
    w.opts.pins = NM_PINS_ALL;
    refuse(&w, "joint plan");
    w.opts.pins = NM_PINS_LAZY;
    w.opts.method = NM_METHOD_APRNN;
    refuse(&w, "joint plan");
    close_world(&w);
}

static void a_reference_set_of_another_size_is_refused(void **state)
{
    struct world w;
    nm_points other = {0};
    nm_err err = {0};

    (void)state;
    open_moons(&w, 3, 10);
    plan_layers(&w, "1", false);
    nm_assert_ok(nm_points_from_arrays((float[]){1, 2, 3}, 1, 3, NULL, &other, &err), &err);
    w.task.reference = &other;
    assert_int_equal(nm_repair(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, NULL, &w.report, &err),
                     NM_E_SHAPE);
    assert_non_null(strstr(err.text, "reference set has 3 numbers per point"));
    nm_points_free(&other);
    close_world(&w);
}

/* Where labels of reference data count, they have to be classes; where not, they may be anything.
 */
static void reference_labels_that_are_no_classes_are_refused(void **state)
{
    static const int64_t wrong[] = {-1, 2, INT64_MAX};
    struct world w;
    nm_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        open_moons(&w, 3, 10);
        plan_layers(&w, "1", false);
        w.task.reference = &w.keep;
        w.keep.labels[w.keep.n - 1] = wrong[i];
        w.opts.refine = NM_REFINE_ON;
        assert_int_equal(
            nm_repair(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, NULL, &w.report, &err),
            NM_E_SHAPE);
        assert_non_null(strstr(err.text, "reference set: point 9 has label"));
        w.opts.label_share = 0;
        nm_assert_ok(nm_repair(w.ctx, w.net, w.plan, &w.task, &w.opts, NULL, NULL, &w.report, &err),
                     &err);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_labels_that_are_no_classes_are_refused),
        cmocka_unit_test(every_layer_of_moons_is_repaired),
        cmocka_unit_test(mnist_layers_are_repaired),
        cmocka_unit_test(joint_plans_are_repaired),
        cmocka_unit_test(convolutions_are_repaired),
        cmocka_unit_test(bounds_hold_in_the_file),
        cmocka_unit_test(answers_elsewhere_change_less_than_under_l2),
        cmocka_unit_test(threads_do_not_change_a_byte),
        cmocka_unit_test(what_cannot_be_measured_is_refused),
        cmocka_unit_test(grouped_convolutions_are_refused),
        cmocka_unit_test(options_that_do_not_go_together_are_refused),
        cmocka_unit_test(a_reference_set_of_another_size_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
