/* Repairs from end to end: what is promised holds in the file, whatever layer, norm or outcome. */
#include "support.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "confirm_repair.h"
#include "netmend/netmend.h"

/* -- material ---------------------------------------------------------------------------- */

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points all; /* labelled points */
    nm_plan *plan;
    nm_repair_opts opts;
    nm_repair_report report;
    nm_net *fixed;
};

static void open_world(struct world *w, const char *net_path, const char *x_path,
                       const char *y_path, const nm_data_opts *data)
{
    nm_err err = {0};

    memset(w, 0, sizeof *w);
    w->opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w->opts.norm = NM_NORM_L2;
    nm_assert_ok(nm_ctx_new(&w->ctx, &err), &err);
    nm_assert_ok(nm_net_load(w->ctx, net_path, &w->net, &err), &err);
    nm_assert_ok(nm_points_load(w->ctx, x_path, y_path, data, &w->all, &err), &err);
}

static void open_moons(struct world *w)
{
    nm_data_opts data = NM_DATA_OPTS_INIT;

    open_world(w, nm_shared("moons/moons_mlp.onnx"), nm_shared("moons/x_all.npy"),
               nm_shared("moons/y_all.npy"), &data);
}

static void open_fog(struct world *w, const char *net)
{
    nm_data_opts data = NM_DATA_OPTS_INIT;

    data.last = 100;
    open_world(w, nm_shared(net), nm_shared("mnist/t10k-fog-images-idx3-ubyte.gz"),
               nm_shared("mnist/t10k-labels-idx1-ubyte.gz"), &data);
}

static void open_cifar(struct world *w, const char *net)
{
    static const double mean[] = {0.4914, 0.4822, 0.4465}, std[] = {0.247, 0.2435, 0.2616};
    nm_data_opts data = NM_DATA_OPTS_INIT;

    data.last = 60;
    data.mean = mean;
    data.std = std;
    data.n_channels = 3;
    open_world(w, nm_shared(net), nm_shared("cifar10/test_batch.bin"), NULL, &data);
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
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

/* The first n wrong (or right) points. */
static void select_points(struct world *w, bool right, int64_t n, nm_points *out)
{
    nm_err err = {0};
    int64_t rows[512], classes[512], found = 0;

    assert_true(w->all.n <= 512);
    nm_assert_ok(nm_predict(w->ctx, w->net, w->all.x, w->all.n, classes, &err), &err);
    for (int64_t p = 0; p < w->all.n && found < n; p++)
        if ((classes[p] == w->all.labels[p]) == right)
            rows[found++] = p;
    nm_assert_ok(nm_points_subset(&w->all, rows, found, out, &err), &err);
}

static void plan_layer(struct world *w, const char *layer)
{
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(w->net, &w->plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(w->plan, layer, NM_FREE_ALL, &err), &err);
}

static void run_repair(struct world *w, const nm_repair_task *task, const char *path)
{
    nm_err err = {0};

    nm_assert_ok(nm_repair_confirmed(w->ctx, w->net, w->plan, task, &w->opts, path, &w->fixed,
                                     &w->report, &err),
                 &err);
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

/* Repairs, then evaluates the file by the public float32 path. */
static void assert_repairs(struct world *w, const char *layer, const nm_points *repair)
{
    nm_err err = {0};
    const char *path = nm_temp_path(".onnx");
    nm_repair_task task = {.repair = repair};
    nm_net *read_back;

    plan_layer(w, layer);
    run_repair(w, &task, path);
    if (w->report.outcome != NM_REPAIRED)
        fail_msg("layer %s, norm %s: %s", layer, nm_norm_name(w->opts.norm), w->report.reason);
    assert_int_equal(w->report.repair.right_after, repair->n);
    nm_assert_ok(nm_net_load(w->ctx, path, &read_back, &err), &err);
    assert_int_equal(count_right(w, read_back, repair), repair->n);
    nm_net_free(read_back);
    forget_result(w);
}

/* -- what is promised -------------------------------------------------------------------- */

static void every_layer_and_norm_repairs_moons(void **state)
{
    static const nm_norm norms[] = {NM_NORM_L2, NM_NORM_L1, NM_NORM_LINF, NM_NORM_LINF_L1N};
    static const char *const layers[] = {"0", "1", "2", "3", "0..", "2.."};
    struct world w;
    nm_points repair;

    (void)state;
    open_moons(&w);
    select_points(&w, false, 8, &repair);
    for (size_t n = 0; n < sizeof norms / sizeof *norms; n++)
        for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
            w.opts.norm = norms[n];
            assert_repairs(&w, layers[l], &repair);
        }
    nm_points_free(&repair);
    close_world(&w);
}

static void smooth_activations_are_repaired_by_steps(void **state)
{
    static const char *const nets[] = {"aprnn/mnist_hardswish_3_100.onnx",
                                       "aprnn/mnist_gelu_3_100.onnx"};
    struct world w;
    nm_points repair;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_fog(&w, nets[i]);
        select_points(&w, false, 5, &repair);
        assert_repairs(&w, "1", &repair);
        assert_repairs(&w, "2", &repair);
        nm_points_free(&repair);
        close_world(&w);
    }
}

