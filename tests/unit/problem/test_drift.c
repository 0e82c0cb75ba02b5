/* Drift and loss on reference data against their definitions, gradients against differences. */
#include "problem_support.h"

#include "problem/drift.h"

typedef struct setup {
    problem p;
    nm_edits *edits;
    nm_crowd *crowd;
    nm_drift *drift;
    int64_t *labels;
    nm_drift_opts opts;
} setup;

static setup open_setup(nm_net *net, int64_t n, const char *const *marks, double share)
{
    float *x = random_points(6, n * net->values[net->input].size);
    setup s = {.p = open_problem(net, x, n, marks), .labels = calloc((size_t)n, sizeof(int64_t))};
    nm_err err = {0};

    assert_non_null(s.labels);
    for (int64_t i = 0; i < n; i++)
        s.labels[i] = (int64_t)nm_rng_below(&s.p.rng, (uint64_t)s.p.n_scores);
    s.opts = (nm_drift_opts){
        .temperature = 1.7, .labels = share < 0 ? NULL : s.labels, .label_share = fabs(share)};
    nm_assert_ok(nm_edits_new(s.p.net, s.p.params, &s.p.tail->marks, &s.edits, &err), &err);
    nm_assert_ok(nm_crowd_new(ctx, s.p.net, s.p.params, x, n, &s.crowd, &err), &err);
    nm_assert_ok(nm_drift_new(ctx, s.edits, s.crowd, &s.opts, &s.drift, &err), &err);
    return s;
}

static void close_setup(setup *s)
{
    nm_drift_free(s->drift);
    nm_crowd_free(s->crowd);
    nm_edits_free(s->edits);
    free(s->labels);
    close_problem(&s->p);
}

static double log_softmax(const float *score, int64_t n, int64_t class, double t)
{
    double sum = 0;

    for (int64_t j = 0; j < n; j++)
        sum += exp(((double)score[j] - (double)score[class]) / t);
    return -log(sum);
}

/* Both values from the scores, as drift.h defines them. */
static nm_drift_value by_definition(const setup *s, const double *d)
{
    int64_t n = s->p.n, c = s->p.n_scores;
    size_t size = (size_t)(n * c) * sizeof(float);
    float *before = malloc(size), *after = malloc(size);
    double *zero = calloc((size_t)s->p.params->n, sizeof *zero), t = s->opts.temperature;
    double share = s->opts.labels ? s->opts.label_share : 0;
    nm_drift_value sum = {0};
    nm_err err = {0};

    nm_assert_ok(nm_crowd_scores(ctx, s->crowd, zero, before, &err), &err);
    nm_assert_ok(nm_crowd_scores(ctx, s->crowd, d, after, &err), &err);
    for (int64_t p = 0; p < n; p++) {
        double kl = 0;

        for (int64_t j = 0; j < c; j++) {
            double log_p = log_softmax(before + p * c, c, j, t);

            kl += exp(log_p) * (log_p - log_softmax(after + p * c, c, j, t));
        }
        sum.drift += t * t * kl / (double)n;
        sum.loss -= share * log_softmax(after + p * c, c, s->labels[p], 1) / (double)n;
    }
    sum.loss += (1 - share) * sum.drift;
    free(before);
    free(after);
    free(zero);
    return sum;
}

static void check(nm_net *net, const char *const *marks, double share)
{
    setup s = open_setup(net, 40, marks, share);
    int64_t n = s.p.params->n;
    double *d = random_step(&s.p, 0.5 / sqrt((double)n)), *way = random_step(&s.p, 1);
    double *gradient = calloc((size_t)n, sizeof *gradient), *at = calloc((size_t)n, sizeof *at);
    double h = 2e-3 / sqrt((double)n), slope = 0, loss[2], difference;
    nm_drift_value value, expected;
    nm_err err = {0};

    nm_assert_ok(nm_drift_at(s.drift, d, &value, gradient, &err), &err);
    expected = by_definition(&s, d);
    nm_assert_close(&value.drift, &expected.drift, 1, 1e-5, 1e-7);
    nm_assert_close(&value.loss, &expected.loss, 1, 1e-5, 1e-7);
    for (int64_t i = 0; i < n; i++)
        slope += gradient[i] * way[i];
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < n; i++)
            at[i] = d[i] + (side ? h : -h) * way[i];
        nm_assert_ok(nm_drift_at(s.drift, at, &value, NULL, &err), &err);
        loss[side] = value.loss;
    }
    difference = (loss[1] - loss[0]) / (2 * h);
    nm_assert_close(&slope, &difference, 1, 1e-2, 1e-3);
    free(d);
    free(way);
    free(gradient);
    free(at);
    close_setup(&s);
}

static void values_and_gradients_are_those_of_the_definition(void **state)
{
    static const int64_t widths[] = {4, 6, 5, 3};
    static const char *const marks[][2] = {{"0"}, {"last"}, {"0.."}};
    static const double shares[] = {-1, 0, 0.2, 1};

    (void)state;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        for (size_t k = 0; k < sizeof shares / sizeof *shares; k++)
            check(make_chain(i, "Tanh", widths, 3), marks[i], shares[k]);
}

/* Without a change there is no drift, but labels may say otherwise. */
static void no_change_is_no_drift(void **state)
{
    static const int64_t widths[] = {4, 6, 3};
    static const char *const last[] = {"last", NULL};
    setup s = open_setup(make_chain(1, "Relu", widths, 2), 20, last, 0.5);
    double *zero = calloc((size_t)s.p.params->n, sizeof *zero);
    nm_drift_value value;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_drift_at(s.drift, zero, &value, NULL, &err), &err);
    assert_true(fabs(value.drift) < 1e-12);
    assert_true(value.loss > 0);
    free(zero);
    close_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_gradients_are_those_of_the_definition),
        cmocka_unit_test(no_change_is_no_drift),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
