/* Points that take their pieces from others: rows are those of the network in which every ReLU does
 * what it does at the reference, evaluated here by plain loops. */
#include "problem_support.h"

enum { N = 6, N_REFERENCES = 2, WIDTH = 8, N_LAYERS = 4, FIRST = 1 };

static const int64_t widths[] = {5, WIDTH, WIDTH, WIDTH, 3};

/* z[l]: before the ReLU of layer l. `on` NULL: ReLUs as they are, and their sides come out. */
static void forward(const nm_net *net, const float *x, const bool on[N_LAYERS][WIDTH],
                    bool sides[N_LAYERS][WIDTH], double z[N_LAYERS][WIDTH])
{
    double a[WIDTH];

    for (int64_t i = 0; i < widths[0]; i++)
        a[i] = (double)x[i];
    for (int l = 0; l < N_LAYERS; l++) {
        const double *w = net->values[net->layers[l].weight].constant->f64;
        const double *b = net->values[net->layers[l].bias].constant->f64;

        for (int64_t r = 0; r < widths[l + 1]; r++) {
            z[l][r] = b[r];
            for (int64_t k = 0; k < widths[l]; k++)
                z[l][r] += w[r * widths[l] + k] * a[k];
        }
        for (int64_t r = 0; r < widths[l + 1]; r++) {
            bool side = on && l >= FIRST ? on[l][r] : z[l][r] >= 0;

            if (sides)
                sides[l][r] = side;
            a[r] = side ? z[l][r] : 0;
        }
    }
}

typedef struct rig {
    problem p;
    nm_tail *references;
    float centre[N_REFERENCES * 5];
    int64_t of[N];
    nm_tape *shift;
    nm_hold hold;
    double *pin_margin;
} rig;

static rig open_rig(uint64_t seed)
{
    static const char *const marks[] = {"1..", NULL};
    nm_net *net = make_chain(seed, "Relu", widths, N_LAYERS);
    float *x = malloc(N * 5 * sizeof *x);
    rig r = {0};
    nm_err err = {0};

    assert_non_null(x);
    fill_normal(&(nm_rng){.seed = seed}, x, N * 5);
    fill_normal(&(nm_rng){.seed = seed + 1000}, r.centre, N_REFERENCES * 5);
    r.p = open_problem(net, x, N, marks);
    r.p.demand.n_pinned = N;
    nm_assert_ok(
        nm_tail_new(ctx, net, r.p.params, r.centre, N_REFERENCES, false, &r.references, &err),
        &err);
    nm_assert_ok(nm_tail_move(ctx, r.references, r.p.tail->delta, &err), &err);
    nm_assert_ok(nm_tail_tangent_new(r.p.tail, &r.shift, &err), &err);
    for (int i = 0; i < N; i++)
        r.of[i] = i % N_REFERENCES;
    nm_assert_ok(nm_tail_refer(ctx, r.p.tail, r.references, r.of, r.shift, &err), &err);
    nm_assert_ok(nm_alloc(&r.pin_margin, (size_t)net->n_ops, sizeof *r.pin_margin, &err), &err);
    return r;
}

/* The rig is where it stays. */
static void hold(rig *r)
{
    r->hold = (nm_hold){.shift = r->shift, .pin_margin = r->pin_margin};
    r->p.demand.hold = &r->hold;
}

static void close_rig(rig *r)
{
    nm_tape_free(r->shift);
    nm_tail_free(r->references);
    nm_free(r->pin_margin);
    close_problem(&r->p);
}

/* The layer whose ReLU an operator is. */
static int layer_before(const nm_net *net, int op)
{
    for (int l = 0; l < N_LAYERS; l++)
        if (net->ops[net->layers[l].op].out == net->ops[op].in[0])
            return l;
    fail();
    return -1;
}

/* What the row is worth in the network of the references' pieces, at tail->delta + d. */
static double expected(rig *r, const nm_row_id *row, const double *d)
{
    problem *p = &r->p;
    double *delta = calloc((size_t)p->params->n, sizeof *delta), z[N_LAYERS][WIDTH], value;
    const float *x = p->x + row->point * 5, *centre = r->centre + r->of[row->point] * 5;
    bool on[N_LAYERS][WIDTH];
    nm_net *at, *moved;
    nm_err err = {0};

    nm_assert_ok(nm_net_clone(p->net, &at, &err), &err);
    nm_assert_ok(nm_net_clone(p->net, &moved, &err), &err);
    nm_assert_ok(nm_params_apply(p->params, p->net, p->tail->delta, at, &err), &err);
    for (int64_t i = 0; i < p->params->n; i++)
        delta[i] = p->tail->delta[i] + (d ? d[i] : 0);
    nm_assert_ok(nm_params_apply(p->params, p->net, delta, moved, &err), &err);
    forward(at, centre, NULL, on, z);
    forward(moved, x, (const bool(*)[WIDTH])on, NULL, z);
    if (row->kind == NM_ROW_PIN) {
        int l = layer_before(p->net, row->op);

        value = (on[l][row->k] ? 1 : -1) * z[l][row->k] - r->pin_margin[row->op];
    } else {
        const double *y = z[N_LAYERS - 1];

        value =
            row->kind == NM_ROW_OUTPUT ? y[row->k] : y[p->demand.target[row->point]] - y[row->k];
    }
    nm_net_free(at);
    nm_net_free(moved);
    free(delta);
    return value;
}

