/* Rows of the repair problem against finite differences of edited networks. */
#include "problem_support.h"

#include "netmend/data.h"

static double row_dot(const problem *p, const double *a, int64_t r, const double *d)
{
    double sum = 0;

    for (int64_t i = 0; i < p->params->n; i++)
        sum += a[r * p->params->n + i] * d[i];
    return sum;
}

static double *make_rows(problem *p, double *value)
{
    double *a = calloc((size_t)(p->n_rows * p->params->n), sizeof *a);
    nm_err err = {0};

    assert_non_null(a);
    nm_assert_ok(nm_rows_make(ctx, p->tail, &p->demand, p->rows, p->n_rows, a, value, &err), &err);
    return a;
}

/* Coefficients against central differences of what the edited network computes. */
static void check_finite_differences(problem *p, const double *a, const double *value)
{
    const double h = 1e-6;
    double *d = random_step(p, 1 / sqrt((double)p->params->n));
    nm_tail *up = tail_at(p, d, h), *down = tail_at(p, d, -h);
    int64_t n_off = 0;

    for (int64_t r = 0; r < p->n_rows; r++) {
        double slope = row_dot(p, a, r, d);
        double difference =
            (row_value(p, &p->rows[r], up) - row_value(p, &p->rows[r], down)) / (2 * h);

        nm_assert_close(&value[r], &(double){row_value(p, &p->rows[r], p->tail)}, 1, 1e-12, 1e-12);
        n_off += !(fabs(slope - difference) <= 1e-5 * (fabs(slope) + 1e-3));
        nm_assert_close(&slope, &difference, 1, 1e-3, 1e-3); /* also where a kink lies within h */
    }
    assert_true(n_off * 20 <= p->n_rows);
    nm_tail_free(up);
    nm_tail_free(down);
    nm_free(d);
}

/* One coordinate at a time, so that no entry hides in a sum. */
static void check_single_coordinates(problem *p, const double *a)
{
    const double h = 1e-6;
    double *d = random_step(p, 0);

    for (int t = 0; t < 12; t++) {
        int64_t i =
            t < 2 ? t * (p->params->n - 1) : (int64_t)nm_rng_below(&p->rng, (uint64_t)p->params->n);
        int64_t n_off = 0;
        nm_tail *up, *down;

        d[i] = 1;
        up = tail_at(p, d, h);
        down = tail_at(p, d, -h);
        d[i] = 0;
        for (int64_t r = 0; r < p->n_rows; r++) {
            double slope = a[r * p->params->n + i];
            double difference =
                (row_value(p, &p->rows[r], up) - row_value(p, &p->rows[r], down)) / (2 * h);

            n_off += !(fabs(slope - difference) <= 1e-5 * (fabs(slope) + 1e-2));
        }
        assert_true(n_off * 20 <= p->n_rows);
        nm_tail_free(up);
        nm_tail_free(down);
    }
    nm_free(d);
}

/* A d = rows of the tangent, to rounding. */
static void check_tangent(problem *p, const double *a)
{
    double *d = random_step(p, 1);
    nm_tape *t;
    nm_err err = {0};

    nm_assert_ok(nm_tail_tangent_new(p->tail, &t, &err), &err);
    nm_assert_ok(nm_tail_tangent(ctx, p->tail, d, t, &err), &err);
    for (int64_t r = 0; r < p->n_rows; r++) {
        const nm_row_id *row = &p->rows[r];
        const double *s = t->val[p->net->scores] + row->point * p->n_scores;
        double got = row_dot(p, a, r, d), want;

        if (row->kind == NM_ROW_PIN) {
            const nm_op *op = &p->net->ops[row->op];
            int64_t shift = row->point * p->net->values[op->in[0]].size;
            nm_pin pin = op->kind->pin(p->net, op, p->tail->at->val[op->in[0]] + shift, row->k);
            const double *z = t->val[op->in[0]] + shift;

            want = pin.sign * (z[pin.plus] - (pin.minus < 0 ? 0 : z[pin.minus]));
        } else {
            want = row->kind == NM_ROW_OUTPUT ? s[row->k]
                                              : s[p->demand.target[row->point]] - s[row->k];
        }
        nm_assert_close(&got, &want, 1, 1e-9, 1e-9);
    }
    nm_tape_free(t);
    nm_free(d);
}

