/* Rows as outer products against their gradients written out, and inner products in a metric
   against the metric as a matrix. */
#include "problem_support.h"

#include "problem/forms.h"

static const nm_metric_opts damped = {.damping_in = 0.2, .damping_out = 0.3, .seed = 1};

typedef struct setup {
    problem p;
    nm_edits *edits;
    nm_crowd *crowd;
    nm_metric *metric; /* NULL: the identity */
    nm_forms *forms;
    int64_t m;
    double *a;     /* [m x params->n] gradients of the rows so far, from nm_rows_make() */
    double *value; /* [m] */
} setup;

enum { MOST = 200 };

static double *zeros(int64_t n)
{
    double *p = calloc(n > 0 ? (size_t)n : 1, sizeof *p);

    assert_non_null(p);
    return p;
}

static setup open_setup(problem p, bool measured)
{
    setup s = {.p = p, .a = zeros(MOST * p.params->n), .value = zeros(MOST)};
    nm_err err = {0};

    choose_rows(&s.p);
    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &s.edits, &err), &err);
    assert_non_null(s.edits);
    nm_assert_ok(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &s.crowd, &err), &err);
    if (measured)
        nm_assert_ok(nm_metric_new(ctx, s.edits, s.crowd, &damped, &s.metric, &err), &err);
    nm_assert_ok(nm_forms_new(ctx, s.edits, s.metric, &s.forms, &err), &err);
    return s;
}

static void close_setup(setup *s)
{
    nm_forms_free(s->forms);
    nm_metric_free(s->metric);
    nm_crowd_free(s->crowd);
    nm_edits_free(s->edits);
    close_problem(&s->p);
    free(s->a);
    free(s->value);
}

/* -- filling --------------------------------------------------------------------------------- */

/* n of the problem's rows, `first` on, and their gradients. */
static void add_rows(setup *s, const nm_row_id *rows, int64_t n)
{
    double *value = zeros(n);
    nm_err err = {0};

    assert_true(s->m + n <= MOST);
    nm_assert_ok(nm_forms_add(s->forms, s->p.tail, &s->p.demand, rows, n, value, &err), &err);
    nm_assert_ok(nm_rows_make(ctx, s->p.tail, &s->p.demand, rows, n, s->a + s->m * s->p.params->n,
                              s->value + s->m, &err),
                 &err);
    nm_assert_close(value, s->value + s->m, (size_t)n, 1e-12, 1e-12);
    s->m += n;
    assert_int_equal(nm_forms_n_rows(s->forms), s->m);
    free(value);
}

static void add_units(setup *s, int64_t n)
{
    int64_t unknown[20], all = s->p.params->n;
    double sign[20];
    nm_err err = {0};

    assert_true(s->m + n <= MOST && n <= 20);
    for (int64_t i = 0; i < n; i++) { /* the first, the last, others */
        unknown[i] = i == 0   ? 0
                     : i == 1 ? all - 1
                              : (int64_t)nm_rng_below(&s->p.rng, (uint64_t)all);
        sign[i] = i % 2 ? -1 : 1;
        memset(s->a + (s->m + i) * all, 0, (size_t)all * sizeof *s->a);
        s->a[(s->m + i) * all + unknown[i]] = sign[i];
    }
    nm_assert_ok(nm_forms_add_units(s->forms, unknown, sign, n, &err), &err);
    s->m += n;
}

/* -- M^-1 written out ------------------------------------------------------------------------- */

/* out = matrix^-1 v for each of n vectors, one at a time. */
static void solve_each(const nm_moment *moment, const double *v, int64_t n, int64_t size,
                       double *out)
{
    nm_err err = {0};

    for (int64_t i = 0; i < n; i++)
        nm_assert_ok(nm_moment_solve(ctx, moment, v + i * size, 1, out + i * size, &err), &err);
}

/* G^-1 D S^-1 of one layer's part of d. */
static void solve_layer(const setup *s, int b, const double *d, double *out)
{
    const nm_edit *e = &s->edits->at[b];
    int64_t n_out = e->form.n_out, width = e->width, size = n_out * width;
    double *matrix = zeros(size), *half = zeros(size), *turned = zeros(size);

    nm_edit_from_params(s->edits, b, d, matrix);
    solve_each(s->metric->seen[b], matrix, n_out, width, half);
    for (int64_t i = 0; i < size; i++)
        turned[i % width * n_out + i / width] = half[i];
    solve_each(s->metric->emitted[b], turned, width, n_out, half);
    for (int64_t i = 0; i < size; i++)
        matrix[i] = half[i % width * n_out + i / width];
    nm_edit_to_params(s->edits, b, matrix, out);
    free(matrix);
    free(half);
    free(turned);
}

