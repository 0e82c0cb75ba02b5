/* Broken rows and flipped pieces against a search through all of them. */
#include "problem_support.h"

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
        nm_free(d);
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
        nm_free(d);
        close_problem(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(separation_finds_exactly_the_broken_rows),
        cmocka_unit_test(flips_are_the_pieces_that_differ),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
