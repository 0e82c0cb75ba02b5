/* What a repair set is like: diversity, concentration, conflicts. Experimental. */
#ifndef NETMEND_SET_ANALYSIS_H
#define NETMEND_SET_ANALYSIS_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Two points that one value of the network cannot tell apart, but whose wanted classes differ: no
 *  edit of layers that read that value or later ones alone can make both right. */
typedef struct nm_set_conflict {
    int64_t a, b; /**< indices into the set */
    int layer;    /**< the first layer that sees the same in both; -1: the inputs are the same */
} nm_set_conflict;

enum { NM_SET_MAX_CONFLICTS = 20 };

/** Distances between points are Euclidean, between all pairs of a sample. */
typedef struct nm_spread {
    double mean, least; /**< NAN for a single point */
} nm_spread;

typedef struct nm_set_analysis {
    int64_t n, n_in;
    int64_t n_wrong;          /**< points that are not right */
    double deficit;           /**< sum of what wanted scores are behind, output units */
    int64_t rows;             /**< label rows of the linear program */
    int64_t n_scores;         /**< classes the network knows */
    int64_t n_classes;        /**< of them, wanted by some point */
    int64_t *class_n;         /**< [n_scores] points that want each class */
    double class_entropy;     /**< -sum p log p of the wanted classes, nats */
    int64_t n_sampled;        /**< points behind the figures below, evenly spaced */
    nm_spread input, feature; /**< distances of inputs, and of what the last layer receives */
    double near_share; /**< share of the reference points nearer to the set (features) than half
                            of the reference points are to each other; NAN without reference */
    int64_t patterns;  /**< distinct activation patterns; -1: nothing is piecewise linear */
    int64_t hull_dimension; /**< of the affine hull of the inputs */
    double hull_tolerance;  /**< relative length below which a direction counts as none */
    int64_t hull_vertices;  /**< of the convex hull of the inputs; -1 where the solver failed */
    double hull_log_volume; /**< log of the volume that the centred inputs span, within their hull's
                                 dimension; NAN if that is 0 */
    int64_t n_conflicts;    /**< pairs, of all points */
    nm_set_conflict conflicts[NM_SET_MAX_CONFLICTS]; /**< the first of them */
    double seconds;
} nm_set_analysis;

/** Analyses task->repair (with task->targets); the reference is task->reference, else the keep
 *  set. Cost: one pass over the points, and pairs of at most 128 of them.
 *  Free with nm_set_analysis_free(). */
NM_API nm_status nm_set_analyse(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                                nm_set_analysis *out, nm_err *err);
NM_API void nm_set_analysis_free(nm_set_analysis *analysis);

/** As JSON object (the "set" of the contract), and as readable text.
 *  @return a string to free with nm_string_free(), NULL when memory ran out */
NM_API char *nm_set_analysis_json(const nm_set_analysis *analysis);
NM_API char *nm_set_analysis_text(const nm_set_analysis *analysis);

#ifdef __cplusplus
}
#endif
#endif
