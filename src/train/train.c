/* Training dense ReLU classifiers: uniform initial weights, Adam on the mean cross entropy.
 * Everything is computed in double; the parameters are rounded to float32 once, at the end. */
#include <inttypes.h>
#include <math.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/chain.h"
#include "netmend/eval.h"
#include "netmend/train.h"
#include "train/adam.h"
#include "train/gradient.h"

enum { MAX_HIDDEN = 100, MAX_WIDTH = 1000000 };

/* Products (points x parameters) in one step that are worth waking the other threads for: they
   wait for each other several times a step, for long when the machine is busy. */
#define PARALLEL_STEP 1e7

/* Streams of random numbers: one per layer for its weights, one per epoch for the order. */
#define ORDER_STREAM ((uint64_t)1 << 32)

typedef struct trainer {
    nm_ctx *ctx;
    const nm_points *points;
    const nm_train_opts *opts;
    nm_net *net;
    nm_gradient *gradient;
    nm_adam adam;
    int64_t batch;   /* points per step */
    int64_t *order;  /* [n] points in the order of this epoch */
    double *theta;   /* parameters in the order of the gradient */
    double *slope;   /* their gradient */
    int64_t n_steps; /* taken */
} trainer;

/* -- what is asked ----------------------------------------------------------------------- */

static nm_status check_opts(const nm_train_opts *opts, nm_err *err)
{
    if (opts->size != sizeof *opts)
        return nm_fail(err, NM_E_ARG, "training options do not start from NM_TRAIN_OPTS_INIT");
    if (opts->n_hidden < 0 || opts->n_hidden > MAX_HIDDEN)
        return nm_fail(err, NM_E_ARG, "%d hidden layers, expected 0 to %d", opts->n_hidden,
                       MAX_HIDDEN);
    for (int k = 0; k < opts->n_hidden; k++)
        if (opts->hidden[k] < 1 || opts->hidden[k] > MAX_WIDTH)
            return nm_fail(err, NM_E_ARG,
                           "hidden layer %d has %" PRId64 " neurons, expected 1 to %d", k,
                           opts->hidden[k], MAX_WIDTH);
    if (opts->epochs < 0)
        return nm_fail(err, NM_E_ARG, "%d epochs, expected 0 or more", opts->epochs);
    if (opts->batch < 0)
        return nm_fail(err, NM_E_ARG, "batches of %" PRId64 " points, expected 0 (all) or more",
                       opts->batch);
    if (!(opts->learning_rate > 0.0 && isfinite(opts->learning_rate)))
        return nm_fail(err, NM_E_ARG, "learning rate %g, expected a finite number > 0",
                       opts->learning_rate);
    return NM_OK;
}

static nm_status check_points(const nm_points *points, int64_t n_classes, nm_err *err)
{
    if (points->n < 1)
        return nm_fail(err, NM_E_ARG, "no points to train on");
    if (!points->labels)
        return nm_fail(err, NM_E_ARG, "the points to train on have no labels");
    for (int64_t i = 0; i < points->n * points->n_in; i++)
        if (!isfinite(points->x[i]))
            return nm_fail(err, NM_E_ARG, "point %" PRId64 " to train on holds %g",
                           i / points->n_in, (double)points->x[i]);
    for (int64_t i = 0; i < points->n; i++)
        if (points->labels[i] < 0 || points->labels[i] >= n_classes)
            return nm_fail(err, NM_E_ARG,
                           "point %" PRId64 " to train on has label %" PRId64
                           ", expected 0 to %" PRId64,
                           i, points->labels[i], n_classes - 1);
    return NM_OK;
}

