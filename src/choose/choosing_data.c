/* What a choice looks at: samples of the points, and the margin asked of the repair points. */
#include <math.h>

#include "base/mem.h"
#include "choose/choosing.h"
#include "net/op.h"
#include "repair/wish.h"

/* Multiplications that evaluating a sample may take, and the least samples. */
static const double REFERENCE_WORK = 7e9, REPAIR_WORK = 5e8;
enum { LEAST_REFERENCE = 64, LEAST_REPAIR = 16 };
/* What a repair falls back to where a margin that nobody asked for cannot be had, as a share of the
   typical gap: next to nothing. */
static const double LEAST_MARGIN = 1e-4;

/* Multiplications of one point in the layers. */
double nm_choosing_work(const nm_net *net)
{
    double work = 0;

    for (int i = 0; i < net->n_layers; i++) {
        const nm_op *op = &net->ops[net->layers[i].op];
        nm_matrix_form form;

        if (op->kind->matrix_form && op->kind->matrix_form(net, op, &form))
            work += (double)form.places * (double)form.n_in * (double)form.n_out;
    }
    return work;
}

/* As many points as `work` pays for, between `least` and `most`. */
static int64_t affordable(const nm_choosing *c, double work, int64_t least, int64_t most)
{
    double fits = fmax(work / fmax(nm_choosing_work(c->net), 1), (double)least);

    return (int64_t)fmin(fits, (double)most);
}

/* What trials are measured on: points whose labels are known, where there are any. */
static const nm_points *measured_points(const nm_repair_task *t)
{
    if (t->validation && t->validation->labels)
        return t->validation;
    if (t->reference && (t->reference->labels || !t->keep || !t->keep->labels))
        return t->reference;
    return t->keep ? t->keep : t->repair;
}

/* The metric takes every other point of the reference, the trials the rest; of very few, both take
   all. Points that are to be repaired say nothing about what is lost elsewhere. */
static nm_status take_samples(nm_choosing *c, nm_err *err)
{
    enum { FEW = 8 };
    const nm_repair_task *t = c->task;
    const nm_points *reference = t->reference ? t->reference : t->keep ? t->keep : t->repair;
    const nm_points *measured = measured_points(t);
    const int64_t *labels = measured == t->repair ? c->target : measured->labels;
    int64_t most = affordable(c, REFERENCE_WORK, LEAST_REFERENCE, c->how->max_reference);
    bool few = reference->n < FEW || measured != reference;
    nm_status rc = NM_OK;

    NM_TRY(nm_sample_take(t->repair, c->target, 0, 1,
                          affordable(c, REPAIR_WORK, LEAST_REPAIR, c->how->max_repair), &c->repair,
                          err));
    NM_TRY(nm_sample_take(reference, NULL, 0, few ? 1 : 2, most, &c->metric, err));
    most = affordable(c, REFERENCE_WORK, LEAST_REFERENCE, c->how->max_measured);
    NM_TRY(nm_sample_take(measured, labels, few ? 0 : 1, few ? 1 : 2, most, &c->measured, err));
    if (measured != t->repair)
        nm_sample_drop(&c->measured, t->repair);
    c->choice->n_repair = c->repair.n;
    c->choice->n_reference = c->metric.n;
    c->choice->n_measured = c->measured.n;
done:
    return rc;
}

/* What repairs in the function norm take a share of as their margin. */
static nm_status find_typical_gap(const nm_choosing *c, double *gap, nm_err *err)
{
    int64_t n_scores = c->net->values[c->net->scores].size, n = c->metric.n;
    float *score = NULL;
    double *gaps = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&score, (size_t)n, (size_t)n_scores * sizeof *score, err));
    NM_TRY(nm_alloc(&gaps, (size_t)n, sizeof *gaps, err));
    NM_TRY(nm_scores_of(c->ctx, c->net, c->metric.x, n, score, err));
    *gap = nm_scores_typical_gap(score, n, n_scores, gaps);
done:
    nm_free(score);
    nm_free(gaps);
    return rc;
}

static nm_status set_task(nm_choosing *c, nm_err *err)
{
    double asked = c->opts->margin, gap = 0;
    nm_status rc = isnan(asked) ? find_typical_gap(c, &gap, err) : NM_OK;

    c->choice->margin = isnan(asked) ? NM_WISHED_MARGIN * gap : asked;
    c->prediction = (nm_prediction){.net = c->net,
                                    .what = c->how->free,
                                    .x = c->repair.x,
                                    .target = c->repair.labels,
                                    .n = c->repair.n,
                                    .margin = c->choice->margin,
                                    .least_margin = isnan(asked) ? LEAST_MARGIN * gap : asked,
                                    .reference = c->metric.x,
                                    .n_reference = c->metric.n,
                                    .damping_in = isnan(c->opts->damping_in) ? NM_DAMPING_LEAST
                                                                             : c->opts->damping_in,
                                    .damping_out = c->opts->damping_out,
                                    .seed = c->opts->seed};
    return rc;
}

nm_status nm_choosing_prepare(nm_choosing *c, nm_err *err)
{
    nm_status rc = take_samples(c, err);

    return rc == NM_OK ? set_task(c, err) : rc;
}
