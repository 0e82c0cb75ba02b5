/* The nine published edit heuristics, as their code has them (github.com/Iemontine/
 * informed-repair-dnns), with the parameters of the suite. A module is an operator of the network
 * in order (Linear, ReLU, ...). All look at the whole pool whatever the repair set is; each has
 * bounds on the change of its own, which the plan carries. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/mt19937.h"
#include "choose/edit/edit.h"

#define SOURCE "Iemontine/informed-repair-dnns"
#define PARAM_BOUND(preset)                                                                        \
    {                                                                                              \
        .name = "bound", .initial = (preset), .min = 0, .max = 1e9, .above_min = true,             \
        .help = "on the change of each parameter"                                                  \
    }
#define PARAM_MODULE(preset)                                                                       \
    {                                                                                              \
        .name = "module", .kind = NM_PARAM_INT, .initial = (preset), .min = -1e6, .max = 1e6,      \
        .help = "index of an operator; negative: from the end"                                     \
    }
#define PARAMS(list) .params = (list), .n_params = sizeof(list) / sizeof *(list)

/* -- modules ----------------------------------------------------------------------------------- */

static int layer_of_module(const nm_net *net, int module)
{
    for (int i = 0; i < net->n_layers; i++)
        if (net->layers[i].op == module)
            return i;
    return -1;
}

/* Marking a module without parameters does nothing. */
static nm_status mark_module(const nm_edit_job *job, int module, nm_edit_choice *out, nm_err *err)
{
    int layer = layer_of_module(job->net, module);

    if (layer < 0)
        return NM_OK;
    out->scores[layer] = 1;
    return nm_plan_mark(out->plan, layer, NM_FREE_ALL, err);
}

static nm_status mark_from(const nm_edit_job *job, int first, nm_edit_choice *out, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int k = first; rc == NM_OK && k < job->net->n_ops; k++)
        rc = mark_module(job, k, out, err);
    return rc;
}

static nm_status set_bound(nm_edit_choice *out, double bound, nm_err *err)
{
    return nm_plan_set_bounds(out->plan, -bound, bound, err);
}

static nm_status module_asked(const nm_edit_job *job, int *module, nm_err *err)
{
    int n = job->net->n_ops, asked = (int)job->values->v[0];

    *module = asked < 0 ? n + asked : asked;
    if (*module < 0 || *module >= n)
        return nm_fail(err, NM_E_ARG, "%s: module=%d, expected 0 to %d", job->name, asked, n - 1);
    return NM_OK;
}

/* -- by place ------------------------------------------------------------------------------------
 */

static const nm_heuristic_param single_params[] = {PARAM_MODULE(2), PARAM_BOUND(0.5)};

static nm_status single_layer(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int module;
    nm_status rc = module_asked(job, &module, err);

    if (rc == NM_OK)
        rc = mark_module(job, module, out, err);
    return rc == NM_OK ? set_bound(out, job->values->v[1], err) : rc;
}

static const nm_heuristic_param from_params[] = {PARAM_MODULE(-1), PARAM_BOUND(0.5)};

static nm_status from_layer(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int module;
    nm_status rc = module_asked(job, &module, err);

    if (rc == NM_OK)
        rc = mark_from(job, module, out, err);
    return rc == NM_OK ? set_bound(out, job->values->v[1], err) : rc;
}

static const nm_heuristic_param bound_03[] = {PARAM_BOUND(0.3)};

static nm_status last_two(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int n = job->net->n_ops;
    nm_status rc = mark_from(job, n > 1 ? n - 2 : 0, out, err);

    return rc == NM_OK ? set_bound(out, job->values->v[0], err) : rc;
}

static nm_status pruning(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_status rc = mark_module(job, job->net->n_ops / 2, out, err);

    if (rc == NM_OK && job->net->n_ops > 2)
        rc = mark_module(job, 2, out, err);
    return rc == NM_OK ? set_bound(out, job->values->v[0], err) : rc;
}

/* -- activations --------------------------------------------------------------------------------
 */

/* mean |a| + sample variance of a, over all points and neurons of each module together. */
static nm_status module_scores(const nm_edit_job *job, double *scores, nm_err *err)
{
    const nm_net *net = job->net;
    nm_status rc = NM_OK;

    for (int k = 0; rc == NM_OK && k < net->n_ops; k++) {
        int64_t n = job->pool->n * net->values[net->ops[k].out].size;
        double magnitude = 0, mean = 0, square = 0;
        float *a = NULL;

        rc = nm_value_at(job->ctx, net, job->pool->x, job->pool->n, net->ops[k].out, &a, err);
        for (int64_t i = 0; rc == NM_OK && i < n; i++) {
            magnitude += fabs((double)a[i]) / (double)n;
            mean += (double)a[i] / (double)n;
        }
        for (int64_t i = 0; rc == NM_OK && i < n; i++)
            square += ((double)a[i] - mean) * ((double)a[i] - mean);
        scores[k] = magnitude + square / (double)(n - 1);
        nm_free(a);
    }
    return rc;
}

