/* Programs most of whose rows and terms see one neuron: the interior point method eliminates these
 * first, and the answers are those of CLP on the same program written out. */
#include "twins.h"

/* What each list of equations looks like. */
typedef enum kind { LONE, MIXED, DIFFERENCES } kind;

typedef struct layout {
    const char *name;
    kind rows, terms;
    twin_shape shape; /* n_extra >= n_out: the first n_out extras are the neurons' own biases */
} layout;

/* The output layer's terms and differences of two of them; pins of a hidden layer with labels that
 * see all neurons; both with bounds, masks, and extras that are nobody's bias. */
static const layout layouts[] = {
    {"last layer", DIFFERENCES, LONE, {6, 9, 6, 14, 3, 6, 0, 0}},
    {"last layer, bounds", DIFFERENCES, LONE, {6, 9, 6, 14, 3, 6, 2, 0}},
    {"last layer, few weights", DIFFERENCES, LONE, {6, 30, 6, 9, 2, 6, 0, 0.85}},
    {"hidden layer", LONE, MIXED, {10, 16, 13, 9, 14, 2, 0, 0}},
    {"hidden layer without biases", LONE, MIXED, {10, 16, 0, 9, 14, 2, 0, 0.2}},
    {"pins only", LONE, MIXED, {10, 20, 10, 10, 10, 0, 0, 0}},
};
enum { N_LAYOUTS = sizeof layouts / sizeof *layouts };

/* Every third pin list entry of a LONE list of rows is a label row that sees all neurons. */
static bool is_lone(const layout *l, kind what, int64_t r)
{
    return what == LONE && (l->terms == LONE || l->shape.outputs == 0 || r % 6 != 5);
}

static void draw(const layout *l, kind what, nm_rng *rng, const twin *t, nm_factors *list)
{
    int64_t n_out = t->space.n_out, width = nm_factor_width(&t->space);
    bool biases = t->space.n_extra >= n_out;

    for (int64_t r = 0; r < list->m; r++) {
        double *g = list->g + r * width;
        int64_t number = r / t->n_points, i = number % n_out, other;

        memset(g, 0, (size_t)width * sizeof *g);
        for (int64_t k = 0; k < n_out && !is_lone(l, what, r) && what != DIFFERENCES; k++)
            g[k] = nm_rng_normal(rng);
        for (int64_t e = biases ? n_out : 0; e < t->space.n_extra && !is_lone(l, what, r); e++)
            g[n_out + e] = nm_rng_normal(rng);
        if (what == DIFFERENCES) { /* the point's label against others */
            i = list->point[r] % n_out;
            other = (i + 1 + number % (n_out - 1)) % n_out;
            g[other] = -1;
        }
        if (what == DIFFERENCES || is_lone(l, what, r))
            g[i] = what == LONE && l->terms != LONE && r % 2 ? -1 : 1;
        for (int64_t k = 0; k < n_out && biases; k++)
            g[n_out + k] = g[k];
    }
}

static twin *make(const layout *l, nm_norm norm, uint64_t seed)
{
    twin *t = new_twin(norm, l->shape, seed);
    nm_rng rng = {.seed = seed, .stream = 1};

    draw(l, l->rows, &rng, t, &t->rows);
    draw(l, l->terms, &rng, t, &t->terms);
    write_out_again(t);
    for (int64_t r = 0; r < t->rows.m; r++) /* most of a neuron's pins hold at 0 */
        t->dense.h[r] = is_lone(l, l->rows, r) && r % 4 ? -0.05 : 0.4;
    for (int64_t k = 0; k < t->terms.m; k++)
        t->dense.offset[k] = 0.1 * nm_rng_normal(&rng);
    return t;
}

/* Says whether the way under test was taken. */
static void look_for(void *user, nm_log_level level, const char *line)
{
    (void)level;
    *(bool *)user = *(bool *)user || strstr(line, "equations see one neuron") != NULL;
}

