#include "choose/steps.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "choose/least_step.h"
#include "choose/rivals.h"
#include "problem/forms.h"

/* Steps ask a little more than is needed, so that they do not end just short of it. */
static const double RESERVE = 1.03;
enum { HALVINGS = 4 };

struct walk {
    const nm_ctx *ctx;
    const nm_prediction *task;
    const nm_params *params;
    nm_tail *tail;
    nm_edits *edits;
    nm_forms *forms;
    nm_demand demand;
    nm_row_id *rows; /* [NM_RIVALS n] */
    double *h;       /* likewise */
    double *step;    /* [params->n] */
    double missing;  /* what all points together lack of their margins where the tail stands */
    int64_t n_missed;
};

/* How far point p is from its margin; 0: it has it. */
static double shortfall(const struct walk *w, int64_t p)
{
    int64_t n_scores = w->task->net->values[w->task->net->scores].size;
    const double *score = w->tail->at->val[w->task->net->scores] + p * n_scores;
    double rival = -INFINITY;

    for (int64_t j = 0; j < n_scores; j++)
        if (j != w->task->target[p])
            rival = fmax(rival, score[j]);
    return fmax(w->task->margin - (score[w->task->target[p]] - rival), 0);
}

static void count_missed(struct walk *w)
{
    w->missing = 0;
    w->n_missed = 0;
    for (int64_t p = 0; p < w->task->n; p++) {
        double lacks = shortfall(w, p);

        w->missing += lacks;
        w->n_missed += lacks > 0 || isnan(lacks);
    }
}

static nm_status open_walk(struct walk *w, const nm_metric *metric, nm_err *err)
{
    const nm_prediction *t = w->task;
    nm_status rc = NM_OK;

    NM_TRY(nm_tail_new(w->ctx, t->net, w->params, t->x, t->n, false, &w->tail, err));
    NM_TRY(nm_edits_new(t->net, w->params, &w->tail->marks, &w->edits, err));
    if (!w->edits)
        NM_THROW(err, NM_E_INTERNAL, "a layer without a matrix form was to be tried");
    NM_TRY(nm_forms_new(w->ctx, w->edits, metric, &w->forms, err));
    NM_TRY(nm_memdup(&w->demand.target, t->target, (size_t)t->n, sizeof *t->target, err));
    NM_TRY(nm_alloc(&w->demand.margin, (size_t)t->n, sizeof *w->demand.margin, err));
    for (int64_t p = 0; p < t->n; p++)
        w->demand.margin[p] = t->margin;
    w->demand.n_pinned = t->n;
    NM_TRY(nm_alloc(&w->rows, (size_t)t->n, NM_RIVALS * sizeof *w->rows, err));
    NM_TRY(nm_alloc(&w->h, (size_t)t->n, NM_RIVALS * sizeof *w->h, err));
    NM_TRY(nm_alloc(&w->step, (size_t)w->params->n, sizeof *w->step, err));
    count_missed(w);
done:
    return rc;
}

static void close_walk(struct walk *w)
{
    nm_forms_free(w->forms);
    nm_edits_free(w->edits);
    nm_tail_free(w->tail);
    nm_free(w->demand.target);
    nm_free(w->demand.margin);
    nm_free(w->rows);
    nm_free(w->h);
    nm_free(w->step);
}

/* The shortest step to the margins, linearised where the tail stands; *found = false where there is
   none. */
static nm_status find_step(struct walk *w, bool *found, nm_err *err)
{
    int64_t m = nm_rival_rows(w->tail, w->task->target, w->rows);
    double *k = NULL, *y = NULL, length;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&k, (size_t)(m * m), sizeof *k, err));
    NM_TRY(nm_alloc(&y, (size_t)m, sizeof *y, err));
    nm_forms_reset(w->forms);
    NM_TRY(nm_forms_add(w->forms, w->tail, &w->demand, w->rows, m, w->h, err));
    for (int64_t r = 0; r < m; r++)
        w->h[r] = RESERVE * w->task->margin - w->h[r];
    NM_TRY(nm_forms_products(w->forms, 0, k, m, err));
    NM_TRY(nm_least_step(w->ctx, k, w->h, m, y, &length, err));
    *found = isfinite(length);
    if (*found)
        NM_TRY(nm_forms_combine(w->forms, y, w->step, err));
done:
    nm_free(k);
    nm_free(y);
    return rc;
}

/* Moves to from + share * step. */
static nm_status move(struct walk *w, const double *from, double share, double *delta, nm_err *err)
{
    nm_status rc;

    for (int64_t k = 0; k < w->params->n; k++)
        delta[k] = from[k] + share * w->step[k];
    rc = nm_tail_move(w->ctx, w->tail, delta, err);
    if (rc == NM_OK)
        count_missed(w);
    return rc;
}

/* One step, halved until it brings the points nearer; back to where it started if none does. */
static nm_status make_step(struct walk *w, double *delta, bool *nearer, nm_err *err)
{
    double before = w->missing, share = 1, *from = NULL;
    nm_status rc = NM_OK;

    NM_TRY(find_step(w, nearer, err));
    if (!*nearer)
        goto done;
    NM_TRY(nm_memdup(&from, delta, (size_t)w->params->n, sizeof *from, err));
    NM_TRY(move(w, from, share, delta, err));
    for (int i = 0; i < HALVINGS && !(w->missing < before); i++) {
        share /= 2;
        NM_TRY(move(w, from, share, delta, err));
    }
    *nearer = w->missing < before;
    if (!*nearer)
        NM_TRY(move(w, from, 0, delta, err));
done:
    nm_free(from);
    return rc;
}

nm_status nm_steps_walk(const nm_ctx *ctx, const nm_prediction *task, const nm_params *params,
                        const nm_metric *metric, int most, double *delta, nm_steps *out,
                        nm_err *err)
{
    struct walk w = {.ctx = ctx, .task = task, .params = params};
    nm_status rc = open_walk(&w, metric, err);

    *out = (nm_steps){0};
    memset(delta, 0, (size_t)params->n * sizeof *delta);
    while (rc == NM_OK && w.n_missed > 0 && !out->stalled && out->n_steps < most) {
        bool nearer = false;

        rc = make_step(&w, delta, &nearer, err);
        out->stalled = !nearer;
        out->n_steps += nearer;
    }
    out->n_missed = w.n_missed;
    close_walk(&w);
    return rc;
}
