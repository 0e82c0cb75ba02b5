#include "choose/trial.h"

#include "base/mem.h"
#include "problem/crowd.h"
#include "problem/edit.h"

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
                       int i, int layer, const nm_trial_points *points, nm_score_change *out,
                       nm_err *err)
{
    int64_t n_scores = task->net->values[task->net->scores].size;
    size_t n = (size_t)points->n, each = (size_t)n_scores * sizeof(float);
    nm_params *params = NULL;
    nm_crowd *crowd = NULL;
    float *before = NULL, *after = NULL;
    double *delta = NULL;
    nm_status rc = NM_OK;

    NM_TRY(open_params(task, layer, &params, err));
    NM_TRY(nm_alloc(&before, n, each, err));
    NM_TRY(nm_alloc(&after, n, each, err));
    NM_TRY(nm_alloc(&delta, (size_t)params->n, sizeof *delta, err));
    NM_TRY(nm_crowd_new(ctx, task->net, params, points->x, points->n, &crowd, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, delta, before, err));
    NM_TRY(change(task, predictor, i, crowd, delta, err));
    NM_TRY(nm_crowd_scores(ctx, crowd, delta, after, err));
    *out = nm_scores_compare(before, after, points->labels, points->n, n_scores);
done:
    nm_crowd_free(crowd);
    nm_params_free(params);
    nm_free(before);
    nm_free(after);
    nm_free(delta);
    return rc;
}