static int largest(const double *scores, int n)
{
    int best = 0;

    for (int k = 1; k < n; k++)
        if (scores[k] > scores[best])
            best = k;
    return best;
}

static const nm_heuristic_param bound_05[] = {PARAM_BOUND(0.5)};

static nm_status activation(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    double *scores = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&scores, (size_t)job->net->n_ops, sizeof *scores, err));
    NM_TRY(module_scores(job, scores, err));
    NM_TRY(mark_from(job, largest(scores, job->net->n_ops), out, err));
    NM_TRY(set_bound(out, job->values->v[0], err));
done:
    nm_free(scores);
    return rc;
}

/* Rows whose mean |w| exceeds `threshold` times the mean of that over the rows. */
static nm_status mark_heavy_rows(const nm_edit_job *job, int layer, double threshold,
                                 nm_edit_choice *out, nm_err *err)
{
    int64_t n = job->net->layers[layer].n_weights, *rows = NULL, n_rows;
    double *w = NULL, *weight = NULL, mean = 0;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_rows(job->net, layer, &rows, &n_rows, err));
    NM_TRY(nm_alloc(&w, (size_t)n, sizeof *w, err));
    NM_TRY(nm_alloc(&weight, (size_t)n_rows, sizeof *weight, err));
    NM_TRY(nm_alloc(&keep, (size_t)n_rows, sizeof *keep, err));
    NM_TRY(nm_net_get_layer(job->net, layer, false, w, err));
    for (int64_t i = 0; i < n; i++)
        weight[rows[i]] += fabs(w[i]) * (double)n_rows / (double)n;
    for (int64_t r = 0; r < n_rows; r++)
        mean += weight[r] / (double)n_rows;
    for (int64_t r = 0; r < n_rows; r++)
        keep[r] = weight[r] > threshold * mean;
    out->scores[layer] = 1;
    NM_TRY(nm_edit_mark_rows(job, layer, keep, out->plan, err));
done:
    nm_free(rows);
    nm_free(w);
    nm_free(weight);
    nm_free(keep);
    return rc;
}

static const nm_heuristic_param weights_params[] = {
    {.name = "threshold",
     .initial = 0.9,
     .min = 0,
     .max = 1e6,
     .help = "rows heavier than this times the mean are marked"},
    PARAM_BOUND(0.1)};

static nm_status weights_activation(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    double *scores = NULL, best;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&scores, (size_t)job->net->n_ops, sizeof *scores, err));
    NM_TRY(module_scores(job, scores, err));
    best = scores[largest(scores, job->net->n_ops)];
    for (int i = 0; i < job->net->n_ops; i++) {
        int k = largest(scores, job->net->n_ops), layer = layer_of_module(job->net, k);
        double score = scores[k];

        scores[k] = -INFINITY;
        if (layer < 0)
            continue;
        NM_TRY(mark_heavy_rows(job, layer, job->values->v[0], out, err));
        if (score <= 0.7 * best)
            break;
    }
    NM_TRY(set_bound(out, job->values->v[1], err));
done:
    nm_free(scores);
    return rc;
}

/* -- ablation ------------------------------------------------------------------------------------
 */

static nm_status mean_loss(const nm_edit_job *job, const nm_net *net, double *loss, nm_err *err)
{
    nm_layer_gradient *g = NULL;
    nm_status rc = nm_layer_gradient_open(job->ctx, net, job->pool->x, job->pool->labels,
                                          job->pool->n, NM_OF_LOSS, &g, err);

    *loss = 0;
    for (int64_t p = 0; rc == NM_OK && p < job->pool->n; p++)
        *loss += nm_layer_gradient_objective(g)[p] / (double)job->pool->n;
    nm_layer_gradient_close(g);
    return rc;
}

static nm_status loss_without(const nm_edit_job *job, int layer, double *loss, nm_err *err)
{
    const nm_layer *l = &job->net->layers[layer];
    int64_t most = l->n_weights > l->n_biases ? l->n_weights : l->n_biases;
    double *zeros = NULL;
    nm_net *net = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&zeros, (size_t)most, sizeof *zeros, err));
    NM_TRY(nm_net_clone(job->net, &net, err));
    NM_TRY(nm_net_set_layer(net, layer, false, zeros, err));
    if (l->bias >= 0)
        NM_TRY(nm_net_set_layer(net, layer, true, zeros, err));
    NM_TRY(mean_loss(job, net, loss, err));