static void solve_metric(const setup *s, const double *d, double *out)
{
    if (!s->metric) {
        memcpy(out, d, (size_t)s->p.params->n * sizeof *out);
        return;
    }
    for (int b = 0; b < s->edits->n; b++)
        solve_layer(s, b, d, out);
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;

    for (int64_t k = 0; k < n; k++)
        sum += a[k] * b[k];
    return sum;
}

/* -- comparing ------------------------------------------------------------------------------- */

static void check_products(const setup *s, const double *solved, int64_t first, double *k,
                           int64_t ld)
{
    int64_t n = s->p.params->n;
    nm_err err = {0};

    nm_assert_ok(nm_forms_products(s->forms, first, k, ld, &err), &err);
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->m; j++) {
            double want = dot(s->a + i * n, solved + j * n, n);
            double scale =
                sqrt(dot(s->a + i * n, solved + i * n, n) * dot(s->a + j * n, solved + j * n, n));

            if (i >= first || j >= first)
                nm_assert_close(&k[i * ld + j], &want, 1, 1e-10, 1e-10 * scale);
            assert_true(k[i * ld + j] == k[j * ld + i]);
        }
}

static void check_combination(setup *s, const double *solved)
{
    int64_t n = s->p.params->n;
    double *y = zeros(s->m), *d = zeros(n), *want = zeros(n), scale = 0;
    nm_err err = {0};

    for (int64_t r = 0; r < s->m; r++) {
        y[r] = nm_rng_below(&s->p.rng, 3) ? nm_rng_normal(&s->p.rng) : 0;
        for (int64_t i = 0; i < n; i++)
            want[i] += y[r] * solved[r * n + i];
    }
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs(want[i]));
        d[i] = NAN;
    }
    nm_assert_ok(nm_forms_combine(s->forms, y, d, &err), &err);
    nm_assert_close(d, want, (size_t)n, 1e-9, 1e-11 * scale);
    memset(y, 0, (size_t)s->m * sizeof *y);
    nm_assert_ok(nm_forms_combine(s->forms, y, d, &err), &err);
    for (int64_t i = 0; i < n; i++)
        assert_true(d[i] == 0);
    free(y);
    free(d);
    free(want);
}

/* All inner products, with those of the first `known` rows taken over from before. */
static void check_all(setup *s, double *k, int64_t known)
{
    int64_t n = s->p.params->n;
    double *solved = zeros(s->m * n);

    for (int64_t r = 0; r < s->m; r++)
        solve_metric(s, s->a + r * n, solved + r * n);
    check_products(s, solved, known, k, MOST);
    check_combination(s, solved);
    free(solved);
}

/* Rows and units in turn, as programs add them; then once more from the start at another change. */
static void check(problem p, bool measured)
{
    setup s = open_setup(p, measured);
    double *k = zeros((int64_t)MOST * MOST), *delta;
    int64_t n_rows = s.p.n_rows < 60 ? s.p.n_rows : 60, known;
    nm_err err = {0};

    assert_int_equal(nm_forms_n_rows(s.forms), 0);
    add_rows(&s, s.p.rows, n_rows / 2);
    check_all(&s, k, 0);
    known = s.m;
    add_units(&s, 6);
    check_all(&s, k, known);
    known = s.m;
    add_rows(&s, s.p.rows + n_rows / 2, n_rows - n_rows / 2);
    add_units(&s, 3);
    check_all(&s, k, known);

    delta = random_step(&s.p, 0.5 / sqrt((double)s.p.params->n));
    nm_assert_ok(nm_tail_move(ctx, s.p.tail, delta, &err), &err);
    nm_forms_reset(s.forms);
    s.m = 0;
    assert_int_equal(nm_forms_n_rows(s.forms), 0);
    add_units(&s, 2);
    add_rows(&s, s.p.rows, n_rows);
    check_all(&s, k, 0);
    nm_free(delta);
    free(k);
    close_setup(&s);
}

/* -- layers ---------------------------------------------------------------------------------- */

static problem chain_problem(uint64_t seed, const char *const *marks)
{
    static const int64_t widths[] = {5, 7, 6, 4};

    return open_problem(make_chain(seed, "Relu", widths, 3), random_points(seed, 9 * 5), 9, marks);
}

