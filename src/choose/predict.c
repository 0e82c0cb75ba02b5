#include "choose/predict.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"
#include "problem/forms.h"
#include "solve/gram.h"

/* The classes that a point could be mistaken for: those with the largest scores. */
enum { RIVALS = 2 };
/* Random combinations of the classes a point, for the curvature; vectors per entry of one, for the
   second moments of what convolutions see. */
enum { DRAWS = 1, ENOUGH = 4 };
/* Second moments of all layers that are scored in one pass, numbers. */
static const double MOMENT_ROOM = 1e8;

/* -- which layers ------------------------------------------------------------------------- */

static bool matrix_form(const nm_net *net, int layer, nm_matrix_form *form)
{
    const nm_op *op = &net->ops[net->layers[layer].op];

    return op->kind->matrix_form && op->kind->matrix_form(net, op, form);
}

const char *nm_predict_refusal(const nm_net *net, int layer, nm_free_kind what)
{
    nm_matrix_form form;

    if (net->layers[layer].locked)
        return net->layers[layer].locked;
    if (what == NM_FREE_BIASES && net->layers[layer].bias < 0)
        return "it has no biases";
    return matrix_form(net, layer, &form)
               ? NULL
               : "the function norm measures dense and convolution layers without groups only";
}

/* Numbers that a moment of vectors [n] takes. */
static double moment_size(int64_t n)
{
    return (double)n * (double)(n > NM_MOMENT_DENSE ? NM_MOMENT_SAMPLE : n);
}

int nm_predict_group(const nm_prediction *p, const int *layers, int n_layers)
{
    double used = 0;
    int n = 0;

    for (; n < n_layers; n++) {
        nm_matrix_form form = {0};

        (void)matrix_form(p->net, layers[n], &form);
        used += moment_size(form.n_in) + moment_size(form.n_out);
        if (n > 0 && used > MOMENT_ROOM)
            break;
    }
    return n;
}

/* -- one pass over the points ---------------------------------------------------------------- */

struct nm_predictor {
    const nm_ctx *ctx;
    const nm_prediction *task;
    nm_plan *plan;
    nm_params *params;
    nm_tail *tail; /* repair points */
    nm_edits *edits;
    nm_metric *metric;
    nm_forms *forms;
    nm_demand demand;
    int64_t m;
    double *h; /* [m] what each row lacks */
    double *y; /* [layers x m] multipliers */
};

void nm_predictor_close(nm_predictor *s)
{
    if (!s)
        return;
    nm_forms_free(s->forms);
    nm_metric_free(s->metric);
    nm_edits_free(s->edits);
    nm_tail_free(s->tail);
    nm_params_free(s->params);
    nm_plan_free(s->plan);
    nm_free(s->demand.target);
    nm_free(s->demand.margin);
    nm_free(s->h);
    nm_free(s->y);
    nm_free(s);
}

static nm_status open_plan(nm_predictor *s, const int *layers, int n, nm_err *err)
{
    const nm_prediction *t = s->task;
    nm_status rc = NM_OK;

    NM_TRY(nm_plan_new(t->net, &s->plan, err));
    for (int i = 0; i < n; i++)
        NM_TRY(nm_plan_mark(s->plan, layers[i], t->what, err));
    nm_plan_set_joint(s->plan, true); /* all weights appear; each layer is looked at alone */
    NM_TRY(nm_params_new(s->plan, &s->params, err));
done:
    return rc;
}

static nm_status open_metric(nm_predictor *s, nm_err *err)
{
    const nm_prediction *t = s->task;
    nm_metric_opts opts = {.damping_in = t->damping_in,
                           .damping_out = t->damping_out,
                           .seed = t->seed,
                           .enough = ENOUGH,
                           .draws = DRAWS};
    nm_crowd *crowd = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_crowd_new(s->ctx, t->net, s->params, t->reference, t->n_reference, &crowd, err));
    NM_TRY(nm_metric_new(s->ctx, s->edits, crowd, &opts, &s->metric, err));
done:
    nm_crowd_free(crowd);
    return rc;
}

/* -- rows ------------------------------------------------------------------------------------ */

/* The rivals of point p, best first; of equal scores the lower class. @return how many */
static int64_t list_rivals(const nm_predictor *s, int64_t p, int64_t *rivals)
{
    int64_t n_scores = s->task->net->values[s->task->net->scores].size, n = 0;
    const double *score = s->tail->at->val[s->task->net->scores] + p * n_scores;

    for (int64_t j = 0; j < n_scores; j++) {
        int64_t at = n;

        if (j == s->task->target[p])
            continue;
        while (at > 0 && score[j] > score[rivals[at - 1]])
            at--;
        if (at == RIVALS)
            continue;
        n = n < RIVALS ? n + 1 : RIVALS;
        memmove(rivals + at + 1, rivals + at, (size_t)(n - 1 - at) * sizeof *rivals);
        rivals[at] = j;
    }
    return n;
}

