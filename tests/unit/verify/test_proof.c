/* Sums of rows as the checker makes them, against the rows that the optimiser makes. */
#include "claim_support.h"

static void fill_multipliers(problem *p, double *y)
{
    for (int64_t r = 0; r < p->n_rows; r++)
        y[r] = nm_rng_uniform(&p->rng) < 0.3 ? 0 : nm_rng_uniform(&p->rng);
}

/* q over the free parameters and h, from the optimiser's rows at tail->delta. */
static double sum_of_rows(const problem *p, const double *y, double *q)
{
    int64_t n = p->params->n;
    double *a = calloc((size_t)(p->n_rows * n), sizeof *a), h = 0;
    double *value = calloc((size_t)p->n_rows, sizeof *value);
    nm_err err = {0};

    nm_assert_ok(nm_rows_make(ctx, p->tail, &p->demand, p->rows, p->n_rows, a, value, &err), &err);
    for (int64_t r = 0; r < p->n_rows; r++) {
        const nm_row_id *row = &p->rows[r];

        if (row->kind == NM_ROW_OUTPUT)
            continue;
        h += y[r] * ((row->kind == NM_ROW_LABEL ? p->demand.margin[row->point] : 0) - value[r]);
        for (int64_t j = 0; j < n; j++) {
            q[j] += y[r] * a[r * n + j];
            h += y[r] * a[r * n + j] * p->tail->delta[j];
        }
    }
    free(a);
    free(value);
    return h;
}

static void compare(const problem *p, const nm_proof_sum *sum, const double *y)
{
    double *want = calloc((size_t)p->params->n, sizeof *want);
    double h = sum_of_rows(p, y, want), *got = calloc((size_t)p->params->n, sizeof *got),
           *error = calloc((size_t)p->params->n, sizeof *error);
    int64_t first = 0, n_nonzero = 0, n_free = 0;

    for (int i = 0; i < p->params->n_blocks; i++) {
        const nm_param_block *block = &p->params->blocks[i];

        nm_block_gather(p->net, block, sum->q + first, got);
        nm_block_gather(p->net, block, sum->error + first, error);
        first += nm_block_tensor_size(p->net, block);
    }
    assert_int_equal(first, sum->n);
    for (int64_t j = 0; j < p->params->n; j++) {
        /* the optimiser's own rounding is of the same size */
        if (!(fabs(got[j] - want[j]) <= 2 * error[j]))
            fail_msg("[%lld] got %.17g, want %.17g, error bound %g", (long long)j, got[j], want[j],
                     error[j]);
        assert_true(error[j] <= 1e-8 * (1 + fabs(want[j])));
        assert_true(error[j] > 0);
    }
    for (int64_t j = 0; j < sum->n; j++) {
        n_nonzero += sum->q[j] != 0;
        n_free += sum->error[j] > 0;
    }
    assert_true(n_free == p->params->n && n_nonzero <= n_free && n_nonzero > 0);
    assert_true(sum->h <= h + 1e-9 * (1 + fabs(h)));
    assert_true(sum->h >= h - 1e-6 * (1 + fabs(h)));
    free(want);
    free(got);
    free(error);
}

static void sums_of_rows_are_those_of_the_optimisers_rows(void **state)
{
    static const char *const plans[][3] = {{"0"}, {"!2", "3.."}, {"3"}, {"last"}, {"2.."}};

    (void)state;
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        for (int at_model = 0; at_model < 2; at_model++) {
            problem p =
                open_problem(make_pieces(i + 1), random_points(i + 7, 9 * 128), 9, plans[i]);
            checked c;
            double y[MAX_ROWS] = {0}, *zero = calloc((size_t)p.params->n, sizeof *zero);
            nm_claim_proof proof;
            nm_proof_sum sum;
            nm_err err = {0};

            if (at_model)
                nm_assert_ok(nm_tail_move(ctx, p.tail, zero, &err), &err);
            open_checked(&p, &c);
            choose_rows(&p);
            fill_multipliers(&p, y);
            proof = make_proof(&p, at_model ? NM_PIECES_MODEL : NM_PIECES_FIXED, y);
            nm_assert_ok(nm_proof_sum_make(&c.state, &proof, &sum, &err), &err);
            compare(&p, &sum, y);
            nm_proof_sum_clear(&sum);
            free_proof(&proof);
            free_checked(&c);
            free(zero);
            close_problem(&p);
        }
}

