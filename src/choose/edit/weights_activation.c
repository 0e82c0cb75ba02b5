/* WeightsActivationBased: of the most active layer, the rows whose weights carry most activation.
 *
 * Weight (r, c) carries |w_rc| mean |u_c| (Sun et al., "A simple and effective pruning approach for
 * large language models", ICLR 2024), u what the layer sees; a row is kept if the mean over its
 * weights is above a share of the mean over all rows. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "choose/edit/edit.h"
#include "net/arena.h"
#include "net/op.h"

enum { THRESHOLD, LAYER, POINTS };
static const nm_heuristic_param params[] = {
    {.name = "threshold",
     .initial = 0.9,
     .min = 0,
     .max = 1e6,
     .help = "rows that carry more than this times the mean are changed"},
    {.name = "layer",
     .kind = NM_PARAM_INT,
     .initial = -1,
     .min = -1e6,
     .max = 1e6,
     .shown = "the most active one",
     .help = "index of an affine layer; negative: from the end"},
    NM_EDIT_PARAM_POINTS(64)};

/* u[n_weights]: sum over points and places of |what each weight meets|. The adjoint of ones gives
 * it, as the layer is linear. */
static nm_status seen_by_weights(const nm_edit_job *job, int layer, const nm_sample *points,
                                 double *u, nm_err *err)
{
    const nm_net *net = job->net;
    const nm_op *op = &net->ops[net->layers[layer].op];
    int64_t n_in = points->n * net->values[op->in[0]].size;
    int64_t n_out = points->n * net->values[op->out].size;
    nm_arena arena = {0};
    nm_exec ex = {.net = net, .op = op, .n = points->n, .arena = &arena};
    float *seen = NULL;
    double *x = NULL, *ones = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_value_at(job->ctx, net, points->x, points->n, op->in[0], &seen, err));
    NM_TRY(nm_alloc(&x, (size_t)n_in, sizeof *x, err));
    NM_TRY(nm_alloc(&ones, (size_t)n_out, sizeof *ones, err));
    for (int64_t i = 0; i < n_in; i++)
        x[i] = fabs((double)seen[i]);
    for (int64_t i = 0; i < n_out; i++)
        ones[i] = 1;
    op->kind->param_vjp(&ex, x, ones, u, NULL);
    NM_TRY(nm_arena_reset(&arena, err));
done:
    nm_arena_clear(&arena);
    nm_free(seen);
    nm_free(x);
    nm_free(ones);
    return rc;
}

/* carried[n_rows] = mean over the row's weights of |w| u. */
static nm_status carried_by_rows(const nm_edit_job *job, int layer, const nm_sample *points,
                                 const int64_t *rows, int64_t n_rows, double *carried, nm_err *err)
{
    int64_t n = job->net->layers[layer].n_weights;
    double *w = NULL, *u = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&w, (size_t)n, sizeof *w, err));
    NM_TRY(nm_alloc(&u, (size_t)n, sizeof *u, err));
    NM_TRY(nm_net_get_layer(job->net, layer, false, w, err));
    NM_TRY(seen_by_weights(job, layer, points, u, err));
    for (int64_t i = 0; i < n; i++)
        carried[rows[i]] += fabs(w[i]) * fabs(u[i]) * (double)n_rows / (double)n;
done:
    nm_free(w);
    nm_free(u);
    return rc;
}

static nm_status keep_heavy_rows(const nm_edit_job *job, int layer, nm_edit_choice *out,
                                 nm_err *err)
{
    nm_sample points = {0};
    int64_t *rows = NULL, n_rows, n_kept = 0;
    double *carried = NULL, mean = 0;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, (int64_t)job->values->v[POINTS], &points, err));
    NM_TRY(nm_edit_rows(job->net, layer, &rows, &n_rows, err));
    NM_TRY(nm_alloc(&carried, (size_t)n_rows, sizeof *carried, err));
    NM_TRY(nm_alloc(&keep, (size_t)n_rows, sizeof *keep, err));
    if (n_rows > 0)
        NM_TRY(carried_by_rows(job, layer, &points, rows, n_rows, carried, err));
    for (int64_t r = 0; r < n_rows; r++)
        mean += carried[r] / (double)n_rows;
    for (int64_t r = 0; r < n_rows; r++) {
        keep[r] = carried[r] > job->values->v[THRESHOLD] * mean;
        n_kept += keep[r];
    }
    if (n_rows > 0 && n_kept == 0)
        NM_THROW(err, NM_E_ARG, "%s: threshold=%g keeps none of the %lld rows of layer %d",
                 job->name, job->values->v[THRESHOLD], (long long)n_rows, layer);
    NM_TRY(nm_edit_mark_rows(job, layer, keep, out->plan, err));
    (void)snprintf(out->why, sizeof out->why, "%lld of %lld rows of layer %d carry most activation",
                   (long long)n_kept, (long long)n_rows, layer);
done:
    nm_sample_clear(&points);
    nm_free(rows);
    nm_free(carried);
    nm_free(keep);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int layer = -1;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_activity(job, NM_ACTIVITY_MAGNITUDE, (int64_t)job->values->v[POINTS],
                            out->scores, err));
    if (job->values->given[LAYER])
        NM_TRY(nm_edit_layer(job, LAYER, &layer, err));
    else
        layer = nm_edit_best(job, out->scores);
    if (layer < 0)
        goto done;
    out->best = layer;
    NM_TRY(keep_heavy_rows(job, layer, out, err));
done:
    return rc;
}

const nm_edit_kind nm_edit_weights_activation = {
    .info = {.name = "WeightsActivationBased",
             .summary = "rows of the most active layer whose weights carry most activation",
             .scope = "weights, repair and reference points; score: as ActivationBased; ties: the "
                      "later layer",
             .source = "Adsule et al. 2025; weights times activations (Sun et al. 2024)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
