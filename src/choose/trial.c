#include "choose/trial.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/pointwise.h"

/* -- the repair -------------------------------------------------------------------------------- */

static nm_status open_plan(const nm_trial *t, int layer, nm_plan **plan, nm_params **params,
                           nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_plan_new(t->net, plan, err));
    NM_TRY(nm_plan_mark(*plan, layer, t->what, err));
    NM_TRY(nm_plan_set_bounds(*plan, t->lo, t->hi, err));
    NM_TRY(nm_params_new(*plan, params, err));
done:
    return rc;
}

/* *delta becomes the change [params->n] that was found, NULL if none was. */
static nm_status solve(const nm_ctx *ctx, const nm_trial *t, const nm_plan *plan,
                       const nm_params *params, double **delta, nm_err *err)
{
    nm_search_data data = {.x = t->x,
                           .target = t->target,
                           .n = t->n,
                           .reference_x = t->reference,
                           .n_reference = t->n_reference};
    nm_search *search = NULL;
    nm_search_outcome outcome;
    nm_status rc = NM_OK;

    *delta = NULL;
    NM_TRY(nm_search_open(ctx, t->net, plan, params, t->opts, &data, &search, err));
    for (int64_t p = 0; p < t->n; p++)
        search->demand.margin[p] = t->margin;
    NM_TRY(nm_search_run(search, &outcome, err));
    if (outcome == NM_SEARCH_FOUND)
        NM_TRY(nm_memdup(delta, search->delta, (size_t)params->n, sizeof **delta, err));
done:
    nm_search_close(search);
    return rc;
}

/* -- what it does ------------------------------------------------------------------------------ */

/* log of the sum of exp */
static double log_sum(const float *score, int64_t n)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = 0; j < n; j++)
        most = fmax(most, (double)score[j]);
    for (int64_t j = 0; j < n; j++)
        sum += exp((double)score[j] - most);
    return most + log(sum);
}

double nm_score_divergence(const float *a, const float *b, int64_t n)
{
    double log_a = log_sum(a, n), log_b = log_sum(b, n), sum = 0;

    for (int64_t j = 0; j < n; j++) {
        double p = (double)a[j] - log_a, q = (double)b[j] - log_b;

        sum += exp(p) * (p - q);
    }
    return fmax(sum, 0);
}

/* The first of the largest. */
static int64_t best_class(const float *score, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 1; j < n; j++)
        if (score[j] > score[best])
            best = j;
    return best;
}

static void compare(const nm_trial *t, const float *before, const float *after, int64_t n_scores,
                    nm_trial_result *out)
{
    double sum = 0;

    for (int64_t p = 0; p < t->n_measured; p++) {
        const float *a = before + p * n_scores, *b = after + p * n_scores;
        int64_t was = best_class(a, n_scores), is = best_class(b, n_scores);

        sum += nm_score_divergence(a, b, n_scores);
        out->lost += was != is && (!t->labels || was == t->labels[p]);
    }
    out->kl = sum / (double)t->n_measured;
}

static nm_status measure(const nm_ctx *ctx, const nm_trial *t, const nm_params *params,
                         const double *delta, nm_trial_result *out, nm_err *err)
{
    int64_t n_scores = t->net->values[t->net->scores].size;
    size_t n = (size_t)t->n_measured, each = (size_t)n_scores * sizeof(float);
    nm_crowd *crowd = NULL;
    float *before = NULL, *after = NULL;
    double *zero = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&before, n, each, err));
    NM_TRY(nm_alloc(&after, n, each, err));
    NM_TRY(nm_alloc(&zero, (size_t)params->n, sizeof *zero, err));
    NM_TRY(nm_crowd_new(ctx, t->net, params, t->measured, t->n_measured, &crowd, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, zero, before, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, delta, after, err));
    compare(t, before, after, n_scores, out);
done:
    nm_crowd_free(crowd);
    nm_free(before);
    nm_free(after);
    nm_free(zero);
    return rc;
}

nm_status nm_trial_run(const nm_ctx *ctx, const nm_trial *t, int layer, nm_trial_result *out,
                       nm_err *err)
{
    double start = nm_now();
    nm_plan *plan = NULL;
    nm_params *params = NULL;
    double *delta = NULL;
    nm_status rc = NM_OK;

    *out = (nm_trial_result){.kl = NAN};
    NM_TRY(open_plan(t, layer, &plan, &params, err));
    NM_TRY(solve(ctx, t, plan, params, &delta, err));
    out->found = delta != NULL;
    if (delta)
        NM_TRY(measure(ctx, t, params, delta, out, err));
    out->seconds = nm_now() - start;
done:
    nm_params_free(params);
    nm_plan_free(plan);
    nm_free(delta);
    return rc;
}
