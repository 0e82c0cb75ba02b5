/* Factors of rows against the coefficients that the operators' own adjoints give. */
#include "support.h"

#include <stdio.h>

#include "base/ctx.h"
#include "base/rng.h"
#include "net/op.h"
#include "net/op/dense.h"
#include "problem/rows.h"

enum { N_IN = 5, HIDDEN = 7, CLASSES = 3, POINTS = 4, ROWS = POINTS * (CLASSES + HIDDEN + 1) };

static int add_dense(nm_net *net, const char *name, int from, int64_t n_in, int64_t n_out,
                     nm_dense_attr attr)
{
    const nm_shape w = {.rank = 2,
                        .dim = {attr.trans_b ? n_out : n_in, attr.trans_b ? n_in : n_out}};
    const nm_shape b = {.rank = 1, .dim = {n_out}};
    nm_tensor *weight, *bias;
    char text[32];
    nm_err err = {0};
    int in[3] = {from}, op;

    nm_assert_ok(nm_tensor_new(&weight, &w, NM_F32, &err), &err);
    nm_assert_ok(nm_tensor_new(&bias, &b, NM_F32, &err), &err);
    (void)snprintf(text, sizeof text, "%s.w", name);
    nm_assert_ok(nm_net_add_constant(net, text, weight, &in[1], &err), &err);
    (void)snprintf(text, sizeof text, "%s.b", name);
    nm_assert_ok(nm_net_add_constant(net, text, bias, &in[2], &err), &err);
    nm_assert_ok(nm_net_add_op(net, &nm_op_dense, name, in, 3, name, &attr, sizeof attr, &op, &err),
                 &err);
    return net->ops[op].out;
}

/* Dense, ReLU, dense. Two layers of which the first sees `rows` rows per point. */
static nm_net *new_net(nm_dense_attr first, int64_t rows)
{
    const nm_shape x = {.rank = rows > 1 ? 3 : 2, .dim = {1, rows > 1 ? rows : N_IN, N_IN}};
    nm_net *net;
    nm_err err = {0};
    int in, op;

    nm_assert_ok(nm_net_new(&net, &err), &err);
    nm_assert_ok(nm_net_add_value(net, "x", &x, &in, &err), &err);
    net->input = in;
    in = add_dense(net, "hidden", in, N_IN, HIDDEN, first);
    nm_assert_ok(nm_net_add_op(net, &nm_op_relu, "relu", &in, 1, "relu", NULL, 0, &op, &err), &err);
    net->output = add_dense(net, "scores", net->ops[op].out, HIDDEN, CLASSES,
                            (nm_dense_attr){.alpha = 2, .beta = 0.5, .trans_b = !first.trans_b});
    nm_assert_ok(nm_net_finish(net, &err), &err);
    return net;
}

static void draw_parameters(nm_net *net, nm_rng *rng)
{
    double values[HIDDEN * HIDDEN];
    nm_err err = {0};

    for (int layer = 0; layer < 2; layer++)
        for (int bias = 0; bias < 2; bias++) {
            for (int i = 0; i < HIDDEN * HIDDEN; i++)
                values[i] = nm_rng_normal(rng);
            nm_assert_ok(nm_net_set_layer(net, layer, bias, values, &err), &err);
        }
}

/* Every label row, every pin that can move, two outputs of each point. @return their number */
static int64_t name_rows(const nm_tail *tail, const nm_demand *demand, nm_row_id *rows)
{
    const nm_net *net = tail->net;
    int relu = -1;
    int64_t n = 0;

    for (int i = 0; i < net->n_ops; i++)
        relu = net->ops[i].kind == &nm_op_relu ? i : relu;
    for (int64_t p = 0; p < POINTS; p++) {
        for (int64_t k = 0; k < CLASSES; k++)
            if (k != demand->target[p])
                rows[n++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = p, .k = k};
        for (int64_t k = 0; k < HIDDEN && tail->op_mask[relu]; k++)
            rows[n++] = (nm_row_id){.kind = NM_ROW_PIN, .op = relu, .point = p, .k = k};
        rows[n++] = (nm_row_id){.kind = NM_ROW_OUTPUT, .point = p, .k = p % CLASSES};
        rows[n++] = (nm_row_id){.kind = NM_ROW_OUTPUT, .point = p, .k = (p + 1) % CLASSES};
    }
    assert_true(n <= ROWS);
    return n;
}

static void write_out(const nm_factor_space *s, const double *g, const double *x, double *row)
{
    for (int64_t w = 0; w < s->n_out * s->n_in; w++)
        if (s->column[w] >= 0)
            row[s->column[w]] += g[w / s->n_in] * x[w % s->n_in];
    for (int64_t e = 0; e < s->n_extra; e++)
        row[s->extra_column[e]] += g[s->n_out + e];
}

/* A tail of random points, standing at a random change of the parameters. */
static nm_tail *new_tail(const nm_ctx *ctx, const nm_net *net, const nm_params *params, nm_rng *rng)
{
    int64_t n_in = net->values[net->input].size;
    float *x = test_calloc((size_t)(POINTS * n_in), sizeof *x);
    double *delta = test_calloc((size_t)params->n, sizeof *delta);
    nm_tail *tail;
    nm_err err = {0};

    for (int64_t i = 0; i < POINTS * n_in; i++)
        x[i] = (float)nm_rng_normal(rng);
    for (int64_t i = 0; i < params->n; i++)
        delta[i] = 0.3 * nm_rng_normal(rng);
    nm_assert_ok(nm_tail_new(ctx, net, params, x, POINTS, false, &tail, &err), &err);
    nm_assert_ok(nm_tail_move(ctx, tail, delta, &err), &err);
    test_free(x);
    test_free(delta);
    return tail;
}

