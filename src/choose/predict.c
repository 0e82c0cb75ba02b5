#include "choose/predict.h"

#include <math.h>

#include "base/mem.h"
#include "choose/least_step.h"
#include "choose/rivals.h"
#include "net/op.h"
#include "problem/forms.h"

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

static nm_status make_rows(nm_predictor *s, nm_err *err)
{
    nm_row_id *rows = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&rows, (size_t)s->task->n, NM_RIVALS * sizeof *rows, err));
    NM_TRY(nm_alloc(&s->h, (size_t)s->task->n, NM_RIVALS * sizeof *s->h, err));
    s->m = nm_rival_rows(s->tail, s->task->target, rows);
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

nm_status nm_predict_cost(nm_predictor *s, int b, double *cost, nm_err *err)
{
    double *k = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&k, (size_t)(s->m * s->m), sizeof *k, err));
    NM_TRY(nm_forms_layer_products(s->forms, b, k, err));
    NM_TRY(nm_least_step(s->ctx, k, s->h, s->m, NULL, cost, err));
done:
    nm_free(k);
    return rc;
}

nm_metric nm_predictor_metric(const nm_predictor *s, int i)
{
    const nm_metric *m = s->metric;

    return (nm_metric){.seen = m->seen + i,
                       .emitted = m->emitted + i,
                       .n = 1,
                       .damping_in = m->damping_in + i,
                       .damping_out = m->damping_out + i,
                       .n_points = m->n_points,
                       .n_curvatures = m->n_curvatures};
}
