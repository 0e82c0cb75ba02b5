/* LayerImportance: layers whose outputs decide what happens at the repair points.
 *
 * Setting a layer of a chain to zero makes the outputs constant, whichever layer it is. So each
 * layer's output is drawn part of the way to its mean over the reference points (all the way is
 * mean ablation), and the change of the loss at each repair point is measured. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "choose/edit/edit.h"

enum { SHARE, THRESHOLD, POINTS };
static const nm_heuristic_param params[] = {
    {.name = "share",
     .initial = 0.5,
     .min = 0,
     .max = 1,
     .above_min = true,
     .help = "how far outputs are drawn to their mean"},
    {.name = "importance_threshold",
     .initial = 1,
     .min = 0,
     .max = 1,
     .help = "layers with at least this share of the largest importance are changed"},
    NM_EDIT_PARAM_POINTS(64)};

struct ablation {
    const nm_edit_job *job;
    nm_layer_gradient *g;
    nm_sample repair;
    const float *reference; /* [n_reference x n_in] */
    int64_t n_reference;
};

static nm_status mean_output(const struct ablation *a, int value, double *mean, nm_err *err)
{
    int64_t size = a->job->net->values[value].size, n = a->n_reference;
    float *at = NULL;
    nm_status rc = nm_value_at(a->job->ctx, a->job->net, a->reference, n, value, &at, err);

    for (int64_t i = 0; rc == NM_OK && i < n * size; i++)
        mean[i % size] += (double)at[i] / (double)n;
    nm_free(at);
    return rc;
}

/* Mean |change of the loss| when the layer's output is drawn to its mean. */
static nm_status ablate(struct ablation *a, int layer, double *importance, nm_err *err)
{
    int value = nm_layer_activation(a->job->net, layer);
    int64_t size = a->job->net->values[value].size, n = a->repair.n;
    double share = a->job->values->v[SHARE], *mean = NULL, *given = NULL, *loss = NULL;
    const double *at = nm_layer_gradient_value(a->g, value);
    const double *before = nm_layer_gradient_objective(a->g);
    nm_status rc = NM_OK;

    *importance = 0;
    NM_TRY(nm_alloc(&mean, (size_t)size, sizeof *mean, err));
    NM_TRY(nm_alloc(&given, (size_t)(n * size), sizeof *given, err));
    NM_TRY(nm_alloc(&loss, (size_t)n, sizeof *loss, err));
    NM_TRY(mean_output(a, value, mean, err));
    for (int64_t i = 0; i < n * size; i++)
        given[i] = at[i] + share * (mean[i % size] - at[i]);
    NM_TRY(nm_layer_gradient_rerun(a->g, a->job->ctx, value, given, loss, err));
    for (int64_t p = 0; p < n; p++)
        *importance += fabs(loss[p] - before[p]) / (double)n;
done:
    nm_free(mean);
    nm_free(given);
    nm_free(loss);
    return rc;
}

static nm_status mark(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int best = nm_edit_best(job, out->scores), n = 0;
    double least;
    nm_status rc = NM_OK;

    if (best < 0 || job->values->v[THRESHOLD] >= 1)
        return NM_OK;
    least = job->values->v[THRESHOLD] * out->scores[best];
    for (int i = 0; rc == NM_OK && i < job->net->n_layers; i++)
        if (out->scores[i] >= least && !nm_edit_refusal(job->net, i, job->free)) {
            rc = nm_plan_mark(out->plan, i, job->free, err);
            n++;
        }
    (void)snprintf(out->why, sizeof out->why, "%d layers change the loss by %.2g or more", n,
                   least);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    struct ablation a = {.job = job};
    nm_sample reference = {0};
    int64_t most = (int64_t)job->values->v[POINTS];
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, most, &a.repair, err));
    NM_TRY(nm_edit_reference_sample(job, most, &reference, err));
    a.reference = reference.n > 0 ? reference.x : a.repair.x;
    a.n_reference = reference.n > 0 ? reference.n : a.repair.n;
    NM_TRY(nm_layer_gradient_open(job->ctx, job->net, a.repair.x, a.repair.labels, a.repair.n,
                                  NM_OF_LOSS, &a.g, err));
    for (int i = 0; i < job->net->n_layers; i++)
        NM_TRY(ablate(&a, i, &out->scores[i], err));
    NM_TRY(mark(job, out, err));
done:
    nm_layer_gradient_close(a.g);
    nm_sample_clear(&a.repair);
    nm_sample_clear(&reference);
    return rc;
}

const nm_edit_kind nm_edit_importance = {
    .info = {.name = "LayerImportance",
             .summary = "layers whose outputs, drawn to their mean, change the loss most",
             .scope = "repair and reference points; ties: the later layer",
             .source = "Adsule et al. 2025; mean ablation in part instead of zeroed weights",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