static void convolutions_and_residual_nets_are_repaired(void **state)
{
    static const struct {
        const char *net, *layer;
    } cases[] = {{"cifar10/small_cnn_cifar10.onnx", "0"},
                 {"cifar10/small_cnn_cifar10.onnx", "1"},
                 {"cifar10/small_cnn_cifar10.onnx", "-1"},
                 {"cifar10/resnet_tiny_cifar10.onnx", "b3_conv2_Conv"},
                 {"cifar10/resnet_tiny_cifar10.onnx", "b3_bn2_BatchNormalization"}};
    struct world w;
    nm_points repair;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_cifar(&w, cases[i].net);
        select_points(&w, false, 3, &repair);
        assert_repairs(&w, cases[i].layer, &repair);
        nm_points_free(&repair);
        close_world(&w);
    }
}

static void keep_points_stay_right(void **state)
{
    struct world w;
    nm_points repair, keep;
    nm_repair_task task = {.repair = &repair, .keep = &keep};

    (void)state;
    open_moons(&w);
    select_points(&w, false, 5, &repair);
    select_points(&w, true, 200, &keep);
    for (int layer = 1; layer < 3; layer++) {
        plan_layer(&w, layer == 1 ? "1" : "2");
        run_repair(&w, &task, NULL);
        assert_int_equal(w.report.outcome, NM_REPAIRED);
        assert_int_equal(w.report.keep.right_before, 200);
        assert_int_equal(w.report.keep.right_after, 200);
        assert_int_equal(count_right(&w, w.fixed, &keep), 200);
        assert_int_equal(count_right(&w, w.fixed, &repair), repair.n);
        forget_result(&w);
    }
    nm_points_free(&repair);
    nm_points_free(&keep);
    close_world(&w);
}

