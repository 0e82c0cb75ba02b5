/* Choosing one layer: scores of all, trials of the best, a sentence why. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/order.h"
#include "choose/sample.h"
#include "choose/scores.h"
#include "choose/trial.h"
#include "net/op.h"
#include "netmend/choose.h"

/* Within this factor, divergences measured on a few hundred points say the same. */
static const double TIE = 1.5;
/* Multiplications of the network that evaluating the sample may take, and the least sample. */
static const double SAMPLE_WORK = 7e9;
enum { LEAST_SAMPLE = 64 };
/* Without a margin asked for: so much of the gap that the points have to close in the median. */
static const double MARGIN_SHARE = 0.1;

struct choosing {
    const nm_ctx *ctx;
    const nm_net *net;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const nm_choose_opts *how;
    nm_choice *choice;
    const int64_t *target; /* [repair->n] */
    nm_sample repair, metric, measured;
    nm_prediction prediction;
    int *layers; /* [n] that have a score */
    int n;
    float *before;     /* scores of the measured points; NULL until they are needed */
    nm_predictor *all; /* of all layers, if they fit into memory together */
};

/* -- checking what was asked ---------------------------------------------------------------------
 */

static nm_status check_width(const struct choosing *c, const nm_points *points, const char *what,
                             nm_err *err)
{
    int64_t n_in = nm_net_n_in(c->net);

    if (points && (points->n < 1 || points->n_in != n_in))
        return nm_fail(err, NM_E_SHAPE,
                       "the %s has %lld points of %lld numbers, expected points of %lld", what,
                       (long long)points->n, (long long)points->n_in, (long long)n_in);
    return NM_OK;
}

static nm_status check(const struct choosing *c, nm_err *err)
{
    int64_t n_classes = c->net->values[c->net->scores].size;
    nm_status rc = NM_OK;

    if (n_classes < 2)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "the network has one output, expected a score for each of several classes");
    if (c->how->max_repair < 1 || c->how->max_reference < 1 || c->how->max_trials < 0)
        NM_THROW(err, NM_E_ARG, "choosing a layer needs at least one point of each kind");
    if (c->opts->method == NM_METHOD_APRNN || c->opts->pins == NM_PINS_ALL)
        NM_THROW(err, NM_E_ARG,
                 "layers are chosen for method pointwise without all pins; expected a layer");
    NM_TRY(check_width(c, c->task->repair, "repair set", err));
    NM_TRY(check_width(c, c->task->keep, "keep set", err));
    NM_TRY(check_width(c, c->task->reference, "reference set", err));
    if (!c->target)
        NM_THROW(err, NM_E_SHAPE, "the repair set has no labels, expected one per point");
    for (int64_t p = 0; p < c->task->repair->n; p++)
        if (c->target[p] < 0 || c->target[p] >= n_classes)
            NM_THROW(err, NM_E_SHAPE, "repair set: point %lld has label %lld, expected 0 to %lld",
                     (long long)p, (long long)c->target[p], (long long)n_classes - 1);
done:
    return rc;
}

/* -- layers
 * ---------------------------------------------------------------------------------------- */

static nm_status list_layers(struct choosing *c, nm_err *err)
{
    nm_choice *choice = c->choice;
    int n = nm_net_n_layers(c->net);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&choice->scores, (size_t)n, sizeof *choice->scores, err));
    NM_TRY(nm_alloc(&c->layers, (size_t)n, sizeof *c->layers, err));
    choice->n_scores = n;
    for (int i = 0; i < n; i++) {
        const nm_layer *layer = &c->net->layers[i];
        nm_layer_info info;

        NM_TRY(nm_net_layer_info(c->net, i, &info, err));
        choice->scores[i] =
            (nm_layer_score){.layer = i,
                             .name = info.name,
                             .skipped = nm_predict_refusal(c->net, i, c->how->free),
                             .n_params = (c->how->free != NM_FREE_BIASES ? layer->n_weights : 0) +
                                         (c->how->free != NM_FREE_WEIGHTS ? layer->n_biases : 0),
                             .predicted_cost = NAN,
                             .measured_kl = NAN};
        if (!choice->scores[i].skipped)
            c->layers[c->n++] = i;
    }
    if (c->n == 0)
        NM_THROW(
            err, NM_E_ARG,
            "none of the network's %d layers can be chosen by its score (%s); expected a layer "
            "by name or index",
            n, n > 0 ? choice->scores[n - 1].skipped : "it has none");