/* A proof for any pieces needs a tail without; smooth operators and batch normalisation scales have
   no proof at all. */
static void rows_that_are_not_exact_are_refused(void **state)
{
    static const struct {
        bool residual;
        const char *marks[3];
        nm_claim_pieces pieces;
        nm_status want;
        const char *say;
    } cases[] = {{false, {"2"}, NM_PIECES_ANY, NM_E_ARG, "has pieces"},
                 {false, {"last"}, NM_PIECES_ANY, NM_OK, ""},
                 {false, {"1"}, NM_PIECES_MODEL, NM_E_UNSUPPORTED, "batch normalisation"},
                 {true, {"0"}, NM_PIECES_MODEL, NM_E_UNSUPPORTED, "HardSwish"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problem p = open_problem(cases[i].residual ? make_residual(3) : make_pieces(3),
                                 random_points(2, 3 * 128), 3, cases[i].marks);
        checked c;
        nm_claim_point point = {.margin = 1, .n = 1};
        nm_claim_row row = {.op = -1, .k = p.demand.target[0] == 0, .y = 1};
        nm_claim_proof proof = {
            .pieces = cases[i].pieces, .points = &point, .n_points = 1, .rows = &row, .n_rows = 1};
        nm_proof_sum sum;
        nm_err err = {0};
        nm_status got;

        open_checked(&p, &c);
        got = nm_proof_sum_make(&c.state, &proof, &sum, &err);

        if (got != cases[i].want || (got != NM_OK && !strstr(err.text, cases[i].say)))
            fail_msg("case %zu: %d, %s", i, (int)got, err.text);
        nm_proof_sum_clear(&sum);
        free_checked(&c);
        close_problem(&p);
    }
}

static void rows_that_are_not_there_are_refused(void **state)
{
    problem p =
        open_problem(make_pieces(5), random_points(4, 4 * 128), 4, (const char *[]){"3", NULL});
    checked c;
    const nm_claim_point good = {.margin = 1, .n = 1};
    const struct {
        nm_claim_point point;
        nm_claim_row row;
    } cases[] = {{{.point = 99, .n = 1}, {.op = -1, .k = 0, .y = 1}},
                 {{.set = NM_SET_KEEP, .point = 3, .n = 1}, {.op = -1, .k = 0, .y = 1}},
                 {good, {.op = -1, .k = p.demand.target[0], .y = 1}},
                 {good, {.op = -1, .k = 4, .y = 1}},
                 {good, {.op = -1, .k = -1, .y = 1}},
                 {good, {.op = 10000, .k = 0, .y = 1}},
                 {good, {.op = p.net->layers[0].op, .k = 0, .y = 1}},
                 {good, {.op = p.net->n_ops - 2, .k = INT64_MAX, .y = 1}},
                 {good, {.op = p.net->layers[0].op + 2, .k = 0, .y = 1}}}; /* before the edit */

    (void)state;
    open_checked(&p, &c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_claim_point point = cases[i].point;
        nm_claim_row row = cases[i].row;
        nm_claim_proof proof = {
            .pieces = NM_PIECES_MODEL, .points = &point, .n_points = 1, .rows = &row, .n_rows = 1};
        nm_proof_sum sum;
        nm_err err = {0};

        assert_int_equal(nm_proof_sum_make(&c.state, &proof, &sum, &err), NM_E_ARG);
        assert_true(err.text[0] != 0);
        nm_proof_sum_clear(&sum);
    }
    free_checked(&c);
    close_problem(&p);
}

/* Margins as they are at the tail's change, less the float64 rounding of the evaluation. */
static void ask_for_what_is(problem *p)
{
    double value[MAX_ROWS], *a = calloc(MAX_ROWS * (size_t)p->params->n, sizeof *a);
    nm_err err = {0};

    nm_assert_ok(nm_rows_make(ctx, p->tail, &p->demand, p->rows, p->n_rows, a, value, &err), &err);
    for (int64_t r = 0; r < p->n_rows; r++)
        if (p->rows[r].kind == NM_ROW_LABEL) /* one label row a point */
            p->demand.margin[p->rows[r].point] = value[r] - 1e-13;
    free(a);
}

/* Label rows that MODEL breaks: only these bound a change from below. */
static void find_broken(const problem *p, const checked *c, bool *broken)
{
    for (int64_t r = 0; r < p->n_rows; r++) {
        double y[MAX_ROWS] = {0};
        nm_claim_proof proof;
        nm_proof_sum sum;
        nm_err err = {0};

        y[r] = 1;
        proof = make_proof(p, NM_PIECES_FIXED, y);
        nm_assert_ok(nm_proof_sum_make(&c->state, &proof, &sum, &err), &err);
        broken[r] = p->rows[r].kind == NM_ROW_LABEL && sum.h > 0;
        nm_proof_sum_clear(&sum);
        free_proof(&proof);
    }
}

/* FIXED satisfies the rows exactly where margins are what it has: whatever the multipliers, no
   bound may exceed the norm of its change, and nothing may prove that it does not exist. */
static void no_multipliers_prove_more_than_is_true(void **state)
{
    static const double bounds[][2] = {
        {-INFINITY, INFINITY}, {-0.2, 0.1}, {-0.2, INFINITY}, {-0.3, 0.3}};
    problem p =
        open_problem(make_pieces(8), random_points(5, 9 * 128), 9, (const char *[]){"3..", NULL});
    checked c;
    bool broken[MAX_ROWS];
    double best = 0;
    nm_err err = {0};

    (void)state;
    open_checked(&p, &c);
    choose_rows(&p);
    ask_for_what_is(&p);
    find_broken(&p, &c, broken);
    for (int round = 0; round < 400; round++) {
        double y[MAX_ROWS] = {0}, scale = exp(3 * nm_rng_normal(&p.rng)), objective, bound;
        nm_claim_statement s = {.norm = (nm_norm)(round % 4), .mean_over = (double)p.params->n};

        for (int64_t r = 0; r < p.n_rows; r++)
            if (nm_rng_uniform(&p.rng) < (broken[r] ? 0.5 : 0.01))
                y[r] = scale * nm_rng_uniform(&p.rng);
        c.claim.lo = bounds[round / 4 % 4][0];
        c.claim.hi = bounds[round / 4 % 4][1];
        s.proof = make_proof(&p, NM_PIECES_FIXED, y);
        nm_assert_ok(nm_measure_optimality(&c.state, &s, &objective, &bound, &err), &err);
        if (!(bound <= objective))
            fail_msg("round %d: norm %d, bound %.17g, objective %.17g", round, (int)s.norm, bound,
                     objective);
        best = fmax(best, bound / objective);
        free_proof(&s.proof);
    }
    assert_true(best > 0.01); /* the bounds say something */
    free_checked(&c);
    close_problem(&p);
}

static void no_multipliers_disprove_what_is_feasible(void **state)
{
    static const double boxes[] = {1e9, 1, 1e-3, 1e-9};
    problem p =
        open_problem(make_pieces(9), random_points(6, 9 * 128), 9, (const char *[]){"3..", NULL});
    double *zero = calloc((size_t)p.params->n, sizeof *zero);
    checked c;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_tail_move(ctx, p.tail, zero, &err), &err);
    open_checked(&p, &c);
    choose_rows(&p);
    ask_for_what_is(&p);
    for (int round = 0; round < 100; round++) {
        double y[MAX_ROWS] = {0}, found;
        nm_claim_proof proof;

        fill_multipliers(&p, y);
        proof = make_proof(&p, NM_PIECES_MODEL, y);
        nm_assert_ok(nm_measure_infeasible(&c.state, &proof, boxes, 4, &found, &err), &err);
        assert_true(found == 0);
        free_proof(&proof);
    }
    p.demand.margin[0] += 1e-3; /* within so small a box, that is too much */
    for (int more = 0; more < 2; more++) {
        double y[MAX_ROWS] = {1}, found;
        nm_claim_proof proof = make_proof(&p, NM_PIECES_MODEL, y);

        nm_assert_ok(nm_measure_infeasible(&c.state, &proof, boxes, 3 + more, &found, &err), &err);
        assert_true((found > 0) == (more == 1));
        free_proof(&proof);
    }
    free(zero);
    free_checked(&c);
    close_problem(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_of_rows_are_those_of_the_optimisers_rows),
        cmocka_unit_test(rows_that_are_not_exact_are_refused),
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(no_multipliers_prove_more_than_is_true),
        cmocka_unit_test(no_multipliers_disprove_what_is_feasible),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