static nm_status make_rows(nm_predictor *s, nm_err *err)
{
    int64_t rivals[RIVALS];
    nm_row_id *rows = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&rows, (size_t)s->task->n, RIVALS * sizeof *rows, err));
    NM_TRY(nm_alloc(&s->h, (size_t)s->task->n, RIVALS * sizeof *s->h, err));
    for (int64_t p = 0; p < s->task->n; p++) {
        int64_t n = list_rivals(s, p, rivals);

        for (int64_t i = 0; i < n; i++)
            rows[s->m++] = (nm_row_id){.kind = NM_ROW_LABEL, .point = p, .k = rivals[i]};
    }
    NM_TRY(nm_forms_add(s->forms, s->tail, &s->demand, rows, s->m, s->h, err));
    for (int64_t r = 0; r < s->m; r++)
        s->h[r] = s->task->margin - s->h[r];
done:
    nm_free(rows);
    return rc;
}

static nm_status open_parts(nm_predictor *s, const int *layers, int n, nm_err *err)
{
    const nm_prediction *t = s->task;
    nm_status rc = NM_OK;

    NM_TRY(open_plan(s, layers, n, err));
    NM_TRY(nm_tail_new(s->ctx, t->net, s->params, t->x, t->n, false, &s->tail, err));
    NM_TRY(nm_edits_new(t->net, s->params, &s->tail->marks, &s->edits, err));
    if (!s->edits)
        NM_THROW(err, NM_E_INTERNAL, "layers without a matrix form were to be scored");
    NM_TRY(open_metric(s, err));
    NM_TRY(nm_forms_new(s->ctx, s->edits, s->metric, &s->forms, err));
    NM_TRY(nm_memdup(&s->demand.target, t->target, (size_t)t->n, sizeof *t->target, err));
    NM_TRY(nm_alloc(&s->demand.margin, (size_t)t->n, sizeof *s->demand.margin, err));
    for (int64_t p = 0; p < t->n; p++)
        s->demand.margin[p] = t->margin;
    s->demand.n_pinned = t->n;
    NM_TRY(make_rows(s, err));
    NM_TRY(nm_alloc(&s->y, (size_t)n, (size_t)s->m * sizeof *s->y, err));
done:
    return rc;
}

nm_status nm_predictor_open(const nm_ctx *ctx, const nm_prediction *task, const int *layers, int n,
                            nm_predictor **out, nm_err *err)
{
    nm_predictor *s = NULL;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    s->ctx = ctx;
    s->task = task;
    rc = open_parts(s, layers, n, err);
    if (rc == NM_OK)
        *out = s;
    else
        nm_predictor_close(s);
    return rc;
}

/* -- scores ------------------------------------------------------------------------------------ */

static bool all_finite(const double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

nm_status nm_predict_cost(nm_predictor *s, int b, double *cost, nm_err *err)
{
    nm_gram gram = {0};
    nm_ldp_outcome outcome;
    double *k = NULL;
    int64_t m = s->m;
    nm_status rc = NM_OK;

    *cost = NAN;
    NM_TRY(nm_alloc(&k, (size_t)(m * m), sizeof *k, err));
    NM_TRY(nm_forms_layer_products(s->forms, b, k, err));
    if (!all_finite(k, m * m) || !all_finite(s->h, m))
        goto done;
    NM_TRY(nm_gram_grow(&gram, m, err));
    for (int64_t i = 0; i < m; i++) /* both halves from one set of numbers */
        for (int64_t j = 0; j <= i; j++)
            gram.k[i * gram.capacity + j] = gram.k[j * gram.capacity + i] = k[i * m + j];
    memcpy(gram.h, s->h, (size_t)m * sizeof *s->h);
    nm_gram_take(&gram, 0);
    NM_TRY(nm_gram_solve(&gram, s->ctx, &outcome, err));
    if (outcome == NM_LDP_SOLVED) {
        *cost = nm_gram_length(&gram);
        nm_gram_multipliers(&gram, s->y + b * m);
    } else if (outcome == NM_LDP_INFEASIBLE) {
        *cost = INFINITY;
    }
done:
    nm_gram_free(&gram);
    nm_free(k);
    return rc;
}

nm_status nm_predict_change(const nm_predictor *s, int b, double *matrix, nm_err *err)
{
    return nm_forms_layer_combine(s->forms, b, s->y + b * s->m, matrix, err);
}
