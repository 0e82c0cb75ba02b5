/* The function norm's factors against Jacobians by finite differences, and what it is to measure:
   the divergence between the network's answers before and after. */
#include "problem_support.h"

#include "problem/forms.h"
#include "problem/metric.h"

static const nm_metric_opts strongly_damped = {.damping_in = 0.3, .damping_out = 0.2, .seed = 4};

typedef struct setup {
    problem p;
    nm_edits *edits;
    nm_crowd *crowd;
    nm_metric *metric;
} setup;

static setup open_setup(problem p, const nm_metric_opts *opts)
{
    setup s = {.p = p};
    nm_err err = {0};

    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &s.edits, &err), &err);
    assert_non_null(s.edits);
    nm_assert_ok(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &s.crowd, &err), &err);
    nm_assert_ok(nm_metric_new(ctx, s.edits, s.crowd, opts, &s.metric, &err), &err);
    return s;
}

static void close_setup(setup *s)
{
    nm_metric_free(s->metric);
    nm_crowd_free(s->crowd);
    nm_edits_free(s->edits);
    close_problem(&s->p);
}

static double *zeros(int64_t n)
{
    double *p = calloc((size_t)n, sizeof *p);

    assert_non_null(p);
    return p;
}

/* -- the factors written out ------------------------------------------------------------- */

/* Values of all points of the net as it is, in double. */
static nm_tape *evaluate(const setup *s)
{
    nm_tape *tape;
    nm_err err = {0};

    nm_assert_ok(nm_tape_new(s->p.net, s->p.n, NULL, &tape, &err), &err);
    nm_tape_set_input(tape, s->p.x);
    nm_assert_ok(nm_tape_forward(ctx, tape, NULL, true, &err), &err);
    return tape;
}

/* E[sum over places of u u'], u what the layer sees and perhaps the factor of its bias. */
static double *seen_by_definition(const setup *s, const nm_edit *e, const nm_tape *at)
{
    const nm_op *op = &s->p.net->ops[e->op];
    int64_t rows = s->p.n * e->form.places, n_in = e->form.n_in;
    int64_t n_weights = e->weight >= 0 ? n_in : 0;
    double *u = zeros(rows * n_in), *v = zeros(e->width), *sum = zeros(e->width * e->width);
    nm_arena arena = {0};
    nm_exec ex = {.net = s->p.net, .op = op, .n = s->p.n, .arena = &arena};

    op->kind->see(&ex, at->val[op->in[0]], u);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t k = 0; k < n_weights; k++)
            v[k] = e->form.alpha * u[r * n_in + k];
        if (e->bias >= 0)
            v[n_weights] = e->form.beta;
        for (int64_t i = 0; i < e->width; i++)
            for (int64_t k = 0; k < e->width; k++)
                sum[i * e->width + k] += v[i] * v[k] / (double)s->p.n;
    }
    nm_arena_clear(&arena);
    free(u);
    free(v);
    return sum;
}

/* Where entry i of a place's output stands: convolutions have their channels first. */
static int64_t position(const nm_op *op, const nm_matrix_form *form, int64_t place, int64_t i)
{
    return op->kind == &nm_op_conv ? i * form->places + place : place * form->n_out + i;
}

/* d scores / d z for the i-th output at one place, all points [n x n_scores]. */
static double *derivative(const setup *s, const nm_edit *e, nm_tape *at, int64_t place, int64_t i)
{
    const nm_net *net = s->p.net;
    const nm_op *op = &net->ops[e->op];
    const double h = 1e-4;
    int64_t n = s->p.n * s->p.n_scores, size = net->values[op->out].size;
    double *scores = at->val[net->scores], *d = zeros(n);
    bool *behind = calloc((size_t)net->n_ops, sizeof *behind);
    nm_err err = {0};

    for (int k = e->op + 1; k < net->n_ops; k++)
        behind[k] = true;
    for (int side = -1; side <= 2; side++) { /* below, nothing, above, and back */
        double step = side == -1 ? -h : side == 1 ? 2 * h : side == 2 ? -h : 0;

        for (int64_t p = 0; p < s->p.n; p++)
            at->val[op->out][p * size + position(op, &e->form, place, i)] += step;
        nm_assert_ok(nm_tape_forward(ctx, at, behind, true, &err), &err);
        for (int64_t k = 0; k < n && (side == -1 || side == 1); k++)
            d[k] += side * scores[k] / (2 * h);
    }
    free(behind);
    return d;
}

