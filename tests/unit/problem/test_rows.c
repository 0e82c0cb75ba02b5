/* Rows of the repair problem and the tail they come from, against evaluations of edited networks.
 */
#include "make_net.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "netmend/data.h"
#include "problem/rows.h"

static nm_ctx *ctx;

static int open_context(void **state)
{
    (void)state;
    return nm_ctx_new(&ctx, NULL) == NM_OK ? 0 : -1;
}

static int close_context(void **state)
{
    (void)state;
    nm_ctx_free(ctx);
    return 0;
}

enum { MAX_ROWS = 400 };

/* A net, a plan, points, and a tail at some change of the parameters. */
typedef struct problem {
    nm_net *net;
    nm_plan *plan;
    nm_params *params;
    nm_tail *tail;
    float *x;
    int64_t n, n_in, n_scores;
    nm_demand demand;
    nm_rng rng;
    nm_row_id rows[MAX_ROWS];
    int64_t n_rows;
} problem;

static double *random_step(problem *p, double size)
{
    double *d = calloc((size_t)p->params->n, sizeof *d);

    assert_non_null(d);
    for (int64_t i = 0; i < p->params->n; i++)
        d[i] = size * nm_rng_normal(&p->rng);
    return d;
}

/* Takes over the net and x. @param marks  as nm_plan_mark_text() takes them, ending with NULL; "!2"
   means a mask of every third weight of layer 2 */
static problem open_problem(nm_net *net, float *x, int64_t n, const char *const *marks)
{
    problem p = {.net = net, .x = x, .n = n, .rng = {.seed = 99}};
    double *delta;
    nm_err err = {0};

    p.n_in = net->values[net->input].size;
    p.n_scores = net->values[net->scores].size;
    nm_assert_ok(nm_plan_new(net, &p.plan, &err), &err);
    for (; *marks; marks++) {
        const nm_layer *layer = &net->layers[**marks == '!' ? (*marks)[1] - '0' : 0];
        uint8_t *mask;

        if (**marks != '!') {
            nm_assert_ok(nm_plan_mark_text(p.plan, *marks, NM_FREE_ALL, &err), &err);
            continue;
        }
        mask = calloc((size_t)layer->n_weights, 1);
        for (int64_t i = 0; i < layer->n_weights; i += 3)
            mask[i] = 1;
        nm_assert_ok(nm_plan_mark_mask(p.plan, (int)(layer - net->layers), false, mask,
                                       layer->n_weights, &err),
                     &err);
        free(mask);
    }
    nm_assert_ok(nm_params_new(p.plan, &p.params, &err), &err);
    nm_assert_ok(nm_tail_new(ctx, net, p.params, x, n, false, &p.tail, &err), &err);
    delta = random_step(&p, 0.3 / sqrt((double)p.params->n));
    nm_assert_ok(nm_tail_move(ctx, p.tail, delta, &err), &err);
    free(delta);
    p.demand = (nm_demand){.target = calloc((size_t)n, sizeof(int64_t)),
                           .margin = calloc((size_t)n, sizeof(double)),
                           .n_pinned = n - n / 3};
    for (int64_t i = 0; i < n; i++) {
        p.demand.target[i] = (int64_t)nm_rng_below(&p.rng, (uint64_t)p.n_scores);
        p.demand.margin[i] = nm_rng_uniform(&p.rng);
    }
    return p;
}

static void close_problem(problem *p)
{
    nm_tail_free(p->tail);
    nm_params_free(p->params);
    nm_plan_free(p->plan);
    nm_net_free(p->net);
    free(p->x);
    free(p->demand.target);
    free(p->demand.margin);
}

static bool pins_can_break(const problem *p, int op)
{
    const nm_op *at = &p->net->ops[op];

    return at->kind->n_pins && p->tail->op_mask[op] && p->tail->behind[at->in[0]];
}

static void choose_rows(problem *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        nm_row_id row = {.kind = NM_ROW_LABEL, .point = i};

        row.k = (p->demand.target[i] + 1) % p->n_scores;
        p->rows[p->n_rows++] = row;
        row.kind = NM_ROW_OUTPUT;
        row.k = p->demand.target[i];
        p->rows[p->n_rows++] = row;
        row.kind = NM_ROW_PIN;
        for (int op = 0; op < p->net->n_ops; op++)
            for (int t = 0; pins_can_break(p, op) && t < 3; t++) {
                const nm_op *at = &p->net->ops[op];

                row.op = op;
                row.k = (int64_t)nm_rng_below(&p->rng, (uint64_t)at->kind->n_pins(p->net, at));
                assert_true(p->n_rows < MAX_ROWS);
                p->rows[p->n_rows++] = row;
            }
    }
}

