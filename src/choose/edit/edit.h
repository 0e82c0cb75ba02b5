/* What an edit heuristic is: one file each in this folder, one line each in registry.c. */
#ifndef NM_CHOOSE_EDIT_EDIT_H
#define NM_CHOOSE_EDIT_EDIT_H

#include "base/ctx.h"
#include "choose/layer_gradient.h"
#include "choose/layer_values.h"
#include "choose/sample.h"
#include "choose/values.h"

/** A run of one heuristic; everything is lent. */
typedef struct nm_edit_job {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const int64_t *target;      /* [task->repair->n] wanted classes */
    const nm_points *reference; /* points that should not change; NULL = none are given */
    const nm_points *pool;      /* where the repair set comes from; else the repair set itself */
    nm_free_kind free;
    const nm_values *values;
    const char *name;
} nm_edit_job;

typedef struct nm_edit_kind {
    nm_heuristic info;
    bool needs_reference;

    /** Fills out->scores (NAN before) and out->why ("" before). Marks out->plan, or leaves it
     *  empty: then the layer with the best score is marked, of equal ones the latest. Scores of
     *  layers that must not be edited are dropped afterwards. May fill out->order; else it is that
     *  of the scores. */
    nm_status (*run)(const nm_edit_job *job, nm_edit_choice *out, nm_err *err);
} nm_edit_kind;

/** Why a layer cannot be chosen, static; NULL if it can. */
const char *nm_edit_refusal(const nm_net *net, int layer, nm_free_kind free);

/** Layer of an INT parameter; negative ones count from the end. */
nm_status nm_edit_layer(const nm_edit_job *job, int param, int *layer, nm_err *err);

/** Samples of the repair set and the reference points, evenly spaced, at most `most`. Free with
 *  nm_sample_clear(). Without reference points n is 0. */
nm_status nm_edit_repair_sample(const nm_edit_job *job, int64_t most, nm_sample *out, nm_err *err);
nm_status nm_edit_reference_sample(const nm_edit_job *job, int64_t most, nm_sample *out,
                                   nm_err *err);

/** What all layers give behind their activations: at[layer][n x size]. Free with
 *  nm_outputs_clear(). */
typedef struct nm_outputs {
    float **at; /* [n_layers] */
    int n_layers;
} nm_outputs;
nm_status nm_outputs_of(const nm_edit_job *job, const float *x, int64_t n, nm_outputs *out,
                        nm_err *err);
void nm_outputs_clear(nm_outputs *outputs);
int64_t nm_outputs_size(const nm_edit_job *job, int layer);

/** Which output row ("neuron", channel) each weight of a layer belongs to: rows[n_weights], for
 *  nm_free(). *n_rows = 0 where weights belong to no row (transposed convolutions). */
nm_status nm_edit_rows(const nm_net *net, int layer, int64_t **rows, int64_t *n_rows, nm_err *err);

/** Marks the rows of a layer with keep[row]: their weights and biases, as far as `free` allows. A
 *  layer without rows is marked as a whole. */
nm_status nm_edit_mark_rows(const nm_edit_job *job, int layer, const bool *keep, nm_plan *plan,
                            nm_err *err);

/** The layer with the best score that can be edited, -1 if there is none: of equal ones the
 *  latest. */
int nm_edit_best(const nm_edit_job *job, const double *scores);

/** Projected gradient ascent on the loss within epsilon in the maximum norm: `steps` signed steps
 *  of epsilon / steps (Madry et al., ICLR 2018). @param adversarial  out, [n x n_in] */
nm_status nm_edit_attack(const nm_edit_job *job, const nm_sample *points, double epsilon, int steps,
                         float *adversarial, nm_err *err);

/* Of nm_edit_attack(). */
#define NM_EDIT_PARAM_EPSILON                                                                      \
    {                                                                                              \
        .name = "epsilon", .initial = 0.1, .min = 0, .max = 1e6, .above_min = true,                \
        .help = "radius in the maximum norm, input units"                                          \
    }
#define NM_EDIT_PARAM_STEPS                                                                        \
    {                                                                                              \
        .name = "steps", .kind = NM_PARAM_INT, .initial = 3, .min = 1, .max = 1000,                \
        .help = "of PGD, of size epsilon / steps"                                                  \
    }
#define NM_EDIT_PARAM_POINTS(preset)                                                               \
    {                                                                                              \
        .name = "points", .kind = NM_PARAM_INT, .initial = (preset), .min = 1, .max = 1e6,         \
        .help = "so many repair points at most are looked at, evenly spaced"                       \
    }
#define NM_EDIT_PARAM_LAYER(preset)                                                                \
    {                                                                                              \
        .name = "layer", .kind = NM_PARAM_INT, .initial = (preset), .min = -1e6, .max = 1e6,       \
        .help = "index of an affine layer; negative: from the end"                                 \
    }

/** Score per layer by how active it is at the repair points (activation.c). */
typedef enum nm_activity {
    NM_ACTIVITY_MAGNITUDE,
    NM_ACTIVITY_VARIANCE,
    NM_ACTIVITY_VARIATION
} nm_activity;
nm_status nm_edit_activity(const nm_edit_job *job, nm_activity statistic, int64_t points,
                           double *scores, nm_err *err);

/** One entry a heuristic. NULL behind the last. */
const nm_edit_kind *nm_edit_kind_at(int i);

extern const nm_edit_kind nm_edit_single_layer, nm_edit_from_layer, nm_edit_activation,
    nm_edit_weights_activation, nm_edit_gradient, nm_edit_importance, nm_edit_pruning,
    nm_edit_adversarial, nm_edit_random, nm_edit_similarity, nm_edit_position, nm_edit_change,
    nm_edit_contribution, nm_edit_predicted_cost, nm_edit_last_n, nm_edit_auto;
extern const nm_edit_kind nm_edit_published[]; /* [NM_N_EDIT_PUBLISHED] */
enum { NM_N_EDIT_PUBLISHED = 9 };

#endif