static void softmax(const double *score, int64_t n, double *p)
{
    double sum = 0;

    for (int64_t j = 0; j < n; j++)
        sum += exp(score[j]);
    for (int64_t j = 0; j < n; j++)
        p[j] = exp(score[j]) / sum;
}

/* a'(diag(p) - p p') b */
static double curvature(const double *p, const double *a, const double *b, int64_t n)
{
    double ab = 0, pa = 0, pb = 0;

    for (int64_t j = 0; j < n; j++) {
        ab += p[j] * a[j] * b[j];
        pa += p[j] * a[j];
        pb += p[j] * b[j];
    }
    return ab - pa * pb;
}

/* E[mean over places of J' H J]. */
static double *emitted_by_definition(const setup *s, const nm_edit *e, nm_tape *at)
{
    int64_t n_out = e->form.n_out, c = s->p.n_scores;
    double *sum = zeros(n_out * n_out), *p = zeros(s->p.n * c);
    double weight = (double)(s->p.n * e->form.places), **j = calloc((size_t)n_out, sizeof *j);

    for (int64_t q = 0; q < s->p.n; q++)
        softmax(at->val[s->p.net->scores] + q * c, c, p + q * c);
    for (int64_t t = 0; t < e->form.places; t++) {
        for (int64_t i = 0; i < n_out; i++)
            j[i] = derivative(s, e, at, t, i);
        for (int64_t q = 0; q < s->p.n; q++)
            for (int64_t i = 0; i < n_out; i++)
                for (int64_t k = 0; k < n_out; k++)
                    sum[i * n_out + k] +=
                        curvature(p + q * c, j[i] + q * c, j[k] + q * c, c) / weight;
        for (int64_t i = 0; i < n_out; i++)
            free(j[i]);
    }
    free(j);
    free(p);
    return sum;
}

/* The moment is the matrix with `damping` on its diagonal: their product with the inverse is 1. */
static void assert_moment(const nm_moment *moment, const double *matrix, int64_t n, double damping)
{
    double *unit = zeros(n * n), *inverse = zeros(n * n), *product = zeros(n * n);
    nm_err err = {0};

    for (int64_t i = 0; i < n; i++)
        unit[i * (n + 1)] = 1;
    nm_assert_ok(nm_moment_solve(ctx, moment, unit, n, inverse, &err), &err);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < n; k++) {
            product[i * n + k] = damping * inverse[i * n + k];
            for (int64_t l = 0; l < n; l++)
                product[i * n + k] += matrix[i * n + l] * inverse[l * n + k];
        }
    nm_assert_close(product, unit, (size_t)(n * n), 0, 2e-5);
    free(unit);
    free(inverse);
    free(product);
}

static double mean_diagonal(const double *matrix, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += matrix[i * (n + 1)] / (double)n;
    return sum;
}

static void check_factors(const setup *s, const nm_metric_opts *opts)
{
    nm_tape *at = evaluate(s);

    assert_int_equal(s->metric->n, s->edits->n);
    assert_int_equal(s->metric->n_points, s->p.n);
    for (int b = 0; b < s->edits->n; b++) {
        const nm_edit *e = &s->edits->at[b];
        double *seen = seen_by_definition(s, e, at), *emitted = emitted_by_definition(s, e, at);
        double in = opts->damping_in * mean_diagonal(seen, e->width);
        double out = opts->damping_out * mean_diagonal(emitted, e->form.n_out);

        nm_assert_close(&s->metric->damping_in[b], &in, 1, 1e-5, 0);
        nm_assert_close(&s->metric->damping_out[b], &out, 1, 1e-5, 0);
        assert_moment(s->metric->seen[b], seen, e->width, in);
        assert_moment(s->metric->emitted[b], emitted, e->form.n_out, out);
        free(seen);
        free(emitted);
    }
    nm_tape_free(at);
}

static void check(nm_net *net, int64_t n, const char *const *marks)
{
    float *x = random_points(6, n * net->values[net->input].size);
    setup s = open_setup(open_problem(net, x, n, marks), &strongly_damped);

    check_factors(&s, &strongly_damped);
    close_setup(&s);
}

