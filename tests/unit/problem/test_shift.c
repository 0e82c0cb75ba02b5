/* The change that reads shifted points like reference data, against the equation that defines it.
 */
#include "problem_support.h"

#include "problem/shift.h"

enum { N = 60, N_IN = 5, N_OUT = 4, WIDTH = N_IN + 1 };

typedef struct setup {
    problem p;
    nm_edits *edits;
    nm_crowd *crowd;
    nm_metric *metric;
    float *shifted; /* [N x N_IN] */
    nm_tail *tail;  /* of them */
    nm_shift *shift;
} setup;

static setup open_setup(double offset, int64_t first, int64_t step)
{
    static const char *const marks[] = {"0", NULL};
    const int64_t widths[] = {N_IN, N_OUT, 3};
    const nm_metric_opts opts = {.damping_in = 0.05, .damping_out = 0.1};
    setup s = {
        .p = open_problem(make_chain(7, "Relu", widths, 2), random_points(3, N * N_IN), N, marks)};
    nm_rng rng = {.seed = 5};
    nm_err err = {0};

    s.shifted = calloc((size_t)N * N_IN, sizeof *s.shifted);
    for (int i = 0; i < N * N_IN; i++)
        s.shifted[i] = s.p.x[i] + (float)(offset * (1 + nm_rng_normal(&rng)));
    nm_assert_ok(nm_edits_new(s.p.net, s.p.params, &s.p.tail->marks, &s.edits, &err), &err);
    nm_assert_ok(nm_crowd_new(ctx, s.p.net, s.p.params, s.p.x, N, &s.crowd, &err), &err);
    nm_assert_ok(nm_metric_new(ctx, s.edits, s.crowd, &opts, &s.metric, &err), &err);
    nm_assert_ok(nm_tail_new(ctx, s.p.net, s.p.params, s.shifted, N, false, &s.tail, &err), &err);
    nm_assert_ok(
        nm_shift_new(ctx, s.edits, s.metric, s.crowd, NULL, s.tail, first, step, N, &s.shift, &err),
        &err);
    assert_non_null(s.shift);
    return s;
}

static void close_setup(setup *s)
{
    nm_shift_free(s->shift);
    nm_tail_free(s->tail);
    nm_metric_free(s->metric);
    nm_crowd_free(s->crowd);
    nm_edits_free(s->edits);
    free(s->shifted);
    close_problem(&s->p);
}

/* Second moment and mean of points first, first + step, ... with a 1 behind each. */
static void moments(const float *x, int first, int step, double s[WIDTH][WIDTH], double m[WIDTH])
{
    int n = (N - first + step - 1) / step;

    memset(s, 0, sizeof(double[WIDTH][WIDTH]));
    memset(m, 0, sizeof(double[WIDTH]));
    for (int p = first; p < N; p += step)
        for (int i = 0; i < WIDTH; i++) {
            double a = i < N_IN ? (double)x[p * N_IN + i] : 1;

            m[i] += a / n;
            for (int k = 0; k < WIDTH; k++)
                s[i][k] += a * (k < N_IN ? (double)x[p * N_IN + k] : 1) / n;
        }
}

/* D A = -W X to rounding, with all of it written out. */
static void check_equation(const setup *s, int first, int step, double c)
{
    double ref[WIDTH][WIDTH], own[WIDTH][WIDTH], m[WIDTH], v[WIDTH], largest = 0;
    double d[N_OUT * WIDTH], w[N_OUT * WIDTH], weights[N_OUT * N_IN], biases[N_OUT];
    double *delta;
    nm_err err = {0};

    nm_assert_ok(nm_alloc(&delta, (size_t)s->p.params->n, sizeof *delta, &err), &err);
    nm_assert_ok(nm_shift_at(ctx, s->shift, c, delta, &err), &err);
    nm_edit_from_params(s->edits, 0, delta, d);
    nm_assert_ok(nm_net_get_layer(s->p.net, 0, false, weights, &err), &err);
    nm_assert_ok(nm_net_get_layer(s->p.net, 0, true, biases, &err), &err);
    memcpy(delta, weights, sizeof weights);
    memcpy(delta + N_OUT * N_IN, biases, sizeof biases);
    nm_edit_from_params(s->edits, 0, delta, w);
    moments(s->p.x, 0, 1, ref, m);
    moments(s->shifted, first, step, own, v);
    for (int i = 0; i < N_OUT; i++)
        for (int k = 0; k < WIDTH; k++) {
            double sum = c * s->metric->damping_in[0] * d[i * WIDTH + k];

            for (int j = 0; j < WIDTH; j++)
                sum += d[i * WIDTH + j] * (c * ref[j][k] + own[j][k]) +
                       w[i * WIDTH + j] * (own[j][k] - ref[j][k] - m[j] * (v[k] - m[k]));
            largest = fmax(largest, fabs(d[i * WIDTH + k]));
            assert_true(fabs(sum) < 1e-9);
        }
    assert_true(largest > 1e-3);
    nm_free(delta);
}

static void the_change_solves_its_equation(void **state)
{
    setup all = open_setup(0.7, 0, 1), odd = open_setup(0.7, 1, 2);

    (void)state;
    check_equation(&all, 0, 1, 1);
    check_equation(&all, 0, 1, 30);
    check_equation(&odd, 1, 2, 3);
    close_setup(&all);
    close_setup(&odd);
}

/* What the reference data say may come from another: to the last bit. */
static void others_lend_what_the_reference_data_say(void **state)
{
    setup all = open_setup(0.7, 0, 1), odd = open_setup(0.7, 1, 2);
    size_t bytes = (size_t)all.p.params->n * sizeof(double);
    double *own = malloc(bytes), *lent = malloc(bytes);
    nm_shift *like = NULL;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_shift_new(ctx, all.edits, all.metric, all.crowd, all.shift, all.tail, 1, 2, N,
                              &like, &err),
                 &err);
    nm_assert_ok(nm_shift_at(ctx, odd.shift, 3, own, &err), &err);
    nm_assert_ok(nm_shift_at(ctx, like, 3, lent, &err), &err);
    assert_memory_equal(own, lent, bytes);
    nm_shift_free(like);
    free(own);
    free(lent);
    close_setup(&all);
    close_setup(&odd);
}

static void points_that_are_not_shifted_change_nothing(void **state)
{
    setup s = open_setup(0, 0, 1);
    double *delta;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_alloc(&delta, (size_t)s.p.params->n, sizeof *delta, &err), &err);
    nm_assert_ok(nm_shift_at(ctx, s.shift, 2, delta, &err), &err);
    for (int64_t i = 0; i < s.p.params->n; i++)
        assert_true(fabs(delta[i]) < 1e-9);
    nm_free(delta);
    close_setup(&s);
}

static void failed_allocations_are_reported(void **state)
{
    setup s = open_setup(0.7, 0, 1);
    nm_status rc = NM_E_NOMEM;
    nm_err err = {0};
    int n = 0;

    (void)state;
    while (rc != NM_OK) {
        nm_shift *shift = NULL;

        err = (nm_err){0};
        nm_mem_fail_at(++n);
        rc = nm_shift_new(ctx, s.edits, s.metric, s.crowd, NULL, s.tail, 0, 1, N, &shift, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        assert_true((rc == NM_OK) == (shift != NULL));
        nm_shift_free(shift);
    }
    assert_true(n > 12);
    close_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_change_solves_its_equation),
        cmocka_unit_test(others_lend_what_the_reference_data_say),
        cmocka_unit_test(points_that_are_not_shifted_change_nothing),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
