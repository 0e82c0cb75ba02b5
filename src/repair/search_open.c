/* Opening and closing a search: points, keep set, norm, engine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/order.h"
#include "repair/certificate.h"
#include "repair/gap.h"
#include "repair/search.h"

nm_status nm_search_grow_demand(nm_search *s, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;

    if (n <= s->demand_room)
        return NM_OK;
    rc = nm_realloc(&s->demand.target, (size_t)(2 * n), sizeof *s->demand.target, err);
    if (rc == NM_OK)
        rc = nm_realloc(&s->demand.margin, (size_t)(2 * n), sizeof *s->demand.margin, err);
    if (rc == NM_OK)
        rc = nm_realloc(&s->demand.rule, (size_t)(2 * n), sizeof *s->demand.rule, err);
    for (int64_t p = s->demand_room; rc == NM_OK && p < 2 * n; p++)
        s->demand.rule[p] = NULL;
    if (rc == NM_OK)
        s->demand_room = 2 * n;
    return rc;
}

/* -- the norm ------------------------------------------------------------------------------ */

/* How sure the network usually is: median of best minus second-best score on the reference data. */
static nm_status find_typical_gap(nm_search *s, nm_err *err)
{
    int64_t n = nm_search_n_scores(s);
    float *scores = NULL;
    double *gaps = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&scores, (size_t)s->crowd->n, (size_t)n * sizeof *scores, err));
    NM_TRY(nm_alloc(&gaps, (size_t)s->crowd->n, sizeof *gaps, err));
    NM_TRY(nm_crowd_scores(s->ctx, s->crowd, s->delta, scores, err));
    for (int64_t p = 0; p < s->crowd->n; p++) {
        const float *score = scores + p * n;

        gaps[p] = nm_smallest_gap_f32(score, n, nm_best_class_f32(score, n));
    }
    s->typical_gap = nm_median(gaps, s->crowd->n);
    if (!(s->typical_gap > 0 && s->typical_gap < INFINITY))
        s->typical_gap = 0;
done:
    nm_free(scores);
    nm_free(gaps);
    return rc;
}

/* Directions in which the reference data say little are cheap; large changes in them are nothing
   that the metric minds, but float32 bounds do, and margins have to follow. How much they matter is
   what float32 evaluation may take, seen against how sure the network usually is (AlexNet: a
   seventh). */
static double find_damping(const nm_search *s, double blur)
{
    double share = s->typical_gap > 0 && blur > 0 ? blur / s->typical_gap : 0;

    if (!isnan(s->opts->damping_in))
        return s->opts->damping_in;
    return fmin(fmax(share, NM_DAMPING_LEAST), 1);
}

/* Where the metric shares its points with the keep set, their prefix is computed once. */
static nm_status open_metric(nm_search *s, const nm_search_data *data, nm_err *err)
{
    nm_metric_opts opts = {.damping_out = s->opts->damping_out, .seed = s->opts->seed};
    bool shared = data->reference_x == data->keep_x && data->n_reference == data->n_keep && s->keep;
    nm_status rc = NM_OK;

    if (shared)
        s->crowd = s->keep;
    else
        NM_TRY(nm_crowd_new(s->ctx, s->net, s->params, data->reference_x, data->n_reference,
                            &s->crowd, err));
    s->reference_labels = data->reference_labels;
    NM_TRY(find_typical_gap(s, err));
    opts.damping_in = s->damping_in = find_damping(s, data->blur);
    NM_TRY(nm_metric_new(s->ctx, s->edits, s->crowd, &opts, &s->metric, err));
done:
    return rc;
}

static nm_status choose_engine(nm_search *s, const nm_search_data *data, nm_err *err)
{
    bool function = s->opts->norm == NM_NORM_FUNCTION;
    nm_status rc = NM_OK;

    NM_TRY(nm_edits_new(s->net, s->params, &s->active->marks, &s->edits, err));
    if (function && !s->edits)
        NM_THROW(err, NM_E_ARG,
                 "the function norm measures whole dense and convolution layers "
                 "without groups; expected such a layer and no mask");
    if (function)
        NM_TRY(open_metric(s, data, err));
    s->engine = &nm_engine_explicit;
    if (s->edits && (function || s->opts->norm == NM_NORM_L2) && s->opts->solver != NM_SOLVER_CLP) {
        s->engine = &nm_engine_least;
        NM_TRY(nm_forms_new(s->ctx, s->edits, s->metric, &s->forms, err));
    }
done:
    return rc;
}

nm_status nm_search_open(const nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                         const nm_params *params, const nm_repair_opts *opts,
                         const nm_search_data *data, nm_search **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_search *s = NULL;

    *out = NULL;
    NM_TRY(nm_alloc(&s, 1, sizeof *s, err));
    *s = (nm_search){.ctx = ctx,
                     .net = net,
                     .plan = plan,
                     .params = params,
                     .opts = opts,
                     .n_repair = data->n,
                     .keep_x = data->keep_x,
                     .n_keep = data->n_keep,
                     .keep_target = data->keep_target,
                     .own_reference = data->own_reference};
    NM_TRY(nm_alloc(&s->delta, (size_t)params->n, sizeof *s->delta, err));
    NM_TRY(nm_tail_new(ctx, net, params, data->x, data->n, false, &s->active, err));
    NM_TRY(nm_search_grow_demand(s, data->n, err));
    s->demand.n_pinned = data->n;
    s->demand.least = data->least;
    if (data->rule)
        memcpy(s->demand.rule, data->rule, (size_t)data->n * sizeof *data->rule);
    for (int64_t p = 0; p < data->n; p++)
        s->demand.target[p] = data->rule ? 0 : data->target[p];
    memset(s->demand.margin, 0, (size_t)data->n * sizeof *s->demand.margin);
    NM_TRY(nm_memdup(&s->original_scores, s->active->at->val[net->scores],
                     (size_t)(data->n * nm_search_n_scores(s)), sizeof *s->original_scores, err));
    if (s->n_keep > 0)
        NM_TRY(nm_search_open_keep(s, err));
    NM_TRY(choose_engine(s, data, err));
    *out = s;
    s = NULL;
done:
    nm_search_close(s);
    return rc;
}

void nm_search_close(nm_search *s)
{
    if (!s)
        return;
    nm_tail_free(s->active);
    if (s->crowd != s->keep)
        nm_crowd_free(s->crowd);
    nm_crowd_free(s->keep);
    nm_forms_free(s->forms);
    nm_metric_free(s->metric);
    nm_edits_free(s->edits);
    nm_free(s->demand.target);
    nm_free(s->demand.margin);
    nm_free(s->demand.rule);
    nm_free(s->keep_margin);
    nm_free(s->keep_slot);
    nm_free(s->original_scores);
    nm_free(s->seed_rows);
    nm_free(s->reference);
    nm_free(s->reference_rows);
    nm_free(s->delta);
    nm_free(s->closest);
    nm_free(s->shift);
    nm_free(s->conflict);
    nm_certificate_clear(&s->certificate);
    nm_free(s);
}