static nm_ctx *new_ctx(int threads, bool *taken)
{
    nm_ctx *ctx;

    assert_int_equal(nm_ctx_new(&ctx, NULL), NM_OK);
    nm_ctx_set_threads(ctx, threads);
    nm_ctx_set_log(ctx, look_for, taken);
    return ctx;
}

static void answers_are_those_of_clp(void **state)
{
    nm_err err = {0};
    int solved = 0;

    (void)state;
    for (int i = 0; i < N_LAYOUTS; i++)
        for (int k = 0; k < 12; k++) {
            twin *t = make(&layouts[i], all_norms[k % 3], (uint64_t)k);
            bool taken = false;
            nm_ctx *ctx = new_ctx(1, &taken);
            answer got, clp = solve_once(&t->dense, NM_SOLVER_CLP);

            nm_assert_ok(solve_factored(ctx, t, &got, &err), &err);
            if (!taken && got.outcome == NM_MASTER_SOLVED)
                fail_msg("%s: no equation was eliminated first", layouts[i].name);
            assert_int_equal(got.outcome, clp.outcome);
            if (clp.outcome == NM_MASTER_SOLVED) {
                check_solved(&t->dense, &got, 1e-8);
                nm_assert_close(&got.objective, &clp.objective, 1, 1e-7, 0);
                solved++;
            }
            free_answer(&got);
            free_answer(&clp);
            nm_ctx_free(ctx);
            free_twin(t);
        }
    assert_true(solved > 40);
}

/* With one row of one neuron that counts, only t holds it up: the matrix without t is singular. */
static void a_row_that_leans_on_t_alone_is_solved(void **state)
{
    nm_err err = {0};

    (void)state;
    for (int k = 0; k < 3; k++) {
        twin *t = make(&layouts[5], all_norms[k], 3);
        bool taken = false;
        nm_ctx *ctx = new_ctx(1, &taken);
        answer got, clp;

        for (int64_t r = 0; r < t->rows.m; r++)
            t->dense.h[r] = r == 4 ? 1 : -1e3;
        clp = solve_once(&t->dense, NM_SOLVER_CLP);
        nm_assert_ok(solve_factored(ctx, t, &got, &err), &err);
        assert_true(taken);
        check_solved(&t->dense, &got, 1e-8);
        nm_assert_close(&got.objective, &clp.objective, 1, 1e-8, 0);
        free_answer(&got);
        free_answer(&clp);
        nm_ctx_free(ctx);
        free_twin(t);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < N_LAYOUTS; i += 3) {
        layout wide = layouts[i];
        twin *t;
        answer got[2];

        wide.shape.n_in = 400; /* enough work that threads share it */
        wide.shape.points = 60;
        t = make(&wide, NM_NORM_LINF_L1N, 1);
        for (int k = 0; k < 2; k++) {
            bool taken = false;
            nm_ctx *ctx = new_ctx(k + 1, &taken);

            nm_assert_ok(solve_factored(ctx, t, &got[k], &err), &err);
            assert_true(taken && got[k].outcome == NM_MASTER_SOLVED);
            nm_ctx_free(ctx);
        }
        assert_memory_equal(got[0].d, got[1].d, (size_t)t->dense.spec.n * sizeof(double));
        assert_memory_equal(got[0].y, got[1].y, (size_t)t->rows.m * sizeof(double));
        free_answer(&got[0]);
        free_answer(&got[1]);
        free_twin(t);
    }
}

static void every_failing_allocation_is_reported(void **state)
{
    bool taken = false;
    nm_ctx *ctx = new_ctx(1, &taken);
    twin *t = make(&layouts[0], NM_NORM_LINF_L1N, 7);
    nm_status rc = NM_E_NOMEM;
    answer got = {0};

    (void)state;
    for (long n = 1; rc != NM_OK; n++) {
        nm_mem_fail_at(n);
        rc = solve_factored(ctx, t, &got, NULL);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        assert_true(n < 5000);
    }
    assert_int_equal(got.outcome, NM_MASTER_SOLVED);
    free_answer(&got);
    free_twin(t);
    nm_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_clp),
        cmocka_unit_test(a_row_that_leans_on_t_alone_is_solved),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