done:
    return rc;
}

/* -- samples
 * ---------------------------------------------------------------------------------------- */

/* Multiplications of one point in the layers. */
static double work_of_point(const nm_net *net)
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

static int64_t reference_size(const struct choosing *c)
{
    double fits = fmax(SAMPLE_WORK / fmax(work_of_point(c->net), 1), LEAST_SAMPLE);

    return (int64_t)fmin(fits, (double)c->how->max_reference);
}

/* The metric takes every other point of the reference, the trials the rest; of very few, both take
   all. */
static nm_status take_samples(struct choosing *c, nm_err *err)
{
    enum { FEW = 8 };
    const nm_repair_task *t = c->task;
    const nm_points *reference = t->reference ? t->reference : t->keep ? t->keep : t->repair;
    const int64_t *labels = reference == t->repair ? c->target : reference->labels;
    int64_t most = reference_size(c);
    bool few = reference->n < FEW;
    nm_status rc = NM_OK;

    NM_TRY(nm_sample_take(t->repair, c->target, 0, 1, c->how->max_repair, &c->repair, err));
    NM_TRY(nm_sample_take(reference, labels, 0, few ? 1 : 2, most, &c->metric, err));
    NM_TRY(nm_sample_take(reference, labels, few ? 0 : 1, few ? 1 : 2, most, &c->measured, err));
    c->choice->n_repair = c->repair.n;
    c->choice->n_reference = c->metric.n;
    c->choice->n_measured = c->measured.n;
done:
    return rc;
}

/* The median of what the wanted classes are behind the best other ones, if positive. */
static nm_status median_gap(const struct choosing *c, double *gap, nm_err *err)
{
    int64_t n_scores = c->net->values[c->net->scores].size, n = c->repair.n, behind = 0;
    float *score = NULL;
    double *gaps = NULL;
    nm_status rc = NM_OK;

    *gap = 0;
    NM_TRY(nm_alloc(&score, (size_t)n, (size_t)n_scores * sizeof *score, err));
    NM_TRY(nm_alloc(&gaps, (size_t)n, sizeof *gaps, err));
    NM_TRY(nm_scores_of(c->ctx, c->net, c->repair.x, n, score, err));
    for (int64_t p = 0; p < n; p++) {
        const float *s = score + p * n_scores;
        double worst = -INFINITY;

        for (int64_t j = 0; j < n_scores; j++)
            if (j != c->repair.labels[p])
                worst = fmax(worst, (double)s[j] - (double)s[c->repair.labels[p]]);
        if (worst > 0)
            gaps[behind++] = worst;
    }
    *gap = nm_median(gaps, behind);
done:
    nm_free(score);
    nm_free(gaps);
    return rc;
}

static nm_status set_task(struct choosing *c, nm_err *err)
{
    double gap = 0;
    nm_status rc = isnan(c->opts->margin) ? median_gap(c, &gap, err) : NM_OK;

    c->choice->margin = isnan(c->opts->margin) ? MARGIN_SHARE * gap : c->opts->margin;
    c->prediction = (nm_prediction){.net = c->net,
                                    .what = c->how->free,
                                    .x = c->repair.x,
                                    .target = c->repair.labels,
                                    .n = c->repair.n,
                                    .margin = c->choice->margin,
                                    .reference = c->metric.x,
                                    .n_reference = c->metric.n,
                                    .damping_in = isnan(c->opts->damping_in) ? NM_DAMPING_LEAST
                                                                             : c->opts->damping_in,
                                    .damping_out = c->opts->damping_out,
                                    .seed = c->opts->seed};
    return rc;
}

/* -- scores
 * ------------------------------------------------------------------------------------------ */

static nm_status score_group(struct choosing *c, nm_predictor *predictor, int first, int n,
                             nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < n; i++) {
        nm_layer_score *score = &c->choice->scores[c->layers[first + i]];
        double start = nm_now();

        rc = nm_predict_cost(predictor, i, &score->predicted_cost, err);
        score->seconds += nm_now() - start;
        nm_progress(c->ctx, "scoring layers", first + i + 1, c->n, score->predicted_cost);
    }
    return rc;
}

