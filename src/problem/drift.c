#include "problem/drift.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/partial.h"

struct nm_drift {
    const nm_ctx *ctx;
    const nm_edits *edits;
    const nm_crowd *reference;
    nm_drift_opts opts;
    int64_t n_scores, chunk;
    float *before; /* [n x n_scores] */
    /* of one chunk */
    nm_net *net;    /* with the change */
    float **values; /* [n_values] what the tail computes, [chunk x size] */
    nm_tape *at, *adjoint;
    double *seen, *emitted; /* of one layer */
    float *seen32, *emitted32;
    float *outer32; /* [n_out x width] of the largest dense layer */
    double *outer;
};

/* -- opening ------------------------------------------------------------------------------- */

static nm_status open_chunk(nm_drift *d, nm_err *err)
{
    const nm_net *net = d->net; /* the tapes look weights up in it */
    const nm_tail_marks *marks = &d->reference->marks;
    int64_t seen = 1, emitted = 1, matrix = 1;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&keep, (size_t)net->n_values, sizeof *keep, err));
    NM_TRY(nm_alloc(&d->values, (size_t)net->n_values, sizeof *d->values, err));
    for (int v = 0; v < net->n_values; v++) {
        keep[v] = marks->frontier[v] || marks->behind[v];
        if (marks->behind[v])
            NM_TRY(nm_alloc(&d->values[v], (size_t)d->chunk,
                            (size_t)net->values[v].size * sizeof(float), err));
    }
    NM_TRY(nm_tape_new(net, d->chunk, keep, &d->at, err));
    NM_TRY(nm_tape_new(net, d->chunk, marks->behind, &d->adjoint, err));
    for (int b = 0; b < d->edits->n; b++) {
        const nm_edit *e = &d->edits->at[b];

        seen = nm_edit_seen(e) > seen ? nm_edit_seen(e) : seen;
        emitted = nm_edit_emitted(e) > emitted ? nm_edit_emitted(e) : emitted;
        matrix = e->form.n_out * e->width > matrix ? e->form.n_out * e->width : matrix;
    }
    NM_TRY(nm_alloc(&d->seen, (size_t)(d->chunk * seen), sizeof *d->seen, err));
    NM_TRY(nm_alloc(&d->emitted, (size_t)(d->chunk * emitted), sizeof *d->emitted, err));
    NM_TRY(nm_alloc(&d->seen32, (size_t)(d->chunk * seen), sizeof *d->seen32, err));
    NM_TRY(nm_alloc(&d->emitted32, (size_t)(d->chunk * emitted), sizeof *d->emitted32, err));
    NM_TRY(nm_alloc(&d->outer32, (size_t)matrix, sizeof *d->outer32, err));
    NM_TRY(nm_alloc(&d->outer, (size_t)matrix * (size_t)d->edits->n, sizeof *d->outer, err));
done:
    nm_free(keep);
    return rc;
}

nm_status nm_drift_new(const nm_ctx *ctx, const nm_edits *edits, const nm_crowd *reference,
                       const nm_drift_opts *opts, nm_drift **out, nm_err *err)
{
    nm_drift *d = NULL;
    double *zero = NULL;
    int64_t n_scores = edits->net->values[edits->net->scores].size;
    int64_t chunk = 4 * nm_pass_block(edits->net);
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&d, 1, sizeof *d, err));
    *d = (nm_drift){.ctx = ctx,
                    .edits = edits,
                    .reference = reference,
                    .opts = *opts,
                    .n_scores = n_scores,
                    .chunk = chunk < reference->n ? chunk : reference->n};
    NM_TRY(nm_alloc(&d->before, (size_t)reference->n, (size_t)n_scores * sizeof *d->before, err));
    NM_TRY(nm_alloc(&zero, (size_t)edits->params->n, sizeof *zero, err));
    NM_TRY(nm_crowd_scores(ctx, reference, zero, d->before, err));
    NM_TRY(nm_net_clone(edits->net, &d->net, err));
    NM_TRY(open_chunk(d, err));
    *out = d;
    d = NULL;
done:
    nm_free(zero);
    nm_drift_free(d);
    return rc;
}