static void list_rows(rig *r)
{
    problem *p = &r->p;

    p->n_rows = 0;
    for (int64_t i = 0; i < N; i++) {
        for (int64_t k = 0; k < 3; k++) {
            if (k != p->demand.target[i])
                p->rows[p->n_rows++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = i, .k = k};
            p->rows[p->n_rows++] = (nm_row_id){.kind = NM_ROW_OUTPUT, .point = i, .k = k};
        }
        for (int op = 0; op < p->net->n_ops; op++)
            for (int64_t k = 0; pins_can_break(p, op) && k < WIDTH; k++)
                p->rows[p->n_rows++] =
                    (nm_row_id){.kind = NM_ROW_PIN, .op = op, .point = i, .k = k};
    }
    assert_true(p->n_rows <= MAX_ROWS);
}

/* Values and coefficients, whatever the step: the tail is affine on fixed pieces. */
static void test_rows(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        rig r = open_rig(seed);
        problem *p = &r.p;
        double *d = random_step(p, 0.5), *a, value[MAX_ROWS];
        nm_err err = {0};

        hold(&r);
        for (int op = 0; op < p->net->n_ops; op++)
            r.pin_margin[op] = 0.01 * op;
        list_rows(&r);
        nm_assert_ok(nm_alloc(&a, (size_t)(p->n_rows * p->params->n), sizeof *a, &err), &err);
        nm_assert_ok(nm_rows_make(ctx, p->tail, &p->demand, p->rows, p->n_rows, a, value, &err),
                     &err);
        for (int64_t k = 0; k < p->n_rows; k++) {
            double at = expected(&r, &p->rows[k], NULL), moved = value[k];
            double there = expected(&r, &p->rows[k], d);

            for (int64_t i = 0; i < p->params->n; i++)
                moved += a[k * p->params->n + i] * d[i];
            nm_assert_close(&value[k], &at, 1, 1e-9, 1e-9);
            nm_assert_close(&moved, &there, 1, 1e-9, 1e-9);
        }
        nm_free(a);
        nm_free(d);
        close_rig(&r);
    }
}

/* Exactly the rows are found that the values above break, by as much. */
static void test_separation(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        rig r = open_rig(20 + seed);
        problem *p = &r.p;
        double *d = random_step(p, 0.1);
        nm_separation how = {.pins = true, .labels_a_point = 99, .pins_a_point = 999};
        nm_violations found = {0};
        nm_tape *t;
        int64_t n = 0;
        nm_err err = {0};

        hold(&r);
        for (int op = 0; op < p->net->n_ops; op++)
            r.pin_margin[op] = 0.05;
        list_rows(&r);
        nm_assert_ok(nm_tail_tangent_new(p->tail, &t, &err), &err);
        nm_assert_ok(nm_tail_tangent(ctx, p->tail, d, t, &err), &err);
        nm_assert_ok(nm_separate(p->tail, &p->demand, t, &how, &found, &err), &err);
        for (int64_t k = 0; k < p->n_rows; k++) {
            const nm_row_id *row = &p->rows[k];
            double wanted = row->kind == NM_ROW_LABEL ? p->demand.margin[row->point] : 0;

            n += row->kind != NM_ROW_OUTPUT && expected(&r, row, d) < wanted;
        }
        assert_int_equal(found.n, n);
        assert_true(n > 10);
        for (int64_t k = 0; k < found.n; k++) {
            const nm_row_id *row = &found.at[k].row;
            double wanted = row->kind == NM_ROW_LABEL ? p->demand.margin[row->point] : 0;
            double amount = wanted - expected(&r, row, d);

            nm_assert_close(&found.at[k].amount, &amount, 1, 1e-9, 1e-9);
        }
        nm_violations_free(&found);
        nm_tape_free(t);
        nm_free(d);
        close_rig(&r);
    }
}

/* Pins that are tied hold by 0, operators that are not pinned have no pins. */
static void test_ties_and_operators(void **state)
{
    rig r = open_rig(40);
    problem *p = &r.p;
    nm_separation how = {.pins = true, .labels_a_point = 99, .pins_a_point = 9999};
    bool *pinned = calloc((size_t)p->net->n_ops, 1);
    bool **tied = calloc((size_t)p->net->n_ops, sizeof(bool *));
    nm_violations found = {0};
    int first = -1, seen = 0;
    nm_err err = {0};

    (void)state;
    hold(&r);
    for (int op = 0; op < p->net->n_ops; op++) {
        r.pin_margin[op] = 1e6; /* none holds */
        if (pins_can_break(p, op) && first < 0)
            first = op;
    }
    pinned[first] = true;
    tied[first] = calloc(N * WIDTH, 1);
    for (int k = 0; k < WIDTH; k++)
        tied[first][2 * WIDTH + k] = true; /* point 2 */
    r.hold.op = pinned;
    r.hold.tied = (const bool *const *)tied;
    nm_assert_ok(nm_separate(p->tail, &p->demand, NULL, &how, &found, &err), &err);
    for (int64_t i = 0; i < found.n; i++) {
        const nm_row_id *row = &found.at[i].row;

        if (row->kind != NM_ROW_PIN)
            continue;
        assert_int_equal(row->op, first);
        assert_true((found.at[i].amount > 1e5) == (row->point != 2));
        seen += row->point != 2;
    }
    assert_int_equal(seen, (N - 1) * WIDTH);
    nm_violations_free(&found);
    free(tied[first]);
    free(tied);
    free(pinned);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_separation),
        cmocka_unit_test(test_ties_and_operators),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