static void dense_layers_are_outer_products(void **state)
{
    static const char *const marks[][3] = {{"0"}, {"1"}, {"last"}};

    (void)state;
    for (int i = 0; i < 6; i++)
        check(chain_problem((uint64_t)i, marks[i / 2]), i % 2);
}

static void joint_layers_add_up(void **state)
{
    static const char *const marks[][3] = {{"0.."}, {"1.."}, {"0,1"}, {"0,1,2"}, {"0,last"}};

    (void)state;
    for (int i = 0; i < 10; i++)
        check(chain_problem((uint64_t)i, marks[i / 2]), i % 2);
}

/* Weights stored the other way round, scaled, and more than one row a point. */
static void layers_of_several_rows_are_sums_of_outer_products(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        net_maker m = make_net((uint64_t)i, MAKE_SHAPE(1, 3, 6));
        const nm_attr_value attrs[] = {{.name = "alpha", .type = NM_ATTR_FLOAT, .f = 0.5},
                                       {.name = "beta", .type = NM_ATTR_FLOAT, .f = -2},
                                       {.name = "transB", .type = NM_ATTR_INT, .i = i / 2 % 2}};
        int w = make_constant(&m, i / 2 % 2 ? MAKE_SHAPE(8, 6) : MAKE_SHAPE(6, 8), 0, 0.5);

        if (i < 4)
            make_op(&m, "Gemm", (int[]){m.at, w, make_constant(&m, MAKE_SHAPE(8), 0, 1)}, 3, attrs,
                    3);
        else
            make_op(&m, "MatMul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(6, 8), 0, 0.5)}, 2,
                    NULL, 0);
        make_unary(&m, "Relu");
        make_unary(&m, "Flatten");
        make_dense(&m, 3);
        check(open_problem(make_done(&m), random_points(2, 5 * 18), 5, edits[0]), i % 2);
    }
}

/* Few positions and many channels: sums of outer products; many positions: whole matrices. */
static nm_net *cnn(uint64_t seed, int64_t side, int64_t channels)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, channels, side, side));

    make_conv(&m, channels + 1, 3, side < 4 ? 1 : 2);
    make_unary(&m, "Relu");
    make_conv(&m, channels, 3, 1);
    make_unary(&m, "Relu");
    make_unary(&m, "Flatten");
    make_dense(&m, 3);
    return make_done(&m);
}

static void check_cnn(int64_t side, int64_t channels, bool whole)
{
    static const char *const marks[][3] = {{"0"}, {"1"}, {"0.."}, {"0,1"}, {"0,1,2"}};

    for (int i = 0; i < 10; i++) {
        problem p =
            open_problem(cnn((uint64_t)i, side, channels),
                         random_points((uint64_t)i, 4 * channels * side * side), 4, marks[i / 2]);
        nm_edits *list;
        nm_err err = {0};

        nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &list, &err), &err);
        const nm_edit *e = &list->at[0];

        assert_true((e->form.places * (e->form.n_out + e->width) > e->form.n_out * e->width) ==
                    whole);
        nm_edits_free(list);
        check(p, i % 2);
    }
}

static void convolutions_with_few_positions_are_sums_of_outer_products(void **state)
{
    (void)state;
    check_cnn(2, 6, false);
}

static void convolutions_with_many_positions_are_whole_matrices(void **state)
{
    (void)state;
    check_cnn(8, 2, true);
}