static void check_rows(const nm_ctx *ctx, const nm_tail *tail, const nm_row_space *space)
{
    int64_t n = tail->params->n, width = nm_factor_width(&space->space), target[POINTS];
    double margin[POINTS] = {0}, value[ROWS], factored_value[ROWS];
    nm_demand demand = {.target = target, .margin = margin, .n_pinned = POINTS};
    double *a = test_calloc((size_t)(ROWS * n), sizeof *a);
    double *again = test_calloc((size_t)(ROWS * n), sizeof *again);
    double *g = test_calloc((size_t)(ROWS * width), sizeof *g);
    nm_row_id rows[ROWS];
    nm_err err = {0};

    for (int64_t p = 0; p < POINTS; p++)
        target[p] = p % CLASSES;
    int64_t n_rows = name_rows(tail, &demand, rows);
    nm_assert_ok(nm_rows_make(ctx, tail, &demand, rows, n_rows, a, value, &err), &err);
    nm_assert_ok(
        nm_rows_make_factored(ctx, tail, &demand, rows, n_rows, space, factored_value, g, &err),
        &err);
    assert_memory_equal(value, factored_value, (size_t)n_rows * sizeof *value);
    for (int64_t r = 0; r < n_rows; r++)
        write_out(&space->space, g + r * width, space->space.x + rows[r].point * space->space.n_in,
                  again + r * n);
    nm_assert_close(again, a, (size_t)(n_rows * n), 1e-14, 1e-15);
    test_free(a);
    test_free(again);
    test_free(g);
}

typedef struct edit {
    int layer;                  /* whose weights */
    bool masked, later, biases; /* only some weights; biases of later layers; own biases */
} edit;

static nm_plan *new_plan(const nm_net *net, edit e, nm_rng *rng)
{
    int64_t n = net->layers[e.layer].n_weights;
    uint8_t mask[HIDDEN * HIDDEN];
    nm_plan *plan;
    nm_err err = {0};

    for (int64_t i = 0; i < n; i++)
        mask[i] = !e.masked || nm_rng_uniform(rng) < 0.6;
    nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark_mask(plan, e.layer, false, mask, n, &err), &err);
    if (e.biases)
        nm_assert_ok(nm_plan_mark(plan, e.layer, NM_FREE_BIASES, &err), &err);
    if (e.later)
        nm_assert_ok(nm_plan_mark(plan, 1, NM_FREE_BIASES, &err), &err);
    return plan;
}

static void factors_reproduce_the_dense_rows(void **state)
{
    static const edit edits[] = {{0, false, false, true}, {0, true, true, true},
                                 {0, true, false, false}, {0, false, true, false},
                                 {1, false, false, true}, {1, true, false, false}};
    nm_rng rng = {.seed = 4};
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    for (int i = 0; i < 12; i++) {
        nm_dense_attr attr = {.alpha = -0.7, .beta = 3, .trans_b = i % 2};
        nm_net *net = new_net(attr, 1);
        nm_params *params;
        nm_row_space *space;

        draw_parameters(net, &rng);
        nm_plan *plan = new_plan(net, edits[i / 2], &rng);
        nm_assert_ok(nm_params_new(plan, &params, &err), &err);
        nm_tail *tail = new_tail(ctx, net, params, &rng);
        nm_assert_ok(nm_row_space_new(tail, &space, &err), &err);
        assert_non_null(space);
        check_rows(ctx, tail, space);
        nm_row_space_free(space);
        nm_tail_free(tail);
        nm_params_free(params);
        nm_plan_free(plan);
        nm_net_free(net);
    }
    nm_ctx_free(ctx);
}

/* Space of the rows of a net of which `what` of the first layer may change. */
static bool has_space(int64_t rows_a_point, nm_free_kind what)
{
    nm_rng rng = {.seed = 4};
    nm_net *net = new_net((nm_dense_attr){.alpha = 1, .beta = 1}, rows_a_point);
    nm_params *params;
    nm_plan *plan;
    nm_row_space *space;
    nm_ctx *ctx;
    nm_err err = {0};

    draw_parameters(net, &rng);
    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark(plan, 0, what, &err), &err);
    nm_assert_ok(nm_params_new(plan, &params, &err), &err);
    nm_tail *tail = new_tail(ctx, net, params, &rng);
    nm_assert_ok(nm_row_space_new(tail, &space, &err), &err);
    bool found = space != NULL;
    nm_row_space_free(space);
    nm_tail_free(tail);
    nm_params_free(params);
    nm_plan_free(plan);
    nm_net_free(net);
    nm_ctx_free(ctx);
    return found;
}

static void rows_of_other_layers_have_none(void **state)
{
    (void)state;
    assert_true(has_space(1, NM_FREE_ALL));
    assert_false(has_space(2, NM_FREE_ALL)); /* sums of outer products */
    assert_false(has_space(1, NM_FREE_BIASES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factors_reproduce_the_dense_rows),
        cmocka_unit_test(rows_of_other_layers_have_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
