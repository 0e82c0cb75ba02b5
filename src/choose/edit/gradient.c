/* GradientBased: the layer to whose parameters the loss at the repair points is most sensitive. */
#include <math.h>

#include "base/mem.h"
#include "choose/edit/edit.h"

enum { SCALE, POINTS };
enum { SCALE_RELATIVE, SCALE_PARAMETER, SCALE_RAW };
static const char *const scales[] = {"relative", "parameter", "raw", NULL};
static const nm_heuristic_param params[] = {
    {.name = "scale",
     .kind = NM_PARAM_WORD,
     .words = scales,
     .help = "length of the gradient of the mean loss times that of the parameters (what a change "
             "by one part does), over the root of their number, or as it is"},
    NM_EDIT_PARAM_POINTS(64)};

static double length(const double *v, int64_t n)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

/* S_l = |grad of the mean loss| (irdnn.md, 6.2), in the scale that is asked for. */
static nm_status score(const nm_edit_job *job, const nm_layer_gradient *g, int layer, int64_t n,
                       double *out, nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t size = l->n_weights + l->n_biases;
    int how = (int)job->values->v[SCALE];
    double *v = NULL, raw;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&v, (size_t)size, sizeof *v, err));
    NM_TRY(nm_layer_gradient_params(g, layer, 0, n, v, v + l->n_weights, err));
    raw = length(v, size) / (double)n;
    *out = raw;
    if (how == SCALE_PARAMETER)
        *out = raw / sqrt((double)size);
    if (how == SCALE_RELATIVE) {
        NM_TRY(nm_net_get_layer(job->net, layer, false, v, err));
        if (l->n_biases > 0)
            NM_TRY(nm_net_get_layer(job->net, layer, true, v + l->n_weights, err));
        *out = raw * length(v, size);
    }
done:
    nm_free(v);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_sample repair = {0};
    nm_layer_gradient *g = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &repair, err));
    NM_TRY(nm_layer_gradient_open(job->ctx, job->net, repair.x, repair.labels, repair.n, NM_OF_LOSS,
                                  &g, err));
    for (int i = 0; i < job->net->n_layers; i++) {
        NM_TRY(score(job, g, i, repair.n, &out->scores[i], err));
        NM_TRY(nm_ctx_check(job->ctx, err));
    }
done:
    nm_layer_gradient_close(g);
    nm_sample_clear(&repair);
    return rc;
}

const nm_edit_kind nm_edit_gradient = {
    .info = {.name = "GradientBased",
             .summary = "the layer to which the loss at the repair points is most sensitive",
             .scope = "repair points; ties: the later layer",
             .source = "Adsule et al. 2025 (irdnn.md 6.2)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
