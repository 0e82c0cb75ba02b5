/* Choosing: which layer a repair should change, and what margin and damping cost. Experimental. */
#ifndef NETMEND_CHOOSE_H
#define NETMEND_CHOOSE_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options; start from NM_CHOOSE_OPTS_INIT. */
typedef struct nm_choose_opts {
    size_t size;
    nm_free_kind free;     /**< what of a layer the repair will free */
    int64_t max_repair;    /**< so many repair points at most, evenly spaced, >= 1 */
    int64_t max_reference; /**< so many reference points at most for the metric, >= 1; of all these
                              numbers fewer for large networks */
    int64_t max_measured;  /**< so many other points at most that trials are measured on, >= 1 */
    int max_trials;        /**< layers that are tried out, >= 0 */
} nm_choose_opts;

#define NM_CHOOSE_OPTS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(nm_choose_opts), .max_repair = 64, .max_reference = 300,                    \
        .max_measured = 1000, .max_trials = 8                                                      \
    }

/** What is known of one layer. */
typedef struct nm_layer_score {
    int layer;
    const char *name;      /**< lent by the net */
    const char *skipped;   /**< why it has no score; NULL if it has one. Lent, or static */
    int64_t n_params;      /**< that would be free */
    double predicted_cost; /**< least change in the function norm that the linearised repair needs;
                                INFINITY: its rows contradict each other; NAN: no score */
    bool tried;
    double measured_kl; /**< of a trial: mean divergence of the outputs on other reference points,
                           in nats; NAN without */
    int64_t lost;       /**< of a trial: points of those that were right (without labels: all) and
                             change class */
    int64_t gained;     /**< of a trial: points that were wrong and are right */
    int64_t missed;     /**< of a trial: repair points that are not as right as asked at its end */
    double seconds;     /**< spent on this layer alone */
    bool chosen;
} nm_layer_score;

/** A choice of one layer. Free with nm_choice_free(). */
typedef struct nm_choice {
    int layer;
    int *order; /**< [n_order] the layers with a finite score or chosen, most wanted first: what to
                     take where a repair in the first one does not succeed */
    int n_order;
    char reason[256];       /**< one sentence */
    nm_layer_score *scores; /**< [n_scores] of all layers of the net, in their order */
    int n_scores;
    double margin; /**< that the prediction asked of the points */
    int64_t n_repair, n_reference,
        n_measured; /**< points used: to repair, for the metric, in trials */
    double seconds;
} nm_choice;

/** Chooses the layer that a repair of these points should change, with little work.
 *
 *  1. Every dense and convolution layer is scored by the least change, in the function norm, that
 * the repair linearised at the original weights needs in that layer alone (src/choose/predict.h);
 *     one pass over a sample of the points serves all.
 *  2. The best (all, in small networks) are tried: the layer is changed in a few steps until a
 *     sample of the repair points is right, and what that does is measured on labelled points that
 *     had no part in it.
 *  3. What has most points right then wins; of layers that are not clearly worse (two standard
 *     errors) the one whose outputs drift least; within a factor of 1.5, or where next to nothing
 *     drifts, the later layer, since repairs there are cheaper.
 *
 *  Reference points are task->reference, else the keep set, else the repair set; trials are
 * measured on task->validation, else those. Of opts the margin, damping and seed count. No layer at
 * all that can be scored is NM_E_ARG. When time runs out, the best so far is chosen. The same
 * choice for any number of threads. */
NM_API nm_status nm_choose_layer(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                                 const nm_repair_opts *opts, const nm_choose_opts *choose,
                                 nm_choice *out, nm_err *err);
NM_API void nm_choice_free(nm_choice *choice);

/** The choice as JSON object ("layer_choice", "layer_scores") and as readable text.
 *  @return a string to free with nm_string_free(), NULL when memory ran out */
NM_API char *nm_choice_json(const nm_choice *choice);
NM_API char *nm_choice_text(const nm_choice *choice);

#ifdef __cplusplus
}
#endif
#endif