/* -- tests ----------------------------------------------------------------------------------- */

static void dense_factors_are_those_of_the_definition(void **state)
{
    static const int64_t widths[] = {4, 6, 5, 3};
    static const char *const marks[][3] = {{"0"}, {"1"}, {"last"}, {"0.."}, {"1.."}, {"0,1,2"}};

    (void)state;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        check(make_chain(i, "Tanh", widths, 3), 30, marks[i]);
        check(make_chain(i, "Tanh", widths, 3), 1, marks[i]);
    }
}

/* Weights stored either way round, scaled, several rows per point, biases and none. */
static void forms_of_dense_layers_count(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        net_maker m = make_net((uint64_t)i, MAKE_SHAPE(1, 2, 3));
        const nm_attr_value attrs[] = {{.name = "alpha", .type = NM_ATTR_FLOAT, .f = 0.5},
                                       {.name = "beta", .type = NM_ATTR_FLOAT, .f = -2},
                                       {.name = "transB", .type = NM_ATTR_INT, .i = i % 2}};
        int w = make_constant(&m, i % 2 ? MAKE_SHAPE(4, 3) : MAKE_SHAPE(3, 4), 0, 1);

        if (i < 2)
            make_op(&m, "Gemm", (int[]){m.at, w, make_constant(&m, MAKE_SHAPE(4), 0, 1)}, 3, attrs,
                    3);
        else
            make_op(&m, "MatMul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(3, 4), 0, 1)}, 2, NULL,
                    0);
        make_unary(&m, "Tanh");
        make_unary(&m, "Flatten");
        make_dense(&m, 3);
        check(make_done(&m), 12, edits[0]);
    }
}

static nm_net *small_cnn(uint64_t seed)
{
    net_maker m = make_net(seed, MAKE_SHAPE(1, 2, 5, 4));

    make_conv(&m, 3, 3, 1);
    make_unary(&m, "Tanh");
    make_conv(&m, 4, 3, 2);
    make_unary(&m, "Sigmoid");
    make_unary(&m, "Flatten");
    make_dense(&m, 3);
    return make_done(&m);
}

static void convolution_factors_are_those_of_the_definition(void **state)
{
    static const char *const marks[][3] = {{"0"}, {"1"}, {"0.."}, {"0,1"}};

    (void)state;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        check(small_cnn(i), 8, marks[i]);
}

/* Weights only and biases only leave columns out. */
static void what_is_not_free_is_not_measured(void **state)
{
    static const int64_t widths[] = {3, 4, 3};
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        problem p =
            open_problem(make_chain(2, "Tanh", widths, 2), random_points(2, 30), 10, edits[0]);

        nm_tail_free(p.tail);
        nm_params_free(p.params);
        nm_plan_free(p.plan);
        nm_assert_ok(nm_plan_new(p.net, &p.plan, &err), &err);
        nm_assert_ok(nm_plan_mark_text(p.plan, "0", i ? NM_FREE_BIASES : NM_FREE_WEIGHTS, &err),
                     &err);
        nm_assert_ok(nm_params_new(p.plan, &p.params, &err), &err);
        nm_assert_ok(nm_tail_new(ctx, p.net, p.params, p.x, p.n, false, &p.tail, &err), &err);
        setup s = open_setup(p, &strongly_damped);

        assert_int_equal(s.edits->at[0].width, i ? 1 : 3);
        check_factors(&s, &strongly_damped);
        close_setup(&s);
    }
}

/* More points than a chunk: their moments are still those of all. */
static void chunks_add_up(void **state)
{
    static const int64_t widths[] = {3, 4, 3};

    (void)state;
    check(make_chain(3, "Tanh", widths, 2), 1500, edits[0]);
}

/* A change that wants to move one score against another by c is c^2 / K long, K = a'M^-1 a. With
   one reference point and one layer the metric is exact: half of it is the divergence. */