void nm_drift_free(nm_drift *d)
{
    if (!d)
        return;
    for (int v = 0; d->values && v < d->edits->net->n_values; v++)
        nm_free(d->values[v]);
    nm_free(d->values);
    nm_free(d->before);
    nm_tape_free(d->at); /* before the net that they look at */
    nm_tape_free(d->adjoint);
    nm_net_free(d->net);
    nm_free(d->seen);
    nm_free(d->emitted);
    nm_free(d->seen32);
    nm_free(d->emitted32);
    nm_free(d->outer32);
    nm_free(d->outer);
    nm_free(d);
}

double nm_drift_work(const nm_edits *edits, int64_t n)
{
    double work = 0;

    for (int b = 0; b < edits->n; b++) {
        const nm_edit *e = &edits->at[b];

        work += 2 * (double)(e->form.places * e->form.n_out * e->width);
    }
    return work * (double)n;
}

/* -- one chunk ----------------------------------------------------------------------------- */

/* The tail in float32, and its values on the tape. */
static nm_status forward(nm_drift *d, int64_t first, int64_t n, bool backward, nm_err *err)
{
    const nm_net *net = d->edits->net;
    const float **given = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&given, (size_t)net->n_values, sizeof *given, err));
    for (int v = 0; v < net->n_values; v++)
        if (d->reference->marks.frontier[v]) {
            const float *all = v == net->input ? d->reference->x : d->reference->frontier[v];

            given[v] = all + first * net->values[v].size;
        }
    nm_partial partial = {.net = d->net,
                          .op_mask = d->reference->marks.op_mask,
                          .n = n,
                          .given = given,
                          .wanted = d->values};
    NM_TRY(nm_partial_run(d->ctx, &partial, err));
    if (!backward)
        goto done;
    d->at->n = d->adjoint->n = n;
    nm_crowd_load(d->reference, first, n, d->at);
    for (int v = 0; v < net->n_values; v++)
        for (int64_t i = 0; d->values[v] && i < n * net->values[v].size; i++)
            d->at->val[v][i] = (double)d->values[v][i];
done:
    nm_free(given);
    return rc;
}

static double log_sum(const double *z, int64_t n)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = 0; j < n; j++)
        most = fmax(most, z[j]);
    for (int64_t j = 0; j < n; j++)
        sum += exp(z[j] - most);
    return most + log(sum);
}

/* T^2 KL of one point; adds weight T (q - p) to `seed`, unless NULL. scratch: [2 n_scores] */
static double divergence(const nm_drift *d, const float *before, const float *after, double weight,
                         double *scratch, double *seed)
{
    double t = d->opts.temperature, sum = 0, *z = scratch, *w = scratch + d->n_scores;
    int64_t n = d->n_scores;

    for (int64_t j = 0; j < n; j++) {
        z[j] = (double)before[j] / t;
        w[j] = (double)after[j] / t;
    }
    double before_sum = log_sum(z, n), after_sum = log_sum(w, n);

    for (int64_t j = 0; j < n; j++) {
        double log_p = z[j] - before_sum, log_q = w[j] - after_sum;

        sum += exp(log_p) * (log_p - log_q);
        if (seed)
            seed[j] += weight * t * (exp(log_q) - exp(log_p));
    }
    return t * t * sum;
}

/* -log q_label of one point; adds weight (q - label's indicator) to `seed`, unless NULL.
   w: scratch [n_scores] */
static double surprise(const nm_drift *d, const float *after, int64_t label, double weight,
                       double *w, double *seed)
{
    int64_t n = d->n_scores;

    for (int64_t j = 0; j < n; j++)
        w[j] = (double)after[j];
    double sum = log_sum(w, n);

    for (int64_t j = 0; seed && j < n; j++)
        seed[j] += weight * (exp(w[j] - sum) - (j == label ? 1 : 0));
    return sum - w[label];
}