/* Number of outputs: what is asked, else as many as the labels need. */
static nm_status find_n_classes(const nm_points *points, const nm_train_opts *opts, int64_t *out,
                                nm_err *err)
{
    int64_t n = opts->n_classes;

    for (int64_t i = 0; opts->n_classes == 0 && points->labels && i < points->n; i++)
        if (points->labels[i] >= n && points->labels[i] < INT64_MAX)
            n = points->labels[i] + 1;
    *out = n;
    if (points->n < 1 || !points->labels)
        return NM_OK; /* check_points() says so */
    if (n < 2 || n > MAX_WIDTH)
        return nm_fail(err, NM_E_ARG, "%" PRId64 " classes%s, expected 2 to %d", n,
                       opts->n_classes == 0 ? " (from the largest label)" : "", MAX_WIDTH);
    return NM_OK;
}

/* -- parameters -------------------------------------------------------------------------- */

static nm_status build_net(trainer *t, int64_t n_classes, nm_err *err)
{
    int64_t widths[MAX_HIDDEN + 2];
    int n_hidden = t->opts->n_hidden;

    widths[0] = t->points->n_in;
    for (int k = 0; k < n_hidden; k++)
        widths[k + 1] = t->opts->hidden[k];
    widths[n_hidden + 1] = n_classes;
    return nm_net_new_chain(widths, n_hidden + 1, &t->net, err);
}

/* Weights and biases uniform within +-1/sqrt(inputs), PyTorch's default for dense layers; the
   variance of activations stays about the same from layer to layer (LeCun et al., "Efficient
   BackProp", 1998, section 4.6). */
static void draw_parameters(trainer *t)
{
    double *theta = t->theta;

    for (int k = 0; k < t->net->n_layers; k++) {
        const nm_layer *layer = &t->net->layers[k];
        int64_t n_in = layer->n_weights / layer->n_biases;
        double limit = 1.0 / sqrt((double)n_in);
        nm_rng rng = {.seed = t->opts->seed, .stream = (uint64_t)k};

        for (int64_t i = 0; i < layer->n_weights + layer->n_biases; i++)
            *theta++ = limit * (2.0 * nm_rng_uniform(&rng) - 1.0);
    }
}

static nm_status store_parameters(trainer *t, nm_err *err)
{
    const double *theta = t->theta;
    nm_status rc = NM_OK;

    for (int k = 0; rc == NM_OK && k < t->net->n_layers; k++) {
        const nm_layer *layer = &t->net->layers[k];

        rc = nm_net_set_layer(t->net, k, false, theta, err);
        if (rc == NM_OK)
            rc = nm_net_set_layer(t->net, k, true, theta + layer->n_weights, err);
        theta += layer->n_weights + layer->n_biases;
    }
    return rc;
}

/* -- training ---------------------------------------------------------------------------- */

static nm_status check_loss(const trainer *t, double loss, nm_err *err)
{
    if (isfinite(loss))
        return NM_OK;
    return nm_fail(err, NM_E_ARG,
                   "training diverged: the loss is %g after %" PRId64
                   " steps, expected a smaller learning rate than %g",
                   loss, t->n_steps, t->opts->learning_rate);
}

static nm_status take_step(trainer *t, int64_t first, int64_t n, double *loss, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(t->ctx, err));
    NM_TRY(nm_gradient_at(t->ctx, t->gradient, t->points->x, t->points->labels, t->order + first, n,
                          t->slope, loss, err));
    NM_TRY(check_loss(t, *loss, err));
    nm_adam_step(&t->adam, t->theta, t->slope);
    t->n_steps++;
    NM_TRY(store_parameters(t, err));
done:
    return rc;
}

/* A new order every epoch when there are several batches (Fisher & Yates). */
static void shuffle(trainer *t, int epoch)
{
    nm_rng rng = {.seed = t->opts->seed, .stream = ORDER_STREAM + (uint64_t)epoch};

    for (int64_t i = t->points->n - 1; i > 0; i--) {
        int64_t j = (int64_t)nm_rng_below(&rng, (uint64_t)i + 1);
        int64_t kept = t->order[i];

        t->order[i] = t->order[j];
        t->order[j] = kept;
    }
}

