/* PredictedCost: the layer in which the most expensive repair point is cheapest.
 *
 * For one point with deficit d = margin - m(x) > 0 and gradient g of the margin m w.r.t. the P
 * parameters of a layer, the smallest change that closes d to first order is known in closed form
 * (irdnn.md, section 1):
 *     linf       d / sum |g|
 *     l1         d / max |g|
 *     l2         d / |g|
 *     linf+l1n   d min_s (1 + s/P) / G_s,  G_s = sum of the s largest |g|
 * The largest over the points bounds the cost of repairing them all in that layer from below, while
 * activations keep their sides. With norm=function it is the cost of all points together
 * (choose/predict.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "choose/edit/edit.h"
#include "choose/scores.h"
#include "netmend/choose.h"

enum { NORM, MARGIN, POINTS };
/* In the order of nm_norm. */
static const char *const norms[] = {"linf+l1n", "linf", "l1", "l2", "function", NULL};
static const nm_heuristic_param params[] = {
    {.name = "norm",
     .kind = NM_PARAM_WORD,
     .words = norms,
     .shown = "that of the repair",
     .help = "in which costs are measured"},
    {.name = "margin",
     .initial = 1e-3,
     .min = 0,
     .max = 1e9,
     .shown = "that of the repair, or 0.001",
     .help = "asked of each point, output units"},
    {.name = "points",
     .kind = NM_PARAM_INT,
     .initial = 16,
     .min = 1,
     .max = 1e6,
     .help = "so many repair points at most are looked at, those that are most behind"}};

/* max_s G_s / (P + s): the fixed point of t -> sum of the |g| > t over (P + how many those are)
 * (Dinkelbach, "On nonlinear fractional programming", Management Science 13, 1967); t only grows.
 */
static double best_ratio(const double *g, int64_t n)
{
    double t = 0;

    for (;;) {
        double sum = 0, count = 0, next;

        for (int64_t i = 0; i < n; i++)
            if (fabs(g[i]) > t) {
                sum += fabs(g[i]);
                count++;
            }
        next = sum / ((double)n + count);
        if (!(next > t))
            return t;
        t = next;
    }
}

/* Cost of closing a deficit of one. */
static double unit_cost(nm_norm norm, const double *g, int64_t n)
{
    double sum = 0, most = 0, square = 0, reach;

    for (int64_t i = 0; i < n; i++) {
        sum += fabs(g[i]);
        square += g[i] * g[i];
        most = fmax(most, fabs(g[i]));
    }
    reach = norm == NM_NORM_LINF ? sum
            : norm == NM_NORM_L1 ? most
            : norm == NM_NORM_L2 ? sqrt(square)
                                 : (double)n * best_ratio(g, n);
    return reach > 0 ? 1 / reach : INFINITY;
}

static nm_status layer_cost(const nm_edit_job *job, const nm_layer_gradient *g, int layer,
                            int64_t n, nm_norm norm, double margin, double *cost, nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t first = job->free == NM_FREE_BIASES ? l->n_weights : 0;
    int64_t end = job->free == NM_FREE_WEIGHTS ? l->n_weights : l->n_weights + l->n_biases;
    double *v = NULL;
    nm_status rc = NM_OK;

    *cost = 0;
    NM_TRY(nm_alloc(&v, (size_t)(l->n_weights + l->n_biases), sizeof *v, err));
    for (int64_t p = 0; p < n; p++) {
        double deficit = margin - nm_layer_gradient_objective(g)[p];

        if (!(deficit > 0))
            continue;
        NM_TRY(nm_layer_gradient_params(g, layer, p, 1, v, v + l->n_weights, err));
        *cost = fmax(*cost, deficit * unit_cost(norm, v + first, end - first));
        NM_TRY(nm_ctx_check(job->ctx, err));
    }
done:
    nm_free(v);
    return rc;
}