static nm_status score_all(struct choosing *c, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int first = 0; rc == NM_OK && first < c->n;) {
        int n = nm_predict_group(&c->prediction, c->layers + first, c->n - first);
        nm_predictor *predictor = NULL;

        rc = nm_predictor_open(c->ctx, &c->prediction, c->layers + first, n, &predictor, err);
        if (rc == NM_OK)
            rc = score_group(c, predictor, first, n, err);
        if (n == c->n)
            c->all = predictor;
        else
            nm_predictor_close(predictor);
        first += n;
    }
    return rc;
}

/* -- trials
 * ------------------------------------------------------------------------------------------ */

/* The untried layer with the lowest finite cost, as an index into c->layers; -1 if there is none.
 */
static int next_best(const struct choosing *c)
{
    int best = -1;

    for (int i = 0; i < c->n; i++) {
        const nm_layer_score *s = &c->choice->scores[c->layers[i]];

        if (!s->tried && isfinite(s->predicted_cost) &&
            (best < 0 || s->predicted_cost < c->choice->scores[c->layers[best]].predicted_cost))
            best = i;
    }
    return best;
}

static nm_status try_layer(struct choosing *c, int i, nm_err *err)
{
    nm_layer_score *score = &c->choice->scores[c->layers[i]];
    nm_trial_points points = {
        .x = c->measured.x, .labels = c->measured.labels, .n = c->measured.n, .before = c->before};
    nm_score_change result;
    nm_predictor *own = NULL;
    double cost, start = nm_now();
    nm_status rc = NM_OK;

    score->tried = true;
    if (!c->all) {
        NM_TRY(nm_predictor_open(c->ctx, &c->prediction, &c->layers[i], 1, &own, err));
        NM_TRY(nm_predict_cost(own, 0, &cost, err));
    }
    NM_TRY(nm_trial_run(c->ctx, &c->prediction, c->all ? c->all : own, c->all ? i : 0, c->layers[i],
                        &points, &result, err));
    score->measured_kl = result.kl;
    score->lost = result.lost;
    score->seconds += nm_now() - start;
done:
    nm_predictor_close(own);
    return rc;
}

static nm_status try_best(struct choosing *c, nm_err *err)
{
    size_t each = (size_t)c->net->values[c->net->scores].size * sizeof *c->before;
    nm_status rc = nm_alloc(&c->before, (size_t)c->measured.n, each, err);

    if (rc == NM_OK)
        rc = nm_scores_of(c->ctx, c->net, c->measured.x, c->measured.n, c->before, err);
    for (int k = 0; rc == NM_OK && k < c->how->max_trials; k++) {
        int i = next_best(c);

        if (i < 0)
            break;
        rc = try_layer(c, i, err);
    }
    return rc;
}

/* -- the choice
 * ---------------------------------------------------------------------------------------- */

/* Of the measured layers that are as good as the best one, the last. NULL if none was measured. */
static nm_layer_score *best_measured(const struct choosing *c, int *as_good)
{
    double least = INFINITY;
    nm_layer_score *best = NULL;

    *as_good = 0;
    for (int i = 0; i < c->choice->n_scores; i++)
        least = fmin(least, c->choice->scores[i].measured_kl); /* fmin() ignores NAN */
    for (int i = 0; i < c->choice->n_scores; i++)
        if (c->choice->scores[i].measured_kl <= TIE * least) {
            best = &c->choice->scores[i];
            ++*as_good;
        }
    return best;
}

static nm_layer_score *best_predicted(const struct choosing *c)
{
    nm_layer_score *best = NULL;

    for (int i = 0; i < c->n; i++) {
        nm_layer_score *s = &c->choice->scores[c->layers[i]];

        if (isfinite(s->predicted_cost) && (!best || s->predicted_cost < best->predicted_cost))
            best = s;
    }
    return best;
}

static void explain_measured(const struct choosing *c, const nm_layer_score *best, int as_good)
{
    nm_choice *choice = c->choice;
    const char *why = as_good > 1 ? "the last of those that change the outputs about equally little"
                                  : "a trial change there changes the outputs least";

    (void)snprintf(choice->reason, sizeof choice->reason,
                   "%s (divergence %.2g on %lld reference points, %lld lost)", why,
                   best->measured_kl, (long long)choice->n_measured, (long long)best->lost);
}