/* True scores against the edited network, evaluated whole. */
static void check_scores(problem *p)
{
    size_t n = (size_t)(p->n * p->n_scores);
    double *x = calloc((size_t)(p->n * p->n_in), sizeof *x), *want = calloc(n, sizeof *want);
    double *got = calloc(n, sizeof *got), *d = random_step(p, 0.01);
    nm_net *edited;
    nm_tail *lean;
    nm_err err = {0};

    for (int64_t i = 0; i < p->n * p->n_in; i++)
        x[i] = (double)p->x[i];
    nm_assert_ok(nm_net_clone(p->net, &edited, &err), &err);
    nm_assert_ok(nm_params_apply(p->params, p->net, d, edited, &err), &err);
    nm_assert_ok(nm_net_forward_f64(ctx, edited, x, p->n, want, &err), &err);
    nm_assert_ok(nm_tail_scores(ctx, p->tail, d, got, &err), &err);
    nm_assert_close(got, want, n, 1e-10, 1e-10);
    nm_assert_ok(nm_tail_new(ctx, p->net, p->params, p->x, p->n, true, &lean, &err), &err);
    nm_assert_ok(nm_tail_scores(ctx, lean, d, got, &err), &err);
    nm_assert_close(got, want, n, 1e-10, 1e-10);
    nm_tail_free(lean);
    nm_net_free(edited);
    free(x);
    free(want);
    free(got);
    nm_free(d);
}

static void check_problem(problem *p)
{
    double value[MAX_ROWS], *a;

    choose_rows(p);
    a = make_rows(p, value);
    check_finite_differences(p, a, value);
    check_single_coordinates(p, a);
    check_tangent(p, a);
    check_scores(p);
    free(a);
    close_problem(p);
}

static void rows_of_dense_nets_are_slopes(void **state)
{
    static const int64_t widths[] = {4, 11, 9, 3};

    (void)state;
    for (int i = 0; i < 8; i++) {
        nm_net *net = make_chain((uint64_t)i, i % 2 ? "Relu" : "Abs", widths, 3);
        problem p = open_problem(net, random_points(1, 6 * 4), 6, edits[i]);

        check_problem(&p);
    }
}

/* Layers: conv, norm, conv, conv, norm, dense, dense; a skip past the middle. */
static void rows_of_residual_nets_are_slopes(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p =
            open_problem(make_residual((uint64_t)i), random_points(2, 4 * 128), 4, edits[i]);

        check_problem(&p);
    }
}

static void check_shared(const char *model, const char *data, int64_t n, const char *const *marks)
{
    const char *model_path = nm_shared(model), *data_path = nm_shared(data);
    nm_points points;
    nm_net *net;
    float *x;
    problem p;
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};

    opts.last = n;
    nm_assert_ok(nm_net_load(ctx, model_path, &net, &err), &err);
    nm_assert_ok(nm_points_load(ctx, data_path, NULL, &opts, &points, &err), &err);
    x = calloc((size_t)(n * points.n_in), sizeof *x);
    memcpy(x, points.x, (size_t)(n * points.n_in) * sizeof *x);
    nm_points_free(&points);
    p = open_problem(net, x, n, marks);
    check_problem(&p);
}

static void rows_of_shared_dense_nets_are_slopes(void **state)
{
    static const char *const mnist[][4] = {{"!0"}, {"1"}, {"!1", "2"}, {"2"}};

    (void)state;
    check_shared("moons/moons_mlp.onnx", "moons/x_mis.npy", 8, edits[0]);
    check_shared("moons/moons_mlp.onnx", "moons/x_mis.npy", 8, edits[4]);
    for (int i = 0; i < 4; i++)
        check_shared("aprnn/mnist_relu_3_100.onnx", "mnist/t10k-fog-images-idx3-ubyte.gz", 2,
                     mnist[i]);
}

