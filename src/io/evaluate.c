/* Accuracy, loss and predictions of a classifier.
 *
 * Classification looks at the scores, not at the output: behind a Softmax that saturates in float32
 * two classes can look equal, and the cross entropy is better taken from the scores by a
 * log-sum-exp. Points go through the net in chunks, so that memory does not grow with their
 * number. */
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "net/cross_entropy.h"
#include "net/partial.h"
#include "netmend/eval.h"

/* Numbers (inputs and scores) of one chunk. */
enum { CHUNK_NUMBERS = 1 << 22, CHUNK_MAX_POINTS = 8192 };

/* Room for the scores of one chunk of points. */
typedef struct chunk {
    const nm_net *net;
    nm_net scores_net; /* the same net, ending at its scores; borrows everything */
    bool in_float64;
    int64_t max_points;
    int64_t n_out;
    float *scores_f32; /* [max_points x n_out] */
    double *x_f64;     /* [max_points x n_in], NULL in float32 */
    double *scores;    /* [max_points x n_out] */
} chunk;

static void chunk_clear(chunk *c)
{
    nm_free(c->scores_f32);
    nm_free(c->x_f64);
    nm_free(c->scores);
}

static nm_status chunk_open(chunk *c, const nm_net *net, bool in_float64, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t n_in = nm_net_n_in(net);

    c->net = net;
    c->scores_net = *net;
    c->scores_net.output = net->scores;
    c->in_float64 = in_float64;
    c->n_out = net->values[net->scores].size;
    c->max_points = CHUNK_NUMBERS / (n_in + c->n_out);
    if (c->max_points > CHUNK_MAX_POINTS)
        c->max_points = CHUNK_MAX_POINTS;
    if (c->max_points > n)
        c->max_points = n;
    if (c->max_points < 1)
        c->max_points = 1;
    NM_TRY(nm_alloc(&c->scores, (size_t)(c->max_points * c->n_out), sizeof *c->scores, err));
    if (in_float64)
        NM_TRY(nm_alloc(&c->x_f64, (size_t)(c->max_points * n_in), sizeof *c->x_f64, err));
    else
        NM_TRY(nm_alloc(&c->scores_f32, (size_t)(c->max_points * c->n_out), sizeof *c->scores_f32,
                        err));
done:
    return rc;
}

/* Fills c->scores for n points. A net that is nothing but a Softmax has its input as scores. */
static nm_status chunk_run(nm_ctx *ctx, chunk *c, const float *x, int64_t n, nm_err *err)
{
    int64_t n_in = nm_net_n_in(c->net);
    bool no_ops = c->net->scores == c->net->input;
    nm_status rc = NM_OK;

    for (int64_t i = 0; c->in_float64 && i < n * n_in; i++)
        c->x_f64[i] = (double)x[i];
    if (c->in_float64 && !no_ops)
        return nm_net_forward_f64(ctx, &c->scores_net, c->x_f64, n, c->scores, err);
    if (!no_ops)
        rc = nm_partial_scores(ctx, c->net, x, n, c->scores_f32, err);
    for (int64_t i = 0; rc == NM_OK && i < n * c->n_out; i++)
        c->scores[i] = (double)(no_ops ? x[i] : c->scores_f32[i]);
    return rc;
}

/* Index of the largest of n scores, the first of equals; -1 if one is not a number. */
static int64_t largest(const double *scores, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 0; j < n; j++) {
        if (isnan(scores[j]))
            return -1;
        if (scores[j] > scores[best])
            best = j;
    }
    return best;
}

static nm_status check_points(const nm_net *net, const nm_points *points, nm_err *err)
{
    int64_t n_out = net->values[net->scores].size;

    if (points->n < 1)
        return nm_fail(err, NM_E_SHAPE, "there are no points to evaluate");
    if (points->n_in != nm_net_n_in(net))
        return nm_fail(err, NM_E_SHAPE, "the points have %lld numbers each, the network takes %lld",
                       (long long)points->n_in, (long long)nm_net_n_in(net));
    for (int64_t i = 0; points->labels && i < points->n; i++)
        if (points->labels[i] < 0 || points->labels[i] >= n_out)
            return nm_fail(err, NM_E_SHAPE,
                           "label %lld of point %lld: the network has %lld outputs, 0 to %lld",
                           (long long)points->labels[i],
                           (long long)(points->rows ? points->rows[i] : i), (long long)n_out,
                           (long long)(n_out - 1));
    return NM_OK;
}