/* The quantity of a row on the values of `at`; pieces as chosen by `pieces` (both of one net). */
static double row_value(const problem *p, const nm_row_id *row, const nm_tail *at)
{
    const double *s = at->at->val[p->net->scores] + row->point * p->n_scores;

    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &p->net->ops[row->op];
        int64_t shift = row->point * p->net->values[op->in[0]].size;
        const double *z = at->at->val[op->in[0]] + shift;
        nm_pin pin = op->kind->pin(p->net, op, p->tail->at->val[op->in[0]] + shift, row->k);

        return pin.sign * (z[pin.plus] - (pin.minus < 0 ? 0 : z[pin.minus])) - pin.rhs;
    }
    return row->kind == NM_ROW_OUTPUT ? s[row->k] : s[p->demand.target[row->point]] - s[row->k];
}

/* A tail of the same points at delta + t d, evaluated anew from the inputs. */
static nm_tail *tail_at(const problem *p, const double *d, double t)
{
    nm_tail *tail;
    double *delta = calloc((size_t)p->params->n, sizeof *delta);
    nm_err err = {0};

    for (int64_t i = 0; i < p->params->n; i++)
        delta[i] = p->tail->delta[i] + t * d[i];
    nm_assert_ok(nm_tail_new(ctx, p->net, p->params, p->x, p->n, false, &tail, &err), &err);
    nm_assert_ok(nm_tail_move(ctx, tail, delta, &err), &err);
    free(delta);
    return tail;
}

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
    free(d);
}

/* One coordinate at a time, so that no entry hides in a sum. */
static void check_single_coordinates(problem *p, const double *a)
{
    const double h = 1e-6;
    double *d = calloc((size_t)p->params->n, sizeof *d);

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
    free(d);
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
    free(d);
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
    free(d);
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

static float *random_points(uint64_t seed, int64_t n)
{
    float *x = calloc((size_t)n, sizeof *x);

    assert_non_null(x);
    fill_normal(&(nm_rng){.seed = seed}, x, n);
    return x;
}

static const char *const edits[][4] = {{"0"},       {"!0", "1"}, {"1"},          {"0.."},
                                       {"1", "-1"}, {"last"},    {"!2", "last"}, {"all"}};

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

/* -- tails ------------------------------------------------------------------------------------- */

static problem residual_problem(const char *const *marks, int64_t n)
{
    return open_problem(make_residual(7), random_points(3, n * 128), n, marks);
}

static void assert_same_values(const nm_tail *a, int64_t from_a, const nm_tail *b, int64_t from_b,
                               int64_t n)
{
    for (int v = 0; v < a->base->n_values; v++) {
        size_t size = (size_t)a->base->values[v].size;

        assert_true(!a->at->val[v] == !b->at->val[v]);
        if (a->at->val[v])
            nm_assert_close(a->at->val[v] + (size_t)from_a * size,
                            b->at->val[v] + (size_t)from_b * size, (size_t)n * size, 1e-13, 1e-13);
    }
}

static void subsets_and_appended_tails_equal_fresh_ones(void **state)
{
    const int64_t points[] = {4, 0, 4, 2};

    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 5);
        nm_tail *subset, *lean;
        nm_err err = {0};

        nm_assert_ok(nm_tail_new(ctx, p.net, p.params, p.x, p.n, true, &lean, &err), &err);
        nm_assert_ok(
            nm_tail_subset(ctx, i % 2 ? p.tail : lean, points, 4, p.tail->delta, &subset, &err),
            &err);
        for (int k = 0; k < 4; k++)
            assert_same_values(subset, k, p.tail, points[k], 1);
        nm_assert_ok(nm_tail_append(subset, lean, (int64_t[]){1, 3}, 2, &err), &err);
        nm_assert_ok(nm_tail_append(subset, subset, (int64_t[]){0}, 1, &err), &err);
        nm_assert_ok(nm_tail_move(ctx, subset, p.tail->delta, &err), &err);
        assert_int_equal(subset->at->n, 7);
        assert_same_values(subset, 4, p.tail, 1, 1);
        assert_same_values(subset, 5, p.tail, 3, 1);
        assert_same_values(subset, 6, p.tail, 4, 1);
        assert_same_values(subset, 0, p.tail, 4, 1);
        nm_tail_free(subset);
        nm_tail_free(lean);
        close_problem(&p);
    }
}

