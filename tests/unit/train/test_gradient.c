#include "support.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/rng.h"
#include "net/chain.h"
#include "train/gradient.h"

/* A net of random weights with random points. */
typedef struct fixture {
    nm_ctx *ctx;
    nm_net *net;
    nm_gradient *gradient;
    int64_t n, size;
    double *theta, *values;
    float *x;
    int64_t *labels, *order;
} fixture;

enum { N_IN = 3, N_CLASSES = 4 };

static void store(fixture *f)
{
    const double *theta = f->theta;
    nm_err err = {0};

    for (int k = 0; k < f->net->n_layers; k++) {
        const nm_layer *layer = &f->net->layers[k];

        nm_assert_ok(nm_net_set_layer(f->net, k, false, theta, &err), &err);
        nm_assert_ok(nm_net_set_layer(f->net, k, true, theta + layer->n_weights, &err), &err);
        theta += layer->n_weights + layer->n_biases;
    }
}

static void set_up(fixture *f, int64_t n)
{
    nm_rng rng = {.seed = 11};
    nm_err err = {0};

    *f = (fixture){.n = n};
    nm_assert_ok(nm_ctx_new(&f->ctx, &err), &err);
    nm_assert_ok(nm_net_new_chain((const int64_t[]){N_IN, 6, 5, N_CLASSES}, 3, &f->net, &err),
                 &err);
    nm_assert_ok(nm_gradient_new(f->net, n, &f->gradient, &err), &err);
    f->size = nm_gradient_size(f->gradient);
    nm_assert_ok(nm_alloc(&f->theta, (size_t)f->size, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&f->values, (size_t)f->size, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&f->x, (size_t)n * N_IN, sizeof(float), &err), &err);
    nm_assert_ok(nm_alloc(&f->labels, (size_t)n, sizeof(int64_t), &err), &err);
    nm_assert_ok(nm_alloc(&f->order, (size_t)n, sizeof(int64_t), &err), &err);
    for (int64_t i = 0; i < f->size; i++)
        f->theta[i] = 0.7 * nm_rng_normal(&rng);
    for (int64_t i = 0; i < n * N_IN; i++)
        f->x[i] = (float)nm_rng_normal(&rng);
    for (int64_t i = 0; i < n; i++) {
        f->labels[i] = (int64_t)nm_rng_below(&rng, N_CLASSES);
        f->order[i] = n - 1 - i;
    }
    store(f);
}

static void tear_down(fixture *f)
{
    nm_free(f->theta);
    nm_free(f->values);
    nm_free(f->x);
    nm_free(f->labels);
    nm_free(f->order);
    nm_gradient_free(f->gradient);
    nm_net_free(f->net);
    nm_ctx_free(f->ctx);
}

/* Loss over the points order[first .. first + n - 1]; gradient in values. */
static double loss_of(fixture *f, int64_t first, int64_t n, double *values)
{
    nm_err err = {0};
    double loss;

    nm_assert_ok(nm_gradient_at(f->ctx, f->gradient, f->x, f->labels, f->order + first, n, values,
                                &loss, &err),
                 &err);
    return loss;
}

static void gradient_is_the_slope_of_the_loss_in_every_parameter(void **state)
{
    const double h = 1e-5;
    fixture f;
    double *unused;
    nm_err err = {0};

    (void)state;
    set_up(&f, 20);
    nm_assert_ok(nm_alloc(&unused, (size_t)f.size, sizeof(double), &err), &err);
    (void)loss_of(&f, 0, f.n, f.values);
    assert_int_equal(f.size, (N_IN + 1) * 6 + 7 * 5 + 6 * N_CLASSES);
    for (int64_t i = 0; i < f.size; i++) {
        double kept = f.theta[i], up, down, slope;

        f.theta[i] = kept + h;
        store(&f);
        up = loss_of(&f, 0, f.n, unused);
        f.theta[i] = kept - h;
        store(&f);
        down = loss_of(&f, 0, f.n, unused);
        f.theta[i] = kept;
        slope = (up - down) / (2.0 * h);
        nm_assert_close(&f.values[i], &slope, 1, 1e-6, 1e-8);
    }
    nm_free(unused);
    tear_down(&f);
}

/* Long batches go through in chunks and parts: their gradient is still the mean over points. */
static void long_batch_is_the_mean_of_its_pieces(void **state)
{
    enum { N = 9001, N_PIECES = 3 };
    static const int64_t first[N_PIECES + 1] = {0, 17, 4000, N};
    fixture f;
    double *piece, *mean, loss = 0.0, whole;
    nm_err err = {0};

    (void)state;
    set_up(&f, N);
    nm_assert_ok(nm_alloc(&piece, (size_t)f.size, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&mean, (size_t)f.size, sizeof(double), &err), &err);
    whole = loss_of(&f, 0, f.n, f.values);
    for (int k = 0; k < N_PIECES; k++) {
        int64_t n = first[k + 1] - first[k];

        loss += loss_of(&f, first[k], n, piece) * (double)n / N;
        for (int64_t i = 0; i < f.size; i++)
            mean[i] += piece[i] * (double)n / N;
    }
    nm_assert_close(&whole, &loss, 1, 1e-13, 0.0);
    nm_assert_close(f.values, mean, (size_t)f.size, 1e-10, 1e-13);
    nm_free(piece);
    nm_free(mean);
    tear_down(&f);
}

static void threads_do_not_change_a_bit(void **state)
{
    fixture f;
    double *one, loss_one, loss_four;
    nm_err err = {0};

    (void)state;
    set_up(&f, 5000);
    nm_assert_ok(nm_alloc(&one, (size_t)f.size, sizeof(double), &err), &err);
    nm_ctx_set_threads(f.ctx, 1);
    loss_one = loss_of(&f, 0, f.n, one);
    nm_ctx_set_threads(f.ctx, 4);
    loss_four = loss_of(&f, 0, f.n, f.values);
    assert_true(loss_one == loss_four);
    assert_memory_equal(one, f.values, (size_t)f.size * sizeof(double));
    nm_free(one);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_is_the_slope_of_the_loss_in_every_parameter),
        cmocka_unit_test(long_batch_is_the_mean_of_its_pieces),
        cmocka_unit_test(threads_do_not_change_a_bit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