static void rows_of_shared_image_nets_are_slopes(void **state)
{
    static const char *const cnn[][4] = {{"0"}, {"1"}, {"!2"}};
    /* the norm after the first convolution; the shortcut of the second block */
    static const char *const resnet[][4] = {{"bn0_BatchNormalization"}, {"b2_short_short.0_Conv"}};

    (void)state;
    for (int i = 0; i < 3; i++)
        check_shared("cifar10/small_cnn_cifar10.onnx", "cifar10/test_batch.bin", 1, cnn[i]);
    for (int i = 0; i < 2; i++)
        check_shared("cifar10/resnet_tiny_cifar10.onnx", "cifar10/test_batch.bin", 1, resnet[i]);
}

/* -- the rest ----- */

static void threads_do_not_change_a_bit(void **state)
{
    problem p = residual_problem(edits[1], 12);
    int threads = nm_ctx_threads(ctx);
    double value[2][MAX_ROWS], *a[2];

    (void)state;
    choose_rows(&p);
    for (int i = 0; i < 2; i++) {
        nm_ctx_set_threads(ctx, i ? 3 : 1);
        a[i] = make_rows(&p, value[i]);
    }
    nm_ctx_set_threads(ctx, threads);
    assert_memory_equal(value[0], value[1], (size_t)p.n_rows * sizeof(double));
    assert_memory_equal(a[0], a[1], (size_t)(p.n_rows * p.params->n) * sizeof(double));
    free(a[0]);
    free(a[1]);
    close_problem(&p);
}

static nm_status rows_once(problem *p, nm_err *err)
{
    double value[MAX_ROWS], *a = calloc((size_t)(p->n_rows * p->params->n), sizeof *a);
    nm_status rc = nm_rows_make(ctx, p->tail, &p->demand, p->rows, p->n_rows, a, value, err);

    free(a);
    return rc;
}

static nm_status tail_once(problem *p, nm_err *err)
{
    nm_tail *tail;
    nm_status rc = nm_tail_new(ctx, p->net, p->params, p->x, p->n, false, &tail, err);

    assert_true((rc == NM_OK) == (tail != NULL));
    nm_tail_free(tail);
    return rc;
}

static nm_status subset_once(problem *p, nm_err *err)
{
    nm_tail *tail;
    nm_status rc = nm_tail_subset(ctx, p->tail, (int64_t[]){1, 0}, 2, p->tail->delta, &tail, err);

    assert_true((rc == NM_OK) == (tail != NULL));
    nm_tail_free(tail);
    return rc;
}

static nm_status separate_once(problem *p, nm_err *err)
{
    nm_separation how = {.pins = true, .labels_a_point = 9, .pins_a_point = 9};
    nm_violations list = {0};
    nm_status rc = nm_separate(p->tail, &p->demand, NULL, &how, &list, err);

    nm_violations_free(&list);
    return rc;
}

static nm_status tangent_once(problem *p, nm_err *err)
{
    nm_tape *t;
    nm_status rc = nm_tail_tangent_new(p->tail, &t, err);

    if (rc == NM_OK)
        rc = nm_tail_tangent(ctx, p->tail, p->tail->delta, t, err);
    nm_tape_free(t);
    return rc;
}

static nm_status scores_once(problem *p, nm_err *err)
{
    double scores[64];

    return nm_tail_scores(ctx, p->tail, p->tail->delta, scores, err);
}

static void failed_allocations_are_reported(void **state)
{
    static nm_status (*const calls[])(problem *, nm_err *) = {
        rows_once, tail_once, subset_once, separate_once, tangent_once, scores_once};
    problem p = residual_problem(edits[1], 3);

    (void)state;
    choose_rows(&p);
    nm_ctx_set_threads(ctx, 1);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        nm_status rc = NM_E_NOMEM;
        int n = 0;

        while (rc != NM_OK) {
            nm_err err = {0};

            nm_mem_fail_at(++n);
            rc = calls[i](&p, &err);
            nm_mem_fail_at(0);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        }
        assert_true(n > 1);
    }
    close_problem(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_dense_nets_are_slopes),
        cmocka_unit_test(rows_of_residual_nets_are_slopes),
        cmocka_unit_test(rows_of_shared_dense_nets_are_slopes),
        cmocka_unit_test(rows_of_shared_image_nets_are_slopes),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
