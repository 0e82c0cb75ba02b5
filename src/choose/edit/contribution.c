/* NeuronContribution: the layer most of whose neurons fire consistently and matter.
 *
 * Neuron j is consistent if it fires (a > 0) at a share of the repair points of at least
 * `consistency` or at most 1 - consistency; it contributes mean |a dm/da|, m the margin. Score:
 * contributions of the consistent neurons over the number of all. */
#include <math.h>

#include "choose/edit/edit.h"

enum { CONSISTENCY, POINTS };
static const nm_heuristic_param params[] = {
    {.name = "consistency",
     .initial = 0.7,
     .min = 0.5,
     .max = 1,
     .help = "share of the points at which a consistent neuron fires, or is silent"},
    NM_EDIT_PARAM_POINTS(64)};

static double density(const double *a, const double *slope, int64_t n, int64_t size,
                      double consistency)
{
    double sum = 0;

    for (int64_t j = 0; j < size; j++) {
        double rate = 0, contribution = 0;

        for (int64_t i = 0; i < n; i++) {
            rate += a[i * size + j] > 0 ? 1 / (double)n : 0;
            contribution += fabs(a[i * size + j] * slope[i * size + j]) / (double)n;
        }
        /* Shares of n points: 1e-9 is rounding. */
        if (rate >= consistency - 1e-9 || rate <= 1 - consistency + 1e-9)
            sum += contribution;
    }
    return sum / (double)size;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_sample repair = {0};
    nm_layer_gradient *g = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &repair, err));
    NM_TRY(nm_layer_gradient_open(job->ctx, job->net, repair.x, repair.labels, repair.n,
                                  NM_OF_MARGIN, &g, err));
    for (int i = 0; i < job->net->n_layers; i++) {
        int value = nm_layer_activation(job->net, i);

        out->scores[i] =
            density(nm_layer_gradient_value(g, value), nm_layer_gradient_adjoint(g, value),
                    repair.n, job->net->values[value].size, job->values->v[CONSISTENCY]);
    }
done:
    nm_layer_gradient_close(g);
    nm_sample_clear(&repair);
    return rc;
}

const nm_edit_kind nm_edit_contribution = {
    .info = {.name = "NeuronContribution",
             .summary = "the layer with the densest consistent contributions to the margin",
             .scope = "repair points; ties: the later layer",
             .source = "Adsule et al. 2025 (irdnn.md 6.6)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