static nm_status score_chunk(nm_drift *d, int64_t first, int64_t n, bool backward,
                             nm_drift_value *value, nm_err *err)
{
    int scores = d->edits->net->scores;
    const int64_t *labels = d->opts.labels;
    double share = labels ? d->opts.label_share : 0, each = 1 / (double)d->reference->n, *scratch;
    nm_status rc = nm_alloc(&scratch, 2 * (size_t)d->n_scores, sizeof *scratch, err);

    if (rc != NM_OK)
        return rc;
    if (backward)
        nm_tape_zero(d->adjoint);
    for (int64_t p = 0; p < n; p++) {
        const float *before = d->before + (first + p) * d->n_scores;
        const float *after = d->values[scores] + p * d->n_scores;
        double *seed = backward ? d->adjoint->val[scores] + p * d->n_scores : NULL;
        double drift = divergence(d, before, after, (1 - share) * each, scratch, seed);

        value->drift += each * drift;
        value->loss += each * (1 - share) * drift;
        if (labels && share > 0)
            value->loss +=
                each * share * surprise(d, after, labels[first + p], each * share, scratch, seed);
    }
    nm_free(scratch);
    return NM_OK;
}

/* outer [n_out x width] += emitted' seen over rows, float32 within the chunk. */
static void add_outer(nm_drift *d, const nm_edit *e, int64_t rows, double *outer)
{
    enum { STRIP = 64 };
    int64_t n_out = e->form.n_out, width = e->width, strips = (n_out + STRIP - 1) / STRIP;

    for (int64_t i = 0; i < rows * n_out; i++)
        d->emitted32[i] = (float)d->emitted[i];
    for (int64_t i = 0; i < rows * width; i++)
        d->seen32[i] = (float)d->seen[i];
#pragma omp parallel for schedule(static) num_threads(nm_ctx_threads(d->ctx)) if (strips > 1)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = s * STRIP, count = n_out - i < STRIP ? n_out - i : STRIP;

        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)count, (int)width, (int)rows, 1,
                    d->emitted32 + i, (int)n_out, d->seen32, (int)width, 0, d->outer32 + i * width,
                    (int)width);
        for (int64_t k = i * width; k < (i + count) * width; k++)
            outer[k] += (double)d->outer32[k];
    }
}

static nm_status backward(nm_drift *d, nm_err *err)
{
    double *outer = d->outer;
    nm_status rc = nm_tape_vjp(d->ctx, d->at, d->adjoint, d->reference->marks.op_mask, false, err);

    for (int b = 0; rc == NM_OK && b < d->edits->n; b++) {
        const nm_edit *e = &d->edits->at[b];

        NM_TRY(nm_edit_see(d->ctx, d->edits, b, d->at, 0, d->at->n, d->seen, err));
        NM_TRY(nm_edit_emit(d->ctx, d->edits, b, d->adjoint, d->at->n, d->emitted, err));
        add_outer(d, e, d->at->n * e->form.places, outer);
        outer += e->form.n_out * e->width;
    }
done:
    return rc;
}

nm_status nm_drift_at(nm_drift *d, const double *change, nm_drift_value *value, double *gradient,
                      nm_err *err)
{
    double *outer = d->outer;
    int64_t n = d->reference->n, size = 0;
    nm_status rc = NM_OK;

    *value = (nm_drift_value){0};
    NM_TRY(nm_params_apply(d->edits->params, d->edits->net, change, d->net, err));
    for (int b = 0; b < d->edits->n; b++)
        size += d->edits->at[b].form.n_out * d->edits->at[b].width;
    memset(d->outer, 0, (size_t)size * sizeof *d->outer);
    for (int64_t first = 0; first < n; first += d->chunk) {
        int64_t count = n - first < d->chunk ? n - first : d->chunk;

        NM_TRY(nm_ctx_check(d->ctx, err));
        NM_TRY(forward(d, first, count, gradient != NULL, err));
        NM_TRY(score_chunk(d, first, count, gradient != NULL, value, err));
        if (gradient)
            NM_TRY(backward(d, err));
    }
    for (int b = 0; gradient && b < d->edits->n; b++) {
        nm_edit_to_params(d->edits, b, outer, gradient);
        outer += d->edits->at[b].form.n_out * d->edits->at[b].width;
    }
done:
    return rc;
}
