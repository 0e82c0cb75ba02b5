/* What edit heuristics share: samples, outputs of layers, rows, attacks. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "choose/edit/edit.h"
#include "net/op.h"

/* -- layers ---------------------------------------------------------------------------------- */

const char *nm_edit_refusal(const nm_net *net, int layer, nm_free_kind free)
{
    if (net->layers[layer].locked)
        return net->layers[layer].locked;
    return free == NM_FREE_BIASES && net->layers[layer].bias < 0 ? "it has no biases" : NULL;
}

nm_status nm_edit_layer(const nm_edit_job *job, int param, int *layer, nm_err *err)
{
    int n = job->net->n_layers, asked = (int)job->values->v[param];

    *layer = asked < 0 ? n + asked : asked;
    if (*layer < 0 || *layer >= n)
        return nm_fail(err, NM_E_ARG, "%s: layer=%d, expected 0 to %d, or -%d to -1 from the end",
                       job->name, asked, n - 1, n);
    return NM_OK;
}

int nm_edit_best(const nm_edit_job *job, const double *scores)
{
    int best = -1;

    for (int i = 0; i < job->net->n_layers; i++)
        if (!isnan(scores[i]) && !nm_edit_refusal(job->net, i, job->free) &&
            (best < 0 || scores[i] >= scores[best]))
            best = i;
    return best;
}

/* -- points ---------------------------------------------------------------------------------- */

nm_status nm_edit_repair_sample(const nm_edit_job *job, int64_t most, nm_sample *out, nm_err *err)
{
    return nm_sample_take(job->task->repair, job->target, 0, 1, most, out, err);
}

nm_status nm_edit_reference_sample(const nm_edit_job *job, int64_t most, nm_sample *out,
                                   nm_err *err)
{
    *out = (nm_sample){0};
    if (!job->reference)
        return NM_OK;
    return nm_sample_take(job->reference, job->reference->labels, 0, 1, most, out, err);
}

/* -- outputs ---------------------------------------------------------------------------------- */

int64_t nm_outputs_size(const nm_edit_job *job, int layer)
{
    return job->net->values[nm_layer_activation(job->net, layer)].size;
}

nm_status nm_outputs_of(const nm_edit_job *job, const float *x, int64_t n, nm_outputs *out,
                        nm_err *err)
{
    const nm_net *net = job->net;
    float **wanted = NULL;
    nm_status rc = NM_OK;

    *out = (nm_outputs){.n_layers = net->n_layers};
    NM_TRY(nm_alloc(&out->at, (size_t)net->n_layers, sizeof *out->at, err));
    NM_TRY(nm_alloc(&wanted, (size_t)net->n_values, sizeof *wanted, err));
    for (int i = 0; i < net->n_layers; i++) {
        size_t size = (size_t)nm_outputs_size(job, i);

        NM_TRY(nm_alloc(&out->at[i], (size_t)n, size * sizeof **out->at, err));
        wanted[nm_layer_activation(net, i)] = out->at[i];
    }
    NM_TRY(nm_values_at(job->ctx, net, x, n, wanted, err));
done:
    nm_free(wanted);
    if (rc != NM_OK)
        nm_outputs_clear(out);
    return rc;
}

void nm_outputs_clear(nm_outputs *outputs)
{
    for (int i = 0; outputs->at && i < outputs->n_layers; i++)
        nm_free(outputs->at[i]);
    nm_free(outputs->at);
    *outputs = (nm_outputs){0};
}

/* -- rows ------------------------------------------------------------------------------------ */

nm_status nm_edit_rows(const nm_net *net, int layer, int64_t **rows, int64_t *n_rows, nm_err *err)
{
    const nm_layer *l = &net->layers[layer];
    const nm_op *op = &net->ops[l->op];
    const nm_shape *w = &net->values[l->weight].shape;
    nm_matrix_form form = {0};
    bool matrix = op->kind->matrix_form && op->kind->matrix_form(net, op, &form);
    bool transposed = matrix && form.transposed;
    nm_status rc = nm_alloc(rows, (size_t)l->n_weights, sizeof **rows, err);

    *n_rows = 0;
    if (rc != NM_OK)
        return rc;
    if (matrix)
        *n_rows = form.n_out;
    else if (op->kind != &nm_op_conv_transpose && w->rank > 0)
        *n_rows = w->dim[0];
    for (int64_t i = 0; *n_rows > 0 && i < l->n_weights; i++)
        (*rows)[i] = transposed ? i % *n_rows : i / (l->n_weights / *n_rows);
    return NM_OK;
}

nm_status nm_edit_mark_rows(const nm_edit_job *job, int layer, const bool *keep, nm_plan *plan,
                            nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t *rows = NULL, n_rows;
    uint8_t *mask = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_rows(job->net, layer, &rows, &n_rows, err));
    if (n_rows == 0) {
        NM_TRY(nm_plan_mark(plan, layer, job->free, err));
        goto done;
    }
    NM_TRY(nm_alloc(&mask, (size_t)(l->n_weights + l->n_biases), 1, err));
    for (int64_t i = 0; i < l->n_weights; i++)
        mask[i] = keep[rows[i]];
    for (int64_t i = 0; i < l->n_biases; i++)
        mask[l->n_weights + i] = keep[l->n_biases == n_rows ? i : 0];
    if (job->free != NM_FREE_BIASES)
        NM_TRY(nm_plan_mark_mask(plan, layer, false, mask, l->n_weights, err));
    if (job->free != NM_FREE_WEIGHTS && l->n_biases > 0)
        NM_TRY(nm_plan_mark_mask(plan, layer, true, mask + l->n_weights, l->n_biases, err));
done:
    nm_free(rows);
    nm_free(mask);
    return rc;
}

/* -- attack ---------------------------------------------------------------------------------- */

nm_status nm_edit_attack(const nm_edit_job *job, const nm_sample *points, double epsilon, int steps,
                         float *adversarial, nm_err *err)
{
    int64_t size = points->n * nm_net_n_in(job->net);
    double step = epsilon / steps;
    nm_status rc = NM_OK;

    memcpy(adversarial, points->x, (size_t)size * sizeof *adversarial);
    for (int k = 0; rc == NM_OK && k < steps; k++) {
        nm_layer_gradient *g = NULL;
        const double *slope;

        rc = nm_layer_gradient_open(job->ctx, job->net, adversarial, points->labels, points->n,
                                    NM_OF_LOSS, &g, err);
        slope = rc == NM_OK ? nm_layer_gradient_adjoint(g, job->net->input) : NULL;
        for (int64_t i = 0; slope && i < size; i++) {
            double x = (double)points->x[i], to = (double)adversarial[i];

            to += slope[i] > 0 ? step : slope[i] < 0 ? -step : 0;
            adversarial[i] = (float)fmin(fmax(to, x - epsilon), x + epsilon);
        }
        nm_layer_gradient_close(g);
    }
    return rc;
}