static nm_status run_epochs(trainer *t, nm_err *err)
{
    int64_t n = t->points->n;
    nm_status rc = NM_OK;

    for (int epoch = 0; epoch < t->opts->epochs; epoch++) {
        double sum = 0.0;

        if (t->batch < n)
            shuffle(t, epoch);
        for (int64_t first = 0; first < n; first += t->batch) {
            int64_t size = n - first < t->batch ? n - first : t->batch;
            double loss;

            NM_TRY(take_step(t, first, size, &loss, err));
            sum += loss * (double)size;
        }
        nm_progress(t->ctx, "training", epoch + 1, t->opts->epochs, sum / (double)n);
    }
done:
    return rc;
}

/* -- the result -------------------------------------------------------------------------- */

/* From here on the net is its float32 weights, exactly. */
static nm_status round_parameters(trainer *t, nm_err *err)
{
    for (int64_t i = 0; i < t->adam.n; i++)
        t->theta[i] = (double)(float)t->theta[i];
    return store_parameters(t, err);
}

static nm_status measure(trainer *t, nm_train_report *report, nm_err *err)
{
    nm_eval_report result;
    nm_status rc = nm_evaluate(t->ctx, t->net, t->points, false, NULL, &result, err);

    if (rc != NM_OK)
        return rc;
    report->loss = result.loss;
    report->accuracy = result.accuracy;
    report->steps = t->n_steps;
    nm_eval_report_free(&result);
    return check_loss(t, report->loss, err);
}

/* -- all together ------------------------------------------------------------------------ */

static nm_status prepare(trainer *t, nm_err *err)
{
    int64_t n = t->points->n, n_classes;
    nm_status rc = NM_OK;

    NM_TRY(check_opts(t->opts, err));
    NM_TRY(find_n_classes(t->points, t->opts, &n_classes, err));
    NM_TRY(check_points(t->points, n_classes, err));
    NM_TRY(build_net(t, n_classes, err));
    t->batch = t->opts->batch > 0 && t->opts->batch < n ? t->opts->batch : n;
    NM_TRY(nm_gradient_new(t->net, t->batch, &t->gradient, err));

    int64_t n_params = nm_gradient_size(t->gradient);

    NM_TRY(nm_adam_init(&t->adam, n_params, t->opts->learning_rate, err));
    NM_TRY(nm_alloc(&t->theta, (size_t)n_params, sizeof *t->theta, err));
    NM_TRY(nm_alloc(&t->slope, (size_t)n_params, sizeof *t->slope, err));
    NM_TRY(nm_alloc(&t->order, (size_t)n, sizeof *t->order, err));
    for (int64_t i = 0; i < n; i++)
        t->order[i] = i;
    draw_parameters(t);
    NM_TRY(store_parameters(t, err));
done:
    return rc;
}

static void clear(trainer *t)
{
    nm_gradient_free(t->gradient); /* looks at the net */
    nm_net_free(t->net);
    nm_adam_clear(&t->adam);
    nm_free(t->theta);
    nm_free(t->slope);
    nm_free(t->order);
}

nm_status nm_train(nm_ctx *ctx, const nm_points *points, const nm_train_opts *opts, nm_net **out,
                   nm_train_report *report, nm_err *err)
{
    nm_status rc = NM_OK;
    trainer t = {.ctx = ctx, .points = points, .opts = opts};
    int n_threads = nm_ctx_threads(ctx);
    double start = nm_now();

    *out = NULL;
    *report = (nm_train_report){0};
    NM_TRY(prepare(&t, err));
    if ((double)t.batch * (double)t.adam.n < PARALLEL_STEP)
        nm_ctx_set_threads(ctx, 1);
    NM_TRY(run_epochs(&t, err));
    NM_TRY(round_parameters(&t, err));
    NM_TRY(measure(&t, report, err));
    report->seconds = nm_now() - start;
    *out = t.net;
    t.net = NULL;
done:
    nm_ctx_set_threads(ctx, n_threads);
    clear(&t);
    return rc;
}