static void half_the_squared_length_is_the_divergence(void **state)
{
    static const int64_t widths[] = {5, 4};
    static const nm_metric_opts hardly_damped = {.damping_in = 1e-9, .damping_out = 1e-9};

    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        setup s = open_setup(
            open_problem(make_chain(seed, "Relu", widths, 1), random_points(seed, 5), 1, edits[0]),
            &hardly_damped);
        const double c = 1e-3;
        nm_row_id row = {.kind = NM_ROW_LABEL, .k = (s.p.demand.target[0] + 1) % 4};
        nm_forms *forms;
        double value, k, y, p[4], q[4], divergence = 0, *d = zeros(s.p.params->n);
        nm_tail *tail;
        nm_err err = {0};

        nm_assert_ok(nm_forms_new(ctx, s.edits, s.metric, &forms, &err), &err);
        nm_assert_ok(nm_forms_add(forms, s.p.tail, &s.p.demand, &row, 1, &value, &err), &err);
        nm_assert_ok(nm_forms_products(forms, 0, &k, 1, &err), &err);
        y = c / k;
        nm_assert_ok(nm_forms_combine(forms, &y, d, &err), &err);
        nm_assert_ok(nm_tail_new(ctx, s.p.net, s.p.params, s.p.x, 1, false, &tail, &err), &err);
        softmax(tail->at->val[s.p.net->scores], 4, p);
        nm_assert_ok(nm_tail_move(ctx, tail, d, &err), &err);
        softmax(tail->at->val[s.p.net->scores], 4, q);
        for (int j = 0; j < 4; j++)
            divergence += p[j] * log(p[j] / q[j]);
        double want = c * c / k / 2;

        nm_assert_close(&divergence, &want, 1, 5e-3, 0);
        free(d);
        nm_tail_free(tail);
        nm_forms_free(forms);
        close_setup(&s);
    }
}

/* -- many classes -------------------------------------------------------------------------- */

static setup many_classes(int64_t n, uint64_t seed)
{
    static const int64_t widths[] = {4, 20};
    nm_metric_opts opts = {.damping_in = 0.1, .damping_out = 1, .seed = seed};

    return open_setup(
        open_problem(make_chain(5, "Relu", widths, 1), random_points(5, n * 4), n, edits[0]),
        &opts);
}

/* G^-1 as a matrix. */
static double *inverse_of(const nm_moment *moment, int64_t n)
{
    double *unit = zeros(n * n), *inverse = zeros(n * n);
    nm_err err = {0};

    for (int64_t i = 0; i < n; i++)
        unit[i * (n + 1)] = 1;
    nm_assert_ok(nm_moment_solve(ctx, moment, unit, n, inverse, &err), &err);
    free(unit);
    return inverse;
}

/* Drawn classes give the same in the mean: (G + e I) times the estimate's inverse is nearly 1. */
static void drawn_classes_stand_for_all(void **state)
{
    enum { CLASSES = 20 };
    setup s = many_classes(3000, 1);
    nm_tape *at = evaluate(&s);
    double *g = emitted_by_definition(&s, &s.edits->at[0], at);
    double *inverse = inverse_of(s.metric->emitted[0], CLASSES);
    double e = s.metric->damping_out[0], off = 0, mean = mean_diagonal(g, CLASSES);

    (void)state;
    assert_true(s.metric->n_curvatures == 4 * s.p.n);
    nm_assert_close(&e, &mean, 1, 0.02, 0);
    for (int i = 0; i < CLASSES; i++)
        for (int k = 0; k < CLASSES; k++) {
            double product = e * inverse[i * CLASSES + k];

            for (int l = 0; l < CLASSES; l++)
                product += g[i * CLASSES + l] * inverse[l * CLASSES + k];
            off = fmax(off, fabs(product - (i == k)));
        }
    if (!(off < 0.05))
        fail_msg("off by %g", off);
    free(g);
    free(inverse);
    nm_tape_free(at);
    close_setup(&s);
}

static void draws_depend_on_the_seed_alone(void **state)
{
    enum { CLASSES = 20 };
    double *inverse[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        setup s = many_classes(50, i < 2 ? 7 : 8);

        inverse[i] = inverse_of(s.metric->emitted[0], CLASSES);
        close_setup(&s);
    }
    assert_memory_equal(inverse[0], inverse[1], CLASSES * CLASSES * sizeof(double));
    assert_memory_not_equal(inverse[0], inverse[2], CLASSES * CLASSES * sizeof(double));
    for (int i = 0; i < 3; i++)
        free(inverse[i]);
}

