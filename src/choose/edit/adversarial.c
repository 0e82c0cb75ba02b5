/* Adversarial: parameters that adversarial points near the repair points pull at.
 *
 * PGD points of the repair set; a parameter's score is its mean |gradient of the loss| over them.
 * Marked are weights above mean + `deviations` standard deviations of their layer, and biases of
 * rows whose mean score is. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "choose/edit/edit.h"

enum { EPSILON, STEPS, DEVIATIONS, LAYERS, POINTS };
enum { LAYERS_BEST, LAYERS_ALL };
static const char *const layers_words[] = {"best", "all", NULL};
static const nm_heuristic_param params[] = {
    NM_EDIT_PARAM_EPSILON,
    NM_EDIT_PARAM_STEPS,
    {.name = "deviations",
     .initial = 1,
     .min = -1e3,
     .max = 1e3,
     .help = "how many standard deviations above the mean is marked"},
    {.name = "layers",
     .kind = NM_PARAM_WORD,
     .words = layers_words,
     .help = "marked are parameters of the layer with the best score, or of all"},
    NM_EDIT_PARAM_POINTS(16)};

/* pull[weights, then biases] = mean over points of |gradient|. */
static nm_status pull_of(const nm_layer_gradient *g, const nm_layer *l, int layer, int64_t n,
                         double *pull, nm_err *err)
{
    int64_t size = l->n_weights + l->n_biases;
    double *one = NULL;
    nm_status rc = nm_alloc(&one, (size_t)size, sizeof *one, err);

    memset(pull, 0, (size_t)size * sizeof *pull);
    for (int64_t p = 0; rc == NM_OK && p < n; p++) {
        rc = nm_layer_gradient_params(g, layer, p, 1, one, one + l->n_weights, err);
        for (int64_t i = 0; rc == NM_OK && i < size; i++)
            pull[i] += fabs(one[i]) / (double)n;
    }
    nm_free(one);
    return rc;
}

static double limit_of(const double *v, int64_t n, double deviations)
{
    double mean = 0, square = 0;

    for (int64_t i = 0; i < n; i++)
        mean += v[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (v[i] - mean) * (v[i] - mean) / (double)n;
    return mean + deviations * sqrt(square);
}

static nm_status mark_biases(const nm_edit_job *job, int layer, const double *pull,
                             nm_edit_choice *out, nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t *rows = NULL, n_rows;
    double *mean = NULL, limit;
    uint8_t *mask = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_rows(job->net, layer, &rows, &n_rows, err));
    if (n_rows != l->n_biases)
        goto done;
    NM_TRY(nm_alloc(&mean, (size_t)n_rows, sizeof *mean, err));
    NM_TRY(nm_alloc(&mask, (size_t)n_rows, 1, err));
    for (int64_t i = 0; i < l->n_weights; i++)
        mean[rows[i]] += pull[i] * (double)n_rows / (double)l->n_weights;
    limit = limit_of(mean, n_rows, job->values->v[DEVIATIONS]);
    for (int64_t r = 0; r < n_rows; r++)
        mask[r] = mean[r] > limit;
    NM_TRY(nm_plan_mark_mask(out->plan, layer, true, mask, n_rows, err));
done:
    nm_free(rows);
    nm_free(mean);
    nm_free(mask);
    return rc;
}

static nm_status mark(const nm_edit_job *job, int layer, const double *pull, nm_edit_choice *out,
                      nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    double limit = limit_of(pull, l->n_weights, job->values->v[DEVIATIONS]);
    uint8_t *mask = NULL;
    nm_status rc = NM_OK;

    if (job->free != NM_FREE_BIASES) {
        NM_TRY(nm_alloc(&mask, (size_t)l->n_weights, 1, err));
        for (int64_t i = 0; i < l->n_weights; i++)
            mask[i] = pull[i] > limit;
        NM_TRY(nm_plan_mark_mask(out->plan, layer, false, mask, l->n_weights, err));
    }
    if (job->free != NM_FREE_WEIGHTS && l->n_biases > 0)
        NM_TRY(mark_biases(job, layer, pull, out, err));
done:
    nm_free(mask);
    return rc;
}

/* Scores the layer, and marks it if asked: length of the pull over the root of its size. */
static nm_status look_at(const nm_edit_job *job, const nm_layer_gradient *g, int64_t n, int layer,
                         bool marks, nm_edit_choice *out, nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t size = l->n_weights + l->n_biases;
    double *pull = NULL, sum = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(job->ctx, err));
    NM_TRY(nm_alloc(&pull, (size_t)size, sizeof *pull, err));
    NM_TRY(pull_of(g, l, layer, n, pull, err));
    for (int64_t i = 0; i < size; i++)
        sum += pull[i] * pull[i];
    out->scores[layer] = sqrt(sum / (double)size);
    if (marks)
        NM_TRY(mark(job, layer, pull, out, err));
done:
    nm_free(pull);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    bool all = (int)job->values->v[LAYERS] == LAYERS_ALL;
    nm_sample repair = {0};
    nm_layer_gradient *g = NULL;
    float *x = NULL;
    int best;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &repair, err));
    NM_TRY(nm_alloc(&x, (size_t)(repair.n * nm_net_n_in(job->net)), sizeof *x, err));
    NM_TRY(
        nm_edit_attack(job, &repair, job->values->v[EPSILON], (int)job->values->v[STEPS], x, err));
    NM_TRY(nm_layer_gradient_open(job->ctx, job->net, x, repair.labels, repair.n, NM_OF_LOSS, &g,
                                  err));
    for (int i = 0; i < job->net->n_layers; i++)
        NM_TRY(look_at(job, g, repair.n, i, all && !nm_edit_refusal(job->net, i, job->free), out,
                       err));
    best = nm_edit_best(job, out->scores);
    if (!all && best >= 0)
        NM_TRY(look_at(job, g, repair.n, best, true, out, err));
    out->best = best;
done:
    nm_layer_gradient_close(g);
    nm_sample_clear(&repair);
    nm_free(x);
    return rc;
}

const nm_edit_kind nm_edit_adversarial = {
    .info = {.name = "Adversarial",
             .summary = "parameters with the largest gradients at adversarial points",
             .scope = "repair points and PGD points next to them; score: root mean square of the "
                      "parameters' mean |gradient|; ties: the later layer",
             .source = "Adsule et al. 2025 (intent; the code crashes); PGD: Madry et al. 2018",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