/* The same problem with only weights, or only biases, of the layers free. */
static problem free_only(problem p, const char *layers, nm_free_kind what)
{
    double *delta;
    nm_err err = {0};

    nm_tail_free(p.tail);
    nm_params_free(p.params);
    nm_plan_free(p.plan);
    nm_assert_ok(nm_plan_new(p.net, &p.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(p.plan, layers, what, &err), &err);
    nm_assert_ok(nm_params_new(p.plan, &p.params, &err), &err);
    nm_assert_ok(nm_tail_new(ctx, p.net, p.params, p.x, p.n, false, &p.tail, &err), &err);
    delta = random_step(&p, 0.3 / sqrt((double)p.params->n));
    nm_assert_ok(nm_tail_move(ctx, p.tail, delta, &err), &err);
    nm_free(delta);
    return p;
}

static void weights_or_biases_alone_may_change(void **state)
{
    static const char *const layers[] = {"0", "1", "0..", "0,1"};
    static const nm_free_kind kinds[] = {NM_FREE_WEIGHTS, NM_FREE_BIASES};

    (void)state;
    for (int i = 0; i < 16; i++) {
        problem chain = chain_problem((uint64_t)i, edits[0]);
        problem conv =
            open_problem(cnn((uint64_t)i, i % 2 ? 2 : 8, i % 2 ? 6 : 2),
                         random_points((uint64_t)i, 4 * (i % 2 ? 24 : 128)), 4, edits[0]);

        check(free_only(chain, layers[i / 4], kinds[i / 2 % 2]), i % 2);
        check(free_only(conv, layers[i / 4], kinds[i / 2 % 2]), i % 2);
    }
}

/* -- points that come later, many of them, threads ----------------------------------------------
 */

/* Keep points are appended to a tail whose rows are there already. */
static void appended_points_get_rows_too(void **state)
{
    static const char *const marks[][3] = {{"1"}, {"0,1"}, {"0.."}};

    (void)state;
    for (int i = 0; i < 6; i++) {
        setup s = open_setup(chain_problem((uint64_t)i, marks[i / 2]), i % 2);
        float *x = random_points(77, 3 * s.p.n_in);
        double *k = zeros((int64_t)MOST * MOST);
        int64_t n = s.p.n, known;
        nm_row_id rows[6];
        nm_tail *more;
        nm_err err = {0};

        add_rows(&s, s.p.rows, 20);
        check_all(&s, k, 0);
        known = s.m;
        nm_assert_ok(nm_tail_new(ctx, s.p.net, s.p.params, x, 3, true, &more, &err), &err);
        nm_assert_ok(nm_tail_append(s.p.tail, more, (int64_t[]){2, 0, 1}, 3, &err), &err);
        nm_assert_ok(nm_tail_move(ctx, s.p.tail, s.p.tail->delta, &err), &err);
        s.p.demand.target = realloc(s.p.demand.target, (size_t)(n + 3) * sizeof *s.p.demand.target);
        s.p.demand.margin = realloc(s.p.demand.margin, (size_t)(n + 3) * sizeof *s.p.demand.margin);
        assert_non_null(s.p.demand.target);
        assert_non_null(s.p.demand.margin);
        for (int64_t r = 0; r < 6; r++) {
            rows[r] = (nm_row_id){.kind = NM_ROW_LABEL, .point = n + r % 3, .k = 1 + r / 3};
            s.p.demand.target[n + r % 3] = 0;
            s.p.demand.margin[n + r % 3] = 0;
        }
        add_rows(&s, rows, 6);
        add_rows(&s, s.p.rows + 20, 10);
        check_all(&s, k, known);
        nm_tail_free(more);
        free(x);
        free(k);
        close_setup(&s);
    }
}

static nm_row_id label_row(const problem *p, int64_t r)
{
    int64_t point = r % p->n, k = r / p->n;

    return (nm_row_id){
        .kind = NM_ROW_LABEL, .point = point, .k = k + (k >= p->demand.target[point])};
}

/* Inner products and a combination of n rows of a problem with many points, to the last bit. */
static double *fingerprint(problem p, int64_t n, int64_t *length)
{
    setup s = {.p = p};
    nm_row_id *rows = calloc((size_t)n, sizeof *rows);
    double *out = zeros(n * n + p.params->n + n), *y = zeros(n);
    nm_err err = {0};

    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &s.edits, &err), &err);
    nm_assert_ok(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &s.crowd, &err), &err);
    nm_assert_ok(nm_metric_new(ctx, s.edits, s.crowd, &damped, &s.metric, &err), &err);
    nm_assert_ok(nm_forms_new(ctx, s.edits, s.metric, &s.forms, &err), &err);
    for (int64_t r = 0; r < n; r++) {
        rows[r] = label_row(&p, r);
        y[r] = 1 / (double)(1 + r);
    }
    nm_assert_ok(nm_forms_add(s.forms, p.tail, &p.demand, rows, n / 3, out + n * n, &err), &err);
    nm_assert_ok(nm_forms_products(s.forms, 0, out, n, &err), &err);
    nm_assert_ok(nm_forms_add(s.forms, p.tail, &p.demand, rows + n / 3, n - n / 3,
                              out + n * n + n / 3, &err),
                 &err);
    nm_assert_ok(nm_forms_products(s.forms, n / 3, out, n, &err), &err);
    nm_assert_ok(nm_forms_combine(s.forms, y, out + n * n + n, &err), &err);
    *length = n * n + n + p.params->n;
    free(rows);
    free(y);
    close_setup(&s);
    return out;
}

