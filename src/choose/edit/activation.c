/* ActivationBased: the layer that is most active at the repair points.
 *
 * M_l = mean |a_l| and V_l = mean over neurons of the variance over points depend on the scale of a
 * layer, so they are divided by the same statistic on the reference points; without those, and for
 * `variation`, the layer is its own scale: V_l / mean over neurons of the squared mean. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "choose/edit/edit.h"

enum { STATISTIC, POINTS };
static const char *const statistics[] = {"magnitude", "variance", "variation", NULL};
static const nm_heuristic_param params[] = {
    {.name = "statistic",
     .kind = NM_PARAM_WORD,
     .words = statistics,
     .help = "magnitude or variance, over that of the reference points (without those: variation); "
             "variation: variance over squared mean"},
    NM_EDIT_PARAM_POINTS(256)};

static double magnitude(const float *a, int64_t n, int64_t size)
{
    double sum = 0;

    for (int64_t i = 0; i < n * size; i++)
        sum += fabs((double)a[i]);
    return sum / (double)(n * size);
}

/* Mean over neurons of the variance over points, and of the squared mean. */
static void spread(const float *a, int64_t n, int64_t size, double *variance, double *square)
{
    *variance = *square = 0;
    for (int64_t j = 0; j < size; j++) {
        double mean = 0, sum = 0;

        for (int64_t i = 0; i < n; i++)
            mean += (double)a[i * size + j] / (double)n;
        for (int64_t i = 0; i < n; i++)
            sum += ((double)a[i * size + j] - mean) * ((double)a[i * size + j] - mean);
        *variance += sum / (double)n / (double)size;
        *square += mean * mean / (double)size;
    }
}

static double statistic_of(nm_activity statistic, const float *a, int64_t n, int64_t size)
{
    double variance, square;

    if (statistic == NM_ACTIVITY_MAGNITUDE)
        return magnitude(a, n, size);
    spread(a, n, size, &variance, &square);
    return statistic == NM_ACTIVITY_VARIANCE ? variance : square > 0 ? variance / square : 0;
}

nm_status nm_edit_activity(const nm_edit_job *job, nm_activity statistic, int64_t points,
                           double *scores, nm_err *err)
{
    nm_sample repair = {0}, reference = {0};
    nm_outputs at = {0}, usual = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, points, &repair, err));
    NM_TRY(nm_edit_reference_sample(job, points, &reference, err));
    NM_TRY(nm_outputs_of(job, repair.x, repair.n, &at, err));
    if (reference.n > 0)
        NM_TRY(nm_outputs_of(job, reference.x, reference.n, &usual, err));
    else
        statistic = NM_ACTIVITY_VARIATION;
    for (int i = 0; i < job->net->n_layers; i++) {
        int64_t size = nm_outputs_size(job, i);
        double scale = statistic == NM_ACTIVITY_VARIATION
                           ? 1
                           : statistic_of(statistic, usual.at[i], reference.n, size);

        scores[i] = statistic_of(statistic, at.at[i], repair.n, size);
        scores[i] = scale > 0 ? scores[i] / scale : scores[i] > 0 ? INFINITY : 0;
    }
done:
    nm_sample_clear(&repair);
    nm_sample_clear(&reference);
    nm_outputs_clear(&at);
    nm_outputs_clear(&usual);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    return nm_edit_activity(job, (nm_activity)job->values->v[STATISTIC],
                            (int64_t)job->values->v[POINTS], out->scores, err);
}

const nm_edit_kind nm_edit_activation = {
    .info = {.name = "ActivationBased",
             .summary = "the layer that is more active at the repair points than it usually is",
             .scope = "repair and reference points; ties: the later layer",
             .source = "Adsule et al. 2025; per neuron, and relative to the reference points",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