static void bounds_and_masks_hold_in_the_file(void **state)
{
    struct world w;
    nm_err err = {0};
    nm_points repair;
    nm_repair_task task = {.repair = &repair};
    double before[64 * 32], after[64 * 32];
    uint8_t mask[64 * 32];
    const double bound = 0.1;

    (void)state;
    open_moons(&w);
    select_points(&w, false, 5, &repair);
    for (int i = 0; i < 64 * 32; i++)
        mask[i] = i % 3 != 0;
    nm_assert_ok(nm_plan_new(w.net, &w.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_mask(w.plan, 1, false, mask, 64 * 32, &err), &err);
    nm_assert_ok(nm_plan_set_bounds(w.plan, -bound, bound, &err), &err);
    run_repair(&w, &task, NULL);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    nm_assert_ok(nm_net_get_layer(w.net, 1, false, before, &err), &err);
    nm_assert_ok(nm_net_get_layer(w.fixed, 1, false, after, &err), &err);
    for (int i = 0; i < 64 * 32; i++) {
        assert_true(fabs(after[i] - before[i]) <= bound);
        if (!mask[i])
            assert_true(after[i] == before[i]);
    }
    nm_points_free(&repair);
    close_world(&w);
}

static void a_right_set_leaves_the_file_as_it_is(void **state)
{
    struct world w;
    nm_err err = {0};
    const char *path = nm_temp_path(".onnx");
    nm_points repair;
    nm_buffer old, new;
    nm_repair_task task = {.repair = &repair};

    (void)state;
    open_moons(&w);
    select_points(&w, true, 5, &repair);
    plan_layer(&w, "last");
    run_repair(&w, &task, path);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    assert_int_equal(w.report.n_changed, 0);
    nm_assert_ok(nm_file_read(nm_shared("moons/moons_mlp.onnx"), 1 << 20, &old, &err), &err);
    nm_assert_ok(nm_file_read(path, 1 << 20, &new, &err), &err);
    assert_int_equal(old.n_bytes, new.n_bytes);
    assert_memory_equal(old.data, new.data, old.n_bytes);
    nm_buffer_free(&old);
    nm_buffer_free(&new);
    nm_points_free(&repair);
    close_world(&w);
}

/* -- proper negative answers ------------------------------------------------------------- */

static void equal_points_with_different_labels_are_named(void **state)
{
    struct world w;
    nm_err err = {0};
    const char *path = nm_temp_path(".onnx");
    const int64_t rows[] = {17, 3, 17};
    nm_points repair;
    nm_repair_task task = {.repair = &repair};

    (void)state;
    open_moons(&w);
    nm_assert_ok(nm_points_subset(&w.all, rows, 3, &repair, &err), &err);
    repair.labels[2] = 1 - repair.labels[0];
    plan_layer(&w, "1");
    run_repair(&w, &task, path);
    assert_int_equal(w.report.outcome, NM_INFEASIBLE);
    assert_int_equal(w.report.n_conflict, 2);
    assert_int_equal(w.report.conflict[0], 0);
    assert_int_equal(w.report.conflict[1], 2);
    assert_int_not_equal(access(path, F_OK), 0);
    nm_points_free(&repair);
    close_world(&w);
}

/* Dropping any point of the reported conflict must make the rest feasible: it is irreducible. */
static void conflicts_are_irreducible(void **state)
{
    struct world w;
    nm_err err = {0};
    nm_points repair, rest;
    nm_repair_task task = {.repair = &repair}, rest_task = {.repair = &rest};
    int64_t conflict[32], n_conflict;

    (void)state;
    open_moons(&w);
    select_points(&w, false, 19, &repair);
    w.opts.safe = NM_SAFE_NONE;
    w.opts.margin = 1e-3;
    plan_layer(&w, "last");
    nm_assert_ok(nm_plan_set_bounds(w.plan, -0.1, 0.1, &err), &err);
    run_repair(&w, &task, NULL);
    assert_int_equal(w.report.outcome, NM_INFEASIBLE);
    n_conflict = w.report.n_conflict;
    assert_in_range(n_conflict, 1, 19);
    memcpy(conflict, w.report.conflict, (size_t)n_conflict * sizeof *conflict);
    for (int64_t skip_one = 0; skip_one < n_conflict; skip_one++) {
        int64_t rows[32], n = 0;

        for (int64_t i = 0; i < n_conflict; i++)
            if (i != skip_one)
                rows[n++] = conflict[i];
        if (n == 0)
            break;
        forget_result(&w);
        nm_assert_ok(nm_points_subset(&repair, rows, n, &rest, &err), &err);
        plan_layer(&w, "last");
        nm_assert_ok(nm_plan_set_bounds(w.plan, -0.1, 0.1, &err), &err);
        run_repair(&w, &rest_task, NULL);
        assert_int_equal(w.report.outcome, NM_REPAIRED);
        nm_points_free(&rest);
    }
    nm_points_free(&repair);
    close_world(&w);
}

static void a_keep_point_equal_to_a_repair_point_conflicts(void **state)
{
    struct world w;
    nm_err err = {0};
    const int64_t row = 17, others[] = {5, 17, 9};
    nm_points repair, keep;
    nm_repair_task task = {.repair = &repair, .keep = &keep};

    (void)state;
    open_moons(&w);
    nm_assert_ok(nm_points_subset(&w.all, &row, 1, &repair, &err), &err);
    nm_assert_ok(nm_points_subset(&w.all, others, 3, &keep, &err), &err);
    keep.labels[1] = 1 - repair.labels[0]; /* what the network says now */
    plan_layer(&w, "last");
    run_repair(&w, &task, NULL);
    assert_int_equal(w.report.outcome, NM_INFEASIBLE);
    assert_int_equal(w.report.n_conflict, 1);
    assert_int_equal(w.report.n_conflict_keep, 1);
    assert_int_equal(w.report.conflict_keep[0], 1);
    nm_points_free(&repair);
    nm_points_free(&keep);
    close_world(&w);
}

/* -- limits and refusals ----------------------------------------------------------------- */

static void no_time_is_a_limit_and_writes_nothing(void **state)
{
    struct world w;
    const char *path = nm_temp_path(".onnx");
    nm_points repair;
    nm_repair_task task = {.repair = &repair};

    (void)state;
    open_moons(&w);
    select_points(&w, false, 5, &repair);
    plan_layer(&w, "1");
    nm_ctx_set_time_limit(w.ctx, 0);
    run_repair(&w, &task, path);
    assert_int_equal(w.report.outcome, NM_LIMIT);
    assert_int_not_equal(access(path, F_OK), 0);
    nm_points_free(&repair);
    close_world(&w);
}

/* Each is a network of which the report is not true. */
static void the_confirmation_of_repairs_can_fail(void **state)
{
    struct world w;
    nm_err err = {0};
    nm_points repair, keep;
    nm_repair_task task = {.repair = &repair, .keep = &keep};
    nm_plan *other;

    (void)state;
    open_moons(&w);
    select_points(&w, false, 5, &repair);
    select_points(&w, true, 20, &keep);
    plan_layer(&w, "1");
    run_repair(&w, &task, NULL);
    assert_int_equal(w.report.outcome, NM_REPAIRED);
    nm_assert_ok(nm_plan_new(w.net, &other, &err), &err);
    nm_assert_ok(nm_plan_mark_text(other, "3", NM_FREE_ALL, &err), &err);
    nm_repaired wrong_net = {w.net, w.net, w.plan, &task, &w.opts, &w.report};
    nm_repaired wrong_layer = {w.net, w.fixed, other, &task, &w.opts, &w.report};

    assert_int_not_equal(nm_confirm_repair(&wrong_net, &err), NM_OK);
    err = (nm_err){0};
    assert_int_not_equal(nm_confirm_repair(&wrong_layer, &err), NM_OK);
    nm_plan_free(other);
    nm_points_free(&repair);
    nm_points_free(&keep);
    close_world(&w);
}

static void cancelling_fails_and_writes_nothing(void **state)
{
    struct world w;
    nm_err err = {0};
    const char *path = nm_temp_path(".onnx");
    nm_points repair;
    nm_repair_task task = {.repair = &repair};

    (void)state;
    open_moons(&w);
    select_points(&w, false, 5, &repair);
    plan_layer(&w, "1");
    nm_ctx_cancel(w.ctx);
    assert_int_equal(nm_repair(w.ctx, w.net, w.plan, &task, &w.opts, path, NULL, &w.report, &err),
                     NM_E_CANCELLED);
    assert_int_not_equal(access(path, F_OK), 0);
    nm_points_free(&repair);
    close_world(&w);
}

static void all_pins_need_linear_pieces(void **state)
{
    struct world w;
    nm_err err = {0};
    nm_points repair;
    nm_repair_task task = {.repair = &repair};

    (void)state;
    open_fog(&w, "aprnn/mnist_gelu_3_100.onnx");
    select_points(&w, false, 2, &repair);
    plan_layer(&w, "1");
    w.opts.method = NM_METHOD_APRNN;
    assert_int_equal(nm_repair(w.ctx, w.net, w.plan, &task, &w.opts, NULL, NULL, &w.report, &err),
                     NM_E_ARG);
    assert_non_null(strstr(err.text, "linear pieces"));
    nm_points_free(&repair);
    close_world(&w);
}

static void threads_do_not_change_a_bit(void **state)
{
    double weights[2][64 * 32];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        nm_err err = {0};
        nm_points repair;
        nm_repair_task task = {.repair = &repair};

        open_moons(&w);
        nm_ctx_set_threads(w.ctx, i + 1);
        select_points(&w, false, 10, &repair);
        plan_layer(&w, "1");
        w.opts.norm = NM_NORM_LINF_L1N;
        run_repair(&w, &task, NULL);
        nm_assert_ok(nm_net_get_layer(w.fixed, 1, false, weights[i], &err), &err);
        nm_points_free(&repair);
        close_world(&w);
    }
    assert_memory_equal(weights[0], weights[1], sizeof weights[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layer_and_norm_repairs_moons),
        cmocka_unit_test(smooth_activations_are_repaired_by_steps),
        cmocka_unit_test(convolutions_and_residual_nets_are_repaired),
        cmocka_unit_test(keep_points_stay_right),
        cmocka_unit_test(bounds_and_masks_hold_in_the_file),
        cmocka_unit_test(a_right_set_leaves_the_file_as_it_is),
        cmocka_unit_test(equal_points_with_different_labels_are_named),
        cmocka_unit_test(conflicts_are_irreducible),
        cmocka_unit_test(a_keep_point_equal_to_a_repair_point_conflicts),
        cmocka_unit_test(no_time_is_a_limit_and_writes_nothing),
        cmocka_unit_test(the_confirmation_of_repairs_can_fail),
        cmocka_unit_test(cancelling_fails_and_writes_nothing),
        cmocka_unit_test(all_pins_need_linear_pieces),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
