#include "choose/trial.h"

#include "base/mem.h"
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
static nm_status predicted(const nm_prediction *task, const nm_predictor *predictor, int i,
                           const nm_params *params, double *delta, nm_err *err)
{
    nm_tail_marks marks = {0};
    nm_edits *edits = NULL;
    double *matrix = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_tail_marks_new(task->net, params, &marks, err));
    NM_TRY(nm_edits_new(task->net, params, &marks, &edits, err));
    NM_TRY(nm_alloc(&matrix, (size_t)edits->at[0].form.n_out,
                    (size_t)edits->at[0].width * sizeof *matrix, err));
    NM_TRY(nm_predict_change(predictor, i, matrix, err));
    nm_edit_to_params(edits, 0, matrix, delta);
done:
    nm_tail_marks_clear(&marks);
    nm_edits_free(edits);
    nm_free(matrix);
    return rc;
}

static nm_status changed_net(const nm_prediction *task, const nm_predictor *predictor, int i,
                             int layer, nm_net **out, nm_err *err)
{
    nm_params *params = NULL;
    double *delta = NULL;
    nm_status rc = NM_OK;

    NM_TRY(open_params(task, layer, &params, err));
    NM_TRY(nm_alloc(&delta, (size_t)params->n, sizeof *delta, err));
    NM_TRY(predicted(task, predictor, i, params, delta, err));
    NM_TRY(nm_net_clone(task->net, out, err));
    NM_TRY(nm_params_apply(params, task->net, delta, *out, err));
done:
    nm_params_free(params);
    nm_free(delta);
    return rc;
}

nm_status nm_trial_run(const nm_ctx *ctx, const nm_prediction *task, const nm_predictor *predictor,
                       int i, int layer, const nm_trial_points *points, nm_score_change *out,
                       nm_err *err)
{
    int64_t n_scores = task->net->values[task->net->scores].size;
    nm_net *net = NULL;
    float *after = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&after, (size_t)points->n, (size_t)n_scores * sizeof *after, err));
    NM_TRY(changed_net(task, predictor, i, layer, &net, err));
    NM_TRY(nm_scores_of(ctx, net, points->x, points->n, after, err));
    *out = nm_scores_compare(points->before, after, points->labels, points->n, n_scores);
done:
    nm_net_free(net);
    nm_free(after);
    return rc;
}