/* Adds the points first .. first + n - 1, whose scores are in c, to the counts. */
static void count(const chunk *c, const nm_points *points, int64_t first, int64_t n,
                  nm_eval_report *out)
{
    for (int64_t i = 0; i < n; i++) {
        const double *scores = c->scores + i * c->n_out;
        int64_t label = points->labels ? points->labels[first + i] : 0,
                *is = out->predicted + first;
        bool right = (is[i] = largest(scores, c->n_out)) == label;

        if (!points->labels)
            continue;
        out->class_n[label]++;
        out->class_right[label] += right;
        out->n_right += right;
        out->loss += nm_cross_entropy(scores, c->n_out, label, NULL);
    }
}

/* The caller's outputs: the scores, unless the net goes on behind them. */
static nm_status copy_outputs(nm_ctx *ctx, const chunk *c, const float *x, int64_t n,
                              float *outputs, nm_err *err)
{
    if (c->net->scores != c->net->output && !c->in_float64)
        return nm_net_forward_f32(ctx, c->net, x, n, outputs, err);
    if (c->net->scores != c->net->output) {
        nm_status rc = nm_net_forward_f64(ctx, c->net, c->x_f64, n, c->scores, err);

        if (rc != NM_OK)
            return rc;
    }
    for (int64_t i = 0; i < n * c->n_out; i++)
        outputs[i] = (float)c->scores[i];
    return NM_OK;
}

static nm_status open_report(const chunk *c, const nm_points *points, nm_eval_report *out,
                             nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_eval_report){.n = points->n, .n_classes = c->n_out};
    NM_TRY(nm_alloc(&out->predicted, (size_t)points->n, sizeof *out->predicted, err));
    if (points->labels) {
        NM_TRY(nm_alloc(&out->class_n, (size_t)c->n_out, sizeof *out->class_n, err));
        NM_TRY(nm_alloc(&out->class_right, (size_t)c->n_out, sizeof *out->class_right, err));
    }
done:
    return rc;
}

nm_status nm_evaluate(nm_ctx *ctx, const nm_net *net, const nm_points *points, bool in_float64,
                      float *outputs, nm_eval_report *out, nm_err *err)
{
    nm_status rc = NM_OK;
    chunk c = {0};

    *out = (nm_eval_report){0};
    NM_TRY(check_points(net, points, err));
    NM_TRY(chunk_open(&c, net, in_float64, points->n, err));
    NM_TRY(open_report(&c, points, out, err));
    for (int64_t first = 0; first < points->n; first += c.max_points) {
        int64_t n = points->n - first < c.max_points ? points->n - first : c.max_points;
        const float *x = points->x + first * points->n_in;
        double start = nm_now();

        NM_TRY(chunk_run(ctx, &c, x, n, err));
        out->seconds += nm_now() - start;
        count(&c, points, first, n, out);
        if (outputs)
            NM_TRY(copy_outputs(ctx, &c, x, n, outputs + first * c.n_out, err));
        nm_progress(ctx, "evaluating", first + n, points->n, NAN);
    }
    out->loss = points->labels ? out->loss / (double)points->n : NAN;
    out->accuracy = points->labels ? (double)out->n_right / (double)points->n : NAN;
    if (!points->labels)
        out->n_right = -1;
done:
    chunk_clear(&c);
    if (rc != NM_OK)
        nm_eval_report_free(out);
    return rc;
}

void nm_eval_report_free(nm_eval_report *report)
{
    nm_free(report->predicted);
    nm_free(report->class_n);
    nm_free(report->class_right);
    *report = (nm_eval_report){0};
}

nm_status nm_predict(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, int64_t *classes,
                     nm_err *err)
{
    nm_status rc = NM_OK;
    chunk c = {0};

    NM_TRY(chunk_open(&c, net, false, n, err));
    for (int64_t first = 0; first < n; first += c.max_points) {
        int64_t left = n - first < c.max_points ? n - first : c.max_points;

        NM_TRY(chunk_run(ctx, &c, x + first * nm_net_n_in(net), left, err));
        for (int64_t i = 0; i < left; i++)
            classes[first + i] = largest(c.scores + i * c.n_out, c.n_out);
    }
done:
    chunk_clear(&c);
    return rc;
}