done:
    nm_free(zeros);
    nm_net_free(net);
    return rc;
}

static const nm_heuristic_param importance_params[] = {
    {.name = "importance_threshold",
     .initial = 0.5,
     .min = 0,
     .max = 1,
     .help = "layers with at least this share of the largest importance are marked"},
    PARAM_BOUND(0.4)};

static nm_status importance(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int n = job->net->n_layers;
    double *loss = NULL, before, most = -INFINITY;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&loss, (size_t)n, sizeof *loss, err));
    NM_TRY(mean_loss(job, job->net, &before, err));
    for (int i = 0; i < n; i++) {
        NM_TRY(loss_without(job, i, &loss[i], err));
        most = fmax(most, loss[i] - before);
    }
    for (int i = 0; i < n; i++) {
        out->scores[i] = loss[i] - before;
        if (out->scores[i] >= job->values->v[0] * most)
            NM_TRY(nm_plan_mark(out->plan, i, NM_FREE_ALL, err));
    }
    NM_TRY(set_bound(out, job->values->v[1], err));
done:
    nm_free(loss);
    return rc;
}

/* -- the others ---------------------------------------------------------------------------------
 */

static const nm_heuristic_param adversarial_params[] = {
    {.name = "epsilon", .initial = 0.1, .min = 0, .max = 1e6, .help = "radius"},
    {.name = "steps", .kind = NM_PARAM_INT, .initial = 3, .min = 1, .max = 1000, .help = "of PGD"},
    PARAM_BOUND(0.2)};

static nm_status adversarial(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    (void)out;
    return nm_fail(err, NM_E_UNSUPPORTED,
                   "%s has no result: its code raises an error at the first step (the perturbed "
                   "input carries no gradient), for every repair set; Adversarial is what it meant",
                   job->name);
}

static const nm_heuristic_param random_params[] = {
    {.name = "probability", .initial = 0.1, .min = 0, .max = 1, .help = "of each module"},
    {.name = "seed",
     .kind = NM_PARAM_INT,
     .initial = 42,
     .min = 0,
     .max = 4294967295.0,
     .help = "of torch's generator"},
    PARAM_BOUND(0.3)};

/* torch.rand: 24 bits of each word of the Mersenne Twister. */
static nm_status random_modules(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_mt19937 mt;
    bool any = false;
    nm_status rc = NM_OK;

    nm_mt_seed(&mt, (uint32_t)job->values->v[1]);
    for (int k = 0; rc == NM_OK && k < job->net->n_ops; k++) {
        double draw = (double)(nm_mt_u32(&mt) & 0xffffff) / 0x1p24;

        if (draw >= job->values->v[0])
            continue;
        any = true;
        rc = mark_module(job, k, out, err);
    }
    if (rc == NM_OK && !any)
        rc = mark_module(job, job->net->n_ops - 1, out, err);
    return rc == NM_OK ? set_bound(out, job->values->v[2], err) : rc;
}

/* -- the table -----------------------------------------------------------------------------------
 */

#define KIND(label, what, look, list, function)                                                    \
    {                                                                                              \
        .info = {.name = "published:" label,                                                       \
                 .summary = (what),                                                                \
                 .scope = (look),                                                                  \
                 .source = SOURCE,                                                                 \
                 PARAMS(list)},                                                                    \
        .run = (function),                                                                         \
    }

const nm_edit_kind nm_edit_published[NM_N_EDIT_PUBLISHED] = {
    KIND("SingleLayer", "one module", "nothing", single_params, single_layer),
    KIND("FromLayer", "a module and all behind it", "nothing", from_params, from_layer),
    KIND("ActivationBased", "from the module with the largest mean |a| + var a on",
         "the whole pool; all modules compete, the logits usually win", bound_05, activation),
    KIND("WeightsActivationBased", "heavy rows of the most active modules with weights",
         "weights, the whole pool", weights_params, weights_activation),
    KIND("GradientBased", "the last two modules, whatever the gradients", "nothing", bound_03,
         last_two),
    KIND("LayerImportance", "layers whose zeroing raises the mean loss", "the whole pool",
         importance_params, importance),
    KIND("NeuronPruning", "the middle module and module 2, whatever the activations", "nothing",
         bound_03, pruning),
    KIND("Adversarial", "raises an error, as the published code does", "nothing",
         adversarial_params, adversarial),
    KIND("Random", "each module with a probability, else the last", "nothing", random_params,
         random_modules),
};