static void twins_are_points_with_equal_frontiers(void **state)
{
    static const int64_t widths[] = {3, 4, 4, 2};
    nm_net *net = make_chain(20, "Relu", widths, 3);
    float *x = random_points(20, 5 * 3);
    double dead[4] = {-1e3, -1e3, -1e3, -1e3};
    problem p;
    nm_err err = {0};

    (void)state;
    memcpy(x + 6, x, 3 * sizeof *x);
    p = open_problem(net, x, 5, edits[0]);
    assert_int_equal(nm_tail_same_as(p.tail, 0), -1);
    assert_int_equal(nm_tail_same_as(p.tail, 1), -1);
    assert_int_equal(nm_tail_same_as(p.tail, 2), 0);
    assert_int_equal(nm_tail_same_as(p.tail, 3), -1);
    close_problem(&p);
    /* behind a dead layer all points are one */
    net = make_chain(20, "Relu", widths, 3);
    nm_assert_ok(nm_net_set_layer(net, 1, true, dead, &err), &err);
    p = open_problem(net, random_points(20, 5 * 3), 5, edits[5]);
    for (int64_t i = 1; i < 5; i++)
        assert_int_equal(nm_tail_same_as(p.tail, i), 0);
    close_problem(&p);
}

static void only_the_last_layer_has_an_affine_tail(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 2);

        assert_true(p.tail->affine == (i == 5));
        close_problem(&p);
    }
}

/* -- separation -------------------------------------------------------------------------------- */

static double moved_value(const problem *p, const nm_tape *t, int v, int64_t point, int64_t i)
{
    int64_t at = point * p->net->values[v].size + i;

    return p->tail->at->val[v][at] + (t && t->val[v] ? t->val[v][at] : 0);
}

/* How much a row is broken by the linearised values. */
static double brute_amount(const problem *p, const nm_row_id *row, const nm_tape *t)
{
    int v = p->net->scores;

    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &p->net->ops[row->op];
        const double *z = p->tail->at->val[op->in[0]] + row->point * p->net->values[op->in[0]].size;
        nm_pin pin = op->kind->pin(p->net, op, z, row->k);
        double value = moved_value(p, t, op->in[0], row->point, pin.plus);

        if (pin.minus >= 0)
            value -= moved_value(p, t, op->in[0], row->point, pin.minus);
        return pin.rhs - pin.sign * value;
    }
    return p->demand.margin[row->point] -
           (moved_value(p, t, v, row->point, p->demand.target[row->point]) -
            moved_value(p, t, v, row->point, row->k));
}

static bool same_row(const nm_row_id *a, const nm_row_id *b)
{
    return a->kind == b->kind && a->op == b->op && a->point == b->point && a->k == b->k;
}

static int64_t find_row(const nm_violations *list, const nm_row_id *row)
{
    int64_t found = -1;

    for (int64_t i = 0; i < list->n; i++)
        if (same_row(&list->at[i].row, row)) {
            assert_int_equal(found, -1); /* once */
            found = i;
        }
    return found;
}

/* Calls visit for every row that the program has; @return how many. */
static int64_t each_row(const problem *p, bool pins, nm_row_id *rows, int64_t room)
{
    int64_t n = 0;

    for (int64_t i = 0; i < p->n; i++) {
        for (int64_t k = 0; k < p->n_scores; k++)
            if (k != p->demand.target[i]) {
                assert_true(n < room);
                rows[n++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = i, .k = k};
            }
        for (int op = 0; pins && i < p->demand.n_pinned && op < p->net->n_ops; op++) {
            const nm_op *at = &p->net->ops[op];
            int64_t n_pins = pins_can_break(p, op) ? at->kind->n_pins(p->net, at) : 0;

            for (int64_t k = 0; k < n_pins; k++) {
                assert_true(n < room);
                rows[n++] = (nm_row_id){.kind = NM_ROW_PIN, .op = op, .point = i, .k = k};
            }
        }
    }
    return n;
}