static void threads_do_not_change_a_bit(void **state)
{
    static const int64_t widths[] = {20, 70, 60, 4};
    static const char *const marks[][3] = {{"1"}, {"0,1"}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        double *all[3];
        int64_t n = 0;

        for (int t = 0; t < 3; t++) {
            nm_ctx_set_threads(ctx, t + 1);
            all[t] = i < 2 ? fingerprint(open_problem(make_chain(1, "Relu", widths, 3),
                                                      random_points(1, 700 * 20), 700, marks[i]),
                                         1200, &n)
                           : fingerprint(open_problem(cnn(1, 8, 4), random_points(1, 200 * 256),
                                                      200, marks[1]),
                                         300, &n);
        }
        for (int t = 1; t < 3; t++)
            assert_memory_equal(all[0], all[t], (size_t)n * sizeof **all);
        for (int t = 0; t < 3; t++)
            free(all[t]);
    }
    nm_ctx_set_threads(ctx, 2);
}

/* -- refusals ---------------------------------------------------------------------------------- */

static void assert_no_form(problem p)
{
    nm_edits *list;
    nm_err err = {0};

    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &list, &err), &err);
    assert_null(list);
    close_problem(&p);
}

static void masks_and_other_layers_have_no_form(void **state)
{
    static const char *const mask[] = {"!1", NULL};
    static const char *const norm[] = {"1", NULL}, *const both[] = {"0,1", NULL};
    net_maker m = make_net(3, MAKE_SHAPE(1, 4, 5, 5));
    const nm_attr_value group = {.name = "group", .type = NM_ATTR_INT, .i = 2};

    (void)state;
    assert_no_form(chain_problem(1, mask));
    assert_no_form(residual_problem(norm, 2)); /* batch normalisation */
    assert_no_form(residual_problem(both, 2));
    make_op(&m, "Conv",
            (int[]){m.at, make_constant(&m, MAKE_SHAPE(4, 2, 3, 3), 0, 1),
                    make_constant(&m, MAKE_SHAPE(4), 0, 1)},
            3, &group, 1);
    make_unary(&m, "Flatten");
    make_dense(&m, 2);
    assert_no_form(open_problem(make_done(&m), random_points(3, 2 * 100), 2, edits[0]));
}

static void failed_allocations_are_reported(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        static const char *const marks[] = {"0,1", NULL};
        setup s = open_setup(open_problem(cnn(1, i ? 2 : 8, i ? 6 : 2),
                                          random_points(1, 4 * (i ? 24 : 128)), 4, marks),
                             true);
        double k[16 * 16], y[16] = {1, 2, 3}, value[16], *d = zeros(s.p.params->n);
        nm_status rc = NM_E_NOMEM;
        int n = 0;

        while (rc != NM_OK) {
            nm_forms *forms = NULL;
            nm_err err = {0};

            nm_mem_fail_at(++n);
            rc = nm_forms_new(ctx, s.edits, s.metric, &forms, &err);
            assert_true((rc == NM_OK) == (forms != NULL));
            if (rc == NM_OK)
                rc = nm_forms_add(forms, s.p.tail, &s.p.demand, s.p.rows, 10, value, &err);
            if (rc == NM_OK)
                rc = nm_forms_add_units(forms, (int64_t[]){3, 1}, (double[]){1, -1}, 2, &err);
            if (rc == NM_OK)
                rc = nm_forms_products(forms, 0, k, 16, &err);
            if (rc == NM_OK)
                rc = nm_forms_combine(forms, y, d, &err);
            nm_mem_fail_at(0);
            assert_true(rc == NM_OK || rc == NM_E_NOMEM);
            nm_forms_free(forms);
        }
        assert_true(n > 15);
        free(d);
        close_setup(&s);
    }
    nm_forms_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_layers_are_outer_products),
        cmocka_unit_test(joint_layers_add_up),
        cmocka_unit_test(layers_of_several_rows_are_sums_of_outer_products),
        cmocka_unit_test(convolutions_with_few_positions_are_sums_of_outer_products),
        cmocka_unit_test(convolutions_with_many_positions_are_whole_matrices),
        cmocka_unit_test(weights_or_biases_alone_may_change),
        cmocka_unit_test(appended_points_get_rows_too),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(masks_and_other_layers_have_no_form),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