/* @param cut  time ran out */
static void decide(struct choosing *c, bool cut)
{
    nm_choice *choice = c->choice;
    int as_good;
    nm_layer_score *best = best_measured(c, &as_good);

    if (best && !cut) {
        explain_measured(c, best, as_good);
    } else if ((best = best_predicted(c)) != NULL) {
        (void)snprintf(choice->reason, sizeof choice->reason, "lowest predicted cost (%.2g)%s",
                       best->predicted_cost, cut ? ", time limit reached while choosing" : "");
    } else {
        best = &choice->scores[c->layers[c->n - 1]];
        (void)snprintf(choice->reason, sizeof choice->reason, "the last one, %s",
                       cut         ? "time limit reached while choosing"
                       : c->n == 1 ? "no other can be scored"
                                   : "since to first order no layer alone suffices");
    }
    best->chosen = true;
    choice->layer = best->layer;
}

/* Chosen first, then what was measured, then what was predicted. */
static bool is_before(const nm_layer_score *a, const nm_layer_score *b)
{
    if (a->chosen || b->chosen)
        return a->chosen;
    if (isfinite(a->measured_kl) && isfinite(b->measured_kl))
        return a->measured_kl < b->measured_kl;
    if (isfinite(a->measured_kl) || isfinite(b->measured_kl))
        return isfinite(a->measured_kl);
    return a->predicted_cost < b->predicted_cost;
}

static nm_status order_layers(const struct choosing *c, nm_err *err)
{
    nm_choice *choice = c->choice;
    nm_status rc = nm_alloc(&choice->order, (size_t)c->n, sizeof *choice->order, err);

    for (int i = 0; rc == NM_OK && i < c->n; i++) {
        const nm_layer_score *s = &choice->scores[c->layers[i]];
        int at = choice->n_order;

        if (!s->chosen && !isfinite(s->predicted_cost))
            continue;
        for (; at > 0 && is_before(s, &choice->scores[choice->order[at - 1]]); at--)
            choice->order[at] = choice->order[at - 1];
        choice->order[at] = s->layer;
        choice->n_order++;
    }
    return rc;
}

static nm_status choose(struct choosing *c, nm_err *err)
{
    bool cut;
    nm_status rc = NM_OK;

    NM_TRY(check(c, err));
    NM_TRY(list_layers(c, err));
    if (c->n > 1) {
        rc = take_samples(c, err);
        if (rc == NM_OK)
            rc = set_task(c, err);
        if (rc == NM_OK)
            rc = score_all(c, err);
        if (rc == NM_OK)
            rc = try_best(c, err);
    }
    cut = rc == NM_E_LIMIT;
    if (cut) {
        *err = (nm_err){0};
        rc = NM_OK;
    }
    if (rc == NM_OK) {
        decide(c, cut);
        rc = order_layers(c, err);
    }
done:
    return rc;
}

nm_status nm_choose_layer(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                          const nm_repair_opts *opts, const nm_choose_opts *how, nm_choice *out,
                          nm_err *err)
{
    nm_err local = {0};
    struct choosing c = {.ctx = ctx,
                         .net = net,
                         .task = task,
                         .opts = opts,
                         .how = how,
                         .choice = out,
                         .target = task->targets ? task->targets : task->repair->labels};
    double start = nm_now();
    nm_status rc;

    *out = (nm_choice){.layer = -1, .margin = NAN};
    rc = choose(&c, err ? err : &local);
    out->seconds = nm_now() - start;
    nm_predictor_close(c.all);
    nm_sample_clear(&c.repair);
    nm_sample_clear(&c.metric);
    nm_sample_clear(&c.measured);
    nm_free(c.before);
    nm_free(c.layers);
    if (rc != NM_OK)
        nm_choice_free(out);
    return rc;
}

void nm_choice_free(nm_choice *choice)
{
    nm_free(choice->scores);
    nm_free(choice->order);
    choice->scores = NULL;
    choice->order = NULL;
    choice->n_scores = choice->n_order = 0;
}