static void check_separation(problem *p, const nm_tape *t, bool pins)
{
    enum { ROOM = 20000 };
    nm_row_id *rows = calloc(ROOM, sizeof *rows);
    int64_t n = each_row(p, pins, rows, ROOM), n_broken = 0;
    nm_separation how = {
        .pins = pins, .labels_a_point = ROOM, .pins_a_point = ROOM, .tolerance = 1e-9};
    nm_violations all = {0}, few = {0};
    nm_err err = {0};

    assert_int_equal(n, nm_rows_total(p->tail, &p->demand, pins));
    nm_assert_ok(nm_separate(p->tail, &p->demand, t, &how, &all, &err), &err);
    for (int64_t i = 0; i < n; i++) {
        double amount = brute_amount(p, &rows[i], t);
        int64_t at = fabs(amount) < 1e-7 ? -1 : find_row(&all, &rows[i]);

        n_broken += at >= 0;
        assert_true(fabs(amount) < 1e-7 || (at >= 0) == (amount > 0));
        if (at >= 0)
            nm_assert_close(&all.at[at].amount, &amount, 1, 1e-12, 1e-12);
    }
    assert_true(all.n >= n_broken && all.n <= n);
    for (int64_t i = 0; i < all.n; i++) {
        assert_true(i == 0 || all.at[i - 1].amount >= all.at[i].amount);
        assert_true(all.at[i].row.kind == NM_ROW_LABEL ||
                    (pins && all.at[i].row.point < p->demand.n_pinned));
    }
    how.labels_a_point = how.pins_a_point = 1;
    nm_assert_ok(nm_separate(p->tail, &p->demand, t, &how, &few, &err), &err);
    for (int64_t i = 0; i < few.n; i++) { /* the worst of its point and kind */
        assert_true(find_row(&few, &few.at[i].row) == i);
        for (int64_t k = 0; k < all.n; k++)
            if (all.at[k].row.point == few.at[i].row.point &&
                all.at[k].row.kind == few.at[i].row.kind)
                assert_true(all.at[k].amount <= few.at[i].amount);
    }
    assert_true(few.n <= 2 * p->n && (few.n > 0) == (all.n > 0));
    nm_violations_free(&all);
    nm_violations_free(&few);
    free(rows);
}

static void separation_finds_exactly_the_broken_rows(void **state)
{
    static const int64_t widths[] = {4, 11, 9, 5};

    (void)state;
    for (int i = 0; i < 16; i++) {
        problem p = i < 8 ? residual_problem(edits[i], 4)
                          : open_problem(make_chain((uint64_t)i, "Relu", widths, 3),
                                         random_points(5, 6 * 4), 6, edits[i - 8]);
        double *d = random_step(&p, 0.3);
        nm_tape *t;
        nm_err err = {0};

        nm_assert_ok(nm_tail_tangent_new(p.tail, &t, &err), &err);
        nm_assert_ok(nm_tail_tangent(ctx, p.tail, d, t, &err), &err);
        for (int pins = 0; pins < 2; pins++) {
            check_separation(&p, NULL, pins);
            check_separation(&p, t, pins);
        }
        nm_tape_free(t);
        free(d);
        close_problem(&p);
    }
}

/* Pins that the true values elsewhere break: the pieces of the two tails differ there, nowhere
   else. */
static void flips_are_the_pieces_that_differ(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        problem p = residual_problem(edits[i], 4);
        double *d = random_step(&p, 0.2);
        nm_tail *moved = tail_at(&p, d, 1);
        int64_t n_total = 0;
        nm_err err = {0};

        for (int64_t point = 0; point < p.n; point++) {
            nm_violations flips = {0}, none = {0};
            int64_t n_seen = 0;

            nm_assert_ok(nm_flips(p.tail, point, moved, point, &flips, &err), &err);
            nm_assert_ok(nm_flips(p.tail, point, p.tail, point, &none, &err), &err);
            assert_int_equal(none.n, 0);
            for (int op = 0; op < p.net->n_ops; op++) {
                const nm_op *at = &p.net->ops[op];
                int64_t n_pins = pins_can_break(&p, op) ? at->kind->n_pins(p.net, at) : 0;

                for (int64_t k = 0; k < n_pins; k++) {
                    nm_row_id row = {.kind = NM_ROW_PIN, .op = op, .point = point, .k = k};
                    bool broken = row_value(&p, &row, moved) < 0;

                    assert_true(broken == (find_row(&flips, &row) >= 0));
                    n_seen += broken;
                }
            }
            assert_int_equal(flips.n, n_seen);
            n_total += n_seen;
            nm_violations_free(&flips);
            nm_violations_free(&none);
        }
        assert_true((n_total > 0) == !p.tail->affine);
        nm_tail_free(moved);
        free(d);
        close_problem(&p);
    }
}

/* -- the rest ---------------------------------------------------------------------------------- */

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
        cmocka_unit_test(subsets_and_appended_tails_equal_fresh_ones),
        cmocka_unit_test(twins_are_points_with_equal_frontiers),
        cmocka_unit_test(only_the_last_layer_has_an_affine_tail),
        cmocka_unit_test(separation_finds_exactly_the_broken_rows),
        cmocka_unit_test(flips_are_the_pieces_that_differ),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
