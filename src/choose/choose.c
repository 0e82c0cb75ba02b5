/* Choosing one layer: scores of all, trials of the best, a sentence why. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "choose/choosing.h"
#include "net/op.h"

/* Multiplications that the steps of one trial may take and all trials together, and what is done
   whatever it takes. */
static const double STEPS_WORK = 2e9, TRIALS_WORK = 6e9;
enum { LEAST_STEPS = 2, MOST_STEPS = 12, LEAST_TRIALS = 3 };
/* Passes that a step costs: forward in double, backward for two rivals, and moving. */
enum { PASSES_A_STEP = 4 };

/* -- checking what was asked ---------------------------------------------------------------------
 */

static nm_status check_width(const nm_choosing *c, const nm_points *points, const char *what,
                             nm_err *err)
{
    int64_t n_in = nm_net_n_in(c->net);

    if (points && (points->n < 1 || points->n_in != n_in))
        return nm_fail(err, NM_E_SHAPE,
                       "the %s has %lld points of %lld numbers, expected points of %lld", what,
                       (long long)points->n, (long long)points->n_in, (long long)n_in);
    return NM_OK;
}

static nm_status check(const nm_choosing *c, nm_err *err)
{
    int64_t n_classes = c->net->values[c->net->scores].size;
    nm_status rc = NM_OK;

    if (n_classes < 2)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "the network has one output, expected a score for each of several classes");
    if (c->how->max_repair < 1 || c->how->max_reference < 1 || c->how->max_measured < 1 ||
        c->how->max_trials < 0)
        NM_THROW(err, NM_E_ARG, "choosing a layer needs at least one point of each kind");
    if (c->opts->method == NM_METHOD_APRNN || c->opts->pins == NM_PINS_ALL)
        NM_THROW(err, NM_E_ARG,
                 "layers are chosen for method pointwise without all pins; expected a layer");
    NM_TRY(check_width(c, c->task->repair, "repair set", err));
    NM_TRY(check_width(c, c->task->keep, "keep set", err));
    NM_TRY(check_width(c, c->task->reference, "reference set", err));
    NM_TRY(check_width(c, c->task->validation, "validation set", err));
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

static nm_status list_layers(nm_choosing *c, nm_err *err)
{
    nm_choice *choice = c->choice;
    int n = nm_net_n_layers(c->net);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&choice->scores, (size_t)n, sizeof *choice->scores, err));
    NM_TRY(nm_alloc(&c->layers, (size_t)n, sizeof *c->layers, err));
    NM_TRY(nm_alloc(&c->tried, (size_t)n, sizeof *c->tried, err));
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

/* -- scores
 * ------------------------------------------------------------------------------------------ */

static nm_status score_group(nm_choosing *c, nm_predictor *predictor, int first, int n, nm_err *err)
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

static nm_status score_all(nm_choosing *c, nm_err *err)
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
static int next_best(const nm_choosing *c)
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

static int most_steps(const nm_choosing *c)
{
    double step = PASSES_A_STEP * (double)c->repair.n * fmax(nm_choosing_work(c->net), 1);

    return (int)fmin(fmax(STEPS_WORK / step, LEAST_STEPS), MOST_STEPS);
}

static int most_trials(const nm_choosing *c)
{
    double point = fmax(nm_choosing_work(c->net), 1);
    double trial = point * (PASSES_A_STEP * (double)most_steps(c) * (double)c->repair.n +
                            (double)c->measured.n);

    return (int)fmin(fmax(TRIALS_WORK / trial, LEAST_TRIALS), c->how->max_trials);
}

static nm_status try_layer(nm_choosing *c, int i, nm_err *err)
{
    nm_layer_score *score = &c->choice->scores[c->layers[i]];
    nm_tried *tried = &c->tried[c->layers[i]];
    nm_trial_points points = {
        .x = c->measured.x, .labels = c->measured.labels, .n = c->measured.n, .before = c->before};
    nm_trial trial = {0};
    nm_predictor *own = NULL;
    nm_metric metric;
    double start = nm_now();
    nm_status rc = NM_OK;

    score->tried = true;
    if (!c->all)
        NM_TRY(nm_predictor_open(c->ctx, &c->prediction, &c->layers[i], 1, &own, err));
    metric = c->all ? nm_predictor_metric(c->all, i) : nm_predictor_metric(own, 0);
    NM_TRY(nm_trial_run(c->ctx, &c->prediction, &metric, c->layers[i], most_steps(c), &points,
                        &trial, err));
    score->measured_kl = trial.change.kl;
    score->lost = trial.change.lost;
    score->gained = trial.change.gained;
    score->missed = trial.steps.n_missed;
    tried->reached = !trial.steps.stalled;
    tried->fate = trial.fate;
    score->seconds += nm_now() - start;
done:
    nm_predictor_close(own);
    return rc;
}

static nm_status try_best(nm_choosing *c, nm_err *err)
{
    size_t each = (size_t)c->net->values[c->net->scores].size * sizeof *c->before;
    int n = most_trials(c);
    nm_status rc = nm_alloc(&c->before, (size_t)c->measured.n, each, err);

    if (rc == NM_OK)
        rc = nm_scores_of(c->ctx, c->net, c->measured.x, c->measured.n, c->before, err);
    for (int k = 0; rc == NM_OK && k < n; k++) {
        int i = next_best(c);

        if (i < 0)
            break;
        rc = try_layer(c, i, err);
        nm_progress(c->ctx, "trying layers", k + 1, n, NAN);
    }
    return rc;
}

/* -- the choice
 * ---------------------------------------------------------------------------------------- */

static nm_status choose(nm_choosing *c, nm_err *err)
{
    bool cut;
    nm_status rc = NM_OK;

    NM_TRY(check(c, err));
    NM_TRY(list_layers(c, err));
    if (c->n > 1) {
        rc = nm_choosing_prepare(c, err);
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
    if (rc == NM_OK)
        rc = nm_choosing_decide(c, cut, err);
done:
    return rc;
}

static void close_choosing(nm_choosing *c)
{
    nm_predictor_close(c->all);
    nm_sample_clear(&c->repair);
    nm_sample_clear(&c->metric);
    nm_sample_clear(&c->measured);
    for (int i = 0; c->tried && i < c->choice->n_scores; i++)
        nm_free(c->tried[i].fate);
    nm_free(c->tried);
    nm_free(c->before);
    nm_free(c->layers);
}

nm_status nm_choose_layer(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                          const nm_repair_opts *opts, const nm_choose_opts *how, nm_choice *out,
                          nm_err *err)
{
    nm_err local = {0};
    nm_choosing c = {.ctx = ctx,
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
    close_choosing(&c);
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
