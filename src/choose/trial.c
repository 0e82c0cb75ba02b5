#include "choose/trial.h"

#include <math.h>

#include "base/mem.h"
#include "problem/crowd.h"
#include "problem/edit.h"

/* -- comparing scores -------------------------------------------------------------------------- */

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

static void compare(const nm_trial_points *points, const float *before, const float *after,
                    int64_t n_scores, nm_trial_result *out)
{
    double sum = 0;

    for (int64_t p = 0; p < points->n; p++) {
        const float *a = before + p * n_scores, *b = after + p * n_scores;
        int64_t was = best_class(a, n_scores), is = best_class(b, n_scores);

        sum += nm_score_divergence(a, b, n_scores);
        out->lost += was != is && (!points->labels || was == points->labels[p]);
    }
    out->kl = sum / (double)points->n;
}

/* -- the change -------------------------------------------------------------------------------- */

static nm_status open_params(const nm_prediction *task, int layer, nm_params **params, nm_err *err)
{
    nm_plan *plan = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_plan_new(task->net, &plan, err));
    NM_TRY(nm_plan_mark(plan, layer, task->what, err));
    NM_TRY(nm_params_new(plan, params, err));
done:
    nm_plan_free(plan);
    return rc;
}

/* The predicted matrix as a vector of unknowns [params->n]. */
static nm_status change(const nm_prediction *task, const nm_predictor *predictor, int i,
                        const nm_crowd *crowd, double *delta, nm_err *err)
{
    nm_edits *edits = NULL;
    double *matrix = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edits_new(task->net, crowd->params, &crowd->marks, &edits, err));
    NM_TRY(nm_alloc(&matrix, (size_t)edits->at[0].form.n_out,
                    (size_t)edits->at[0].width * sizeof *matrix, err));
    NM_TRY(nm_predict_change(predictor, i, matrix, err));
    nm_edit_to_params(edits, 0, matrix, delta);
done:
    nm_edits_free(edits);
    nm_free(matrix);
    return rc;
}

nm_status nm_trial_run(const nm_ctx *ctx, const nm_prediction *task, const nm_predictor *predictor,
                       int i, int layer, const nm_trial_points *points, nm_trial_result *out,
                       nm_err *err)
{
    int64_t n_scores = task->net->values[task->net->scores].size;
    size_t n = (size_t)points->n, each = (size_t)n_scores * sizeof(float);
    nm_params *params = NULL;
    nm_crowd *crowd = NULL;
    float *before = NULL, *after = NULL;
    double *delta = NULL;
    nm_status rc = NM_OK;

    *out = (nm_trial_result){0};
    NM_TRY(open_params(task, layer, &params, err));
    NM_TRY(nm_alloc(&before, n, each, err));
    NM_TRY(nm_alloc(&after, n, each, err));
    NM_TRY(nm_alloc(&delta, (size_t)params->n, sizeof *delta, err));
    NM_TRY(nm_crowd_new(ctx, task->net, params, points->x, points->n, &crowd, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, delta, before, err));
    NM_TRY(change(task, predictor, i, crowd, delta, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, delta, after, err));
    compare(points, before, after, n_scores, out);
done:
    nm_crowd_free(crowd);
    nm_params_free(params);
    nm_free(before);
    nm_free(after);
    nm_free(delta);
    return rc;
}
