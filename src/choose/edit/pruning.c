/* NeuronPruning: neurons that are silent at the repair points are pruned from the edit.
 *
 * A neuron (a row of a dense layer, a channel of a convolution) stays if its mean |activation| is
 * above a share of its layer's. The layer with the largest share of neurons that stay wins. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "choose/edit/edit.h"
#include "net/op.h"

enum { THRESHOLD, POINTS };
static const nm_heuristic_param params[] = {
    {.name = "activation_threshold",
     .initial = 0.1,
     .min = 0,
     .max = 1,
     .below_max = true,
     .help = "neurons with less than this times the layer's mean activation are left alone"},
    NM_EDIT_PARAM_POINTS(64)};

/* Which neuron the i-th output number of a layer belongs to. */
static int64_t neuron_of(const nm_net *net, int layer, int64_t n_rows, int64_t i)
{
    const nm_op *op = &net->ops[net->layers[layer].op];
    int64_t places = net->values[op->out].size / n_rows;

    return op->kind == &nm_op_dense ? i % n_rows : i / places;
}

static nm_status find_active(const nm_edit_job *job, int layer, const float *at, int64_t n,
                             bool *active, int64_t n_rows, nm_err *err)
{
    int64_t size = nm_outputs_size(job, layer);
    double *sum = NULL, mean = 0;
    nm_status rc = nm_alloc(&sum, (size_t)n_rows, sizeof *sum, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < n * size; i++)
        sum[neuron_of(job->net, layer, n_rows, i % size)] += fabs((double)at[i]);
    for (int64_t r = 0; r < n_rows; r++)
        mean += sum[r] / (double)n_rows;
    for (int64_t r = 0; r < n_rows; r++)
        active[r] = sum[r] > job->values->v[THRESHOLD] * mean;
    nm_free(sum);
    return NM_OK;
}

/* The share of neurons that stay; active[] for nm_free() if it is wanted. */
static nm_status prune(const nm_edit_job *job, int layer, const float *at, int64_t n, double *share,
                       bool **active, nm_err *err)
{
    int64_t *rows = NULL, n_rows, n_active = 0;
    bool *found = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_rows(job->net, layer, &rows, &n_rows, err));
    NM_TRY(nm_alloc(&found, (size_t)n_rows, sizeof *found, err));
    if (n_rows > 0)
        NM_TRY(find_active(job, layer, at, n, found, n_rows, err));
    for (int64_t r = 0; r < n_rows; r++)
        n_active += found[r];
    *share = n_rows > 0 ? (double)n_active / (double)n_rows : NAN;
    if (active) {
        *active = found;
        found = NULL;
    }
done:
    nm_free(rows);
    nm_free(found);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_sample repair = {0};
    nm_outputs at = {0};
    bool *active = NULL;
    double share;
    int best;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &repair, err));
    NM_TRY(nm_outputs_of(job, repair.x, repair.n, &at, err));
    for (int i = 0; i < job->net->n_layers; i++)
        NM_TRY(prune(job, i, at.at[i], repair.n, &out->scores[i], NULL, err));
    best = nm_edit_best(job, out->scores);
    if (best < 0 || out->scores[best] == 0)
        goto done;
    NM_TRY(prune(job, best, at.at[best], repair.n, &share, &active, err));
    NM_TRY(nm_edit_mark_rows(job, best, active, out->plan, err));
    out->best = best;
    (void)snprintf(out->why, sizeof out->why, "%.0f %% of its neurons are active", 100 * share);
done:
    nm_free(active);
    nm_outputs_clear(&at);
    nm_sample_clear(&repair);
    return rc;
}

const nm_edit_kind nm_edit_pruning = {
    .info = {.name = "NeuronPruning",
             .summary = "active neurons of the layer with the fewest silent ones",
             .scope = "repair points; score: share of active neurons; ties: the later layer",
             .source = "Adsule et al. 2025; the rule its name and its unused threshold describe",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