static void threads_do_not_change_a_bit(void **state)
{
    enum { CLASSES = 20, N = 2500 };
    double *inverse[3];

    (void)state;
    for (int t = 0; t < 3; t++) {
        nm_ctx_set_threads(ctx, t + 1);
        setup s = many_classes(N, 3);

        inverse[t] = inverse_of(s.metric->emitted[0], CLASSES);
        close_setup(&s);
    }
    for (int t = 1; t < 3; t++)
        assert_memory_equal(inverse[0], inverse[t], CLASSES * CLASSES * sizeof(double));
    for (int t = 0; t < 3; t++)
        free(inverse[t]);
    nm_ctx_set_threads(ctx, 2);
}

/* -- hard cases ------------------------------------------------------------------------------ */

/* A layer whose inputs are all 0, and scores that do not depend on it. */
static void dead_layers_have_the_damping_alone(void **state)
{
    static const int64_t widths[] = {3, 4, 3};
    double dead[4] = {-1e3, -1e3, -1e3, -1e3};
    nm_net *net = make_chain(4, "Relu", widths, 2);
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_set_layer(net, 0, true, dead, &err), &err);
    setup s = open_setup(open_problem(net, random_points(4, 15), 5, edits[0]), &strongly_damped);

    assert_true(s.metric->damping_out[0] == 0.2);
    double nothing[16] = {0};

    assert_moment(s.metric->emitted[0], nothing, 4, 0.2);
    close_setup(&s);
}

static void scores_that_are_not_finite_are_refused(void **state)
{
    static const int64_t widths[] = {3, 4, 3};
    double huge[12];
    nm_net *net = make_chain(4, "Relu", widths, 2);
    nm_metric *metric = NULL;
    nm_edits *list;
    nm_crowd *crowd;
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < 12; i++)
        huge[i] = 3e38;
    nm_assert_ok(nm_net_set_layer(net, 0, false, huge, &err), &err);
    problem p = open_problem(net, random_points(4, 15), 5, edits[5]);

    for (int i = 0; i < 15; i++)
        p.x[i] = 10;
    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &list, &err), &err);
    nm_assert_ok(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &crowd, &err), &err);
    assert_int_equal(nm_metric_new(ctx, list, crowd, &strongly_damped, &metric, &err), NM_E_FORMAT);
    assert_null(metric);
    assert_non_null(strstr(err.text, "not finite"));
    nm_crowd_free(crowd);
    nm_edits_free(list);
    close_problem(&p);
}

static void failed_allocations_are_reported(void **state)
{
    problem p = open_problem(small_cnn(1), random_points(1, 3 * 40), 3, edits[0]);
    nm_status rc = NM_E_NOMEM;
    nm_edits *list;
    nm_crowd *crowd;
    nm_err err = {0};
    int n = 0;

    (void)state;
    nm_assert_ok(nm_edits_new(p.net, p.params, &p.tail->marks, &list, &err), &err);
    nm_assert_ok(nm_crowd_new(ctx, p.net, p.params, p.x, p.n, &crowd, &err), &err);
    while (rc != NM_OK) {
        nm_metric *metric = NULL;

        err = (nm_err){0};
        nm_mem_fail_at(++n);
        rc = nm_metric_new(ctx, list, crowd, &strongly_damped, &metric, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        assert_true((rc == NM_OK) == (metric != NULL));
        nm_metric_free(metric);
    }
    assert_true(n > 15);
    nm_metric_free(NULL);
    nm_crowd_free(crowd);
    nm_edits_free(list);
    close_problem(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_factors_are_those_of_the_definition),
        cmocka_unit_test(forms_of_dense_layers_count),
        cmocka_unit_test(convolution_factors_are_those_of_the_definition),
        cmocka_unit_test(what_is_not_free_is_not_measured),
        cmocka_unit_test(chunks_add_up),
        cmocka_unit_test(half_the_squared_length_is_the_divergence),
        cmocka_unit_test(drawn_classes_stand_for_all),
        cmocka_unit_test(draws_depend_on_the_seed_alone),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(dead_layers_have_the_damping_alone),
        cmocka_unit_test(scores_that_are_not_finite_are_refused),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