static nm_status by_function_norm(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_choose_opts how = NM_CHOOSE_OPTS_INIT;
    nm_repair_opts opts = *job->opts;
    nm_choice choice;
    nm_status rc;

    how.free = job->free;
    how.max_trials = 0;
    how.max_repair = (int64_t)job->values->v[POINTS];
    opts.method = NM_METHOD_POINTWISE;
    opts.pins = NM_PINS_LAZY;
    if (job->values->given[MARGIN])
        opts.margin = job->values->v[MARGIN];
    rc = nm_choose_layer(job->ctx, job->net, job->task, &opts, &how, &choice, err);
    if (rc != NM_OK)
        return rc;
    for (int i = 0; i < choice.n_scores; i++)
        out->scores[i] = -choice.scores[i].predicted_cost;
    nm_choice_free(&choice);
    return NM_OK;
}

struct behind {
    double deficit;
    int64_t point;
};

static int by_deficit(const void *a, const void *b)
{
    const struct behind *x = a, *y = b;

    if (x->deficit != y->deficit)
        return x->deficit > y->deficit ? -1 : 1;
    return (x->point > y->point) - (x->point < y->point);
}

/* The points with the largest deficits; those without one cost nothing. */
static nm_status take_worst(const nm_edit_job *job, int64_t most, nm_sample *out, nm_err *err)
{
    const nm_points *set = job->task->repair;
    int64_t n_scores = job->net->values[job->net->scores].size, n_in = set->n_in;
    struct behind *list = NULL;
    float *scores = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&list, (size_t)set->n, sizeof *list, err));
    NM_TRY(nm_alloc(&scores, (size_t)set->n, (size_t)n_scores * sizeof *scores, err));
    NM_TRY(nm_scores_of(job->ctx, job->net, set->x, set->n, scores, err));
    for (int64_t p = 0; p < set->n; p++) {
        const float *s = scores + p * n_scores;

        list[p] = (struct behind){-INFINITY, p};
        for (int64_t j = 0; j < n_scores; j++)
            if (j != job->target[p])
                list[p].deficit = fmax(list[p].deficit, (double)s[j] - (double)s[job->target[p]]);
    }
    qsort(list, (size_t)set->n, sizeof *list, by_deficit);
    out->n = set->n < most ? set->n : most;
    NM_TRY(nm_alloc(&out->x, (size_t)out->n, (size_t)n_in * sizeof *out->x, err));
    NM_TRY(nm_alloc(&out->labels, (size_t)out->n, sizeof *out->labels, err));
    for (int64_t i = 0; i < out->n; i++) {
        memcpy(out->x + i * n_in, set->x + list[i].point * n_in, (size_t)n_in * sizeof *out->x);
        out->labels[i] = job->target[list[i].point];
    }
done:
    nm_free(list);
    nm_free(scores);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    const nm_values *v = job->values;
    nm_norm norm = v->given[NORM] ? (nm_norm)v->v[NORM] : job->opts->norm;
    double margin = v->given[MARGIN] || isnan(job->opts->margin) ? v->v[MARGIN] : job->opts->margin;
    nm_sample repair = {0};
    nm_layer_gradient *g = NULL;
    nm_status rc = NM_OK;

    if (norm == NM_NORM_FUNCTION)
        return by_function_norm(job, out, err);
    NM_TRY(take_worst(job, (int64_t)v->v[POINTS], &repair, err));
    NM_TRY(nm_layer_gradient_open(job->ctx, job->net, repair.x, repair.labels, repair.n,
                                  NM_OF_MARGIN, &g, err));
    for (int i = 0; i < job->net->n_layers; i++) {
        double cost;

        NM_TRY(layer_cost(job, g, i, repair.n, norm, margin, &cost, err));
        out->scores[i] = -cost;
    }
done:
    nm_layer_gradient_close(g);
    nm_sample_clear(&repair);
    return rc;
}

const nm_edit_kind nm_edit_predicted_cost = {
    .info = {.name = "PredictedCost",
             .summary = "the layer with the smallest lower bound on the size of the change",
             .scope = "repair points (and reference points with norm=function); score: minus the "
                      "bound; ties: the later layer",
             .source = "closed form of one point's repair (irdnn.md 6.2)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
