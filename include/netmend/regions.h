/* Regions of inputs, given by their vertices, and repair of all inputs in them. */
#ifndef NETMEND_REGIONS_H
#define NETMEND_REGIONS_H

#include "netmend/property_repair.h"
#include "netmend/repair.h"
#include "netmend/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- regions ---------------------------------------------------------------------------------- */

/** Convex hulls of points. Of a box the vertices are its corners, each once. Plain data, owned by
 *  the struct; free with nm_regions_free(). */
typedef struct nm_regions {
    int64_t n;       /**< regions */
    int64_t n_in;    /**< numbers of a vertex */
    int64_t *first;  /**< [n + 1] vertices of region r: first[r] .. first[r + 1] - 1 */
    double *vertex;  /**< [first[n] x n_in], no two of a region equal */
    bool boxes;      /**< all are boxes, of ... */
    double *lo, *hi; /**< ... [n x n_in], lo <= hi; NULL otherwise */
} nm_regions;

/** A box has 2^d corners, d the number of inputs that are not fixed. */
enum { NM_MOST_FREE_INPUTS = 12, NM_MOST_VERTICES = 1 << NM_MOST_FREE_INPUTS };

/** Reads regions from .npy: vertices [regions x vertices x inputs] (float32 or float64, taken as
 *  they are; vertices that are there twice count once), or with `boxes` the two ends of each input
 *  [boxes x inputs x 2].
 *  @param n_in  inputs expected; 0 = any
 *  @return NM_E_IO, NM_E_FORMAT (damaged; not finite; an end below the other), NM_E_SHAPE (not
 * three axes, an empty one, other inputs than expected), NM_E_UNSUPPORTED (a box with more free
 *          inputs than NM_MOST_FREE_INPUTS, a region with more vertices than NM_MOST_VERTICES),
 *          NM_E_NOMEM */
NM_API nm_status nm_regions_load(nm_ctx *ctx, const char *path, bool boxes, int64_t n_in,
                                 nm_regions *out, nm_err *err);

/** Boxes from their ends [n x n_in] each; everything is copied. NM_E_ARG, NM_E_UNSUPPORTED as
 * above.
 */
NM_API nm_status nm_regions_from_boxes(const double *lo, const double *hi, int64_t n, int64_t n_in,
                                       nm_regions *out, nm_err *err);

/** Hulls of points [n x n_vertices x n_in]; copied. NM_E_ARG for none, or not finite;
 * NM_E_UNSUPPORTED as above. */
NM_API nm_status nm_regions_from_vertices(const double *vertex, int64_t n, int64_t n_vertices,
                                          int64_t n_in, nm_regions *out, nm_err *err);

/** The boxes of a property. */
NM_API nm_status nm_regions_from_property(const nm_property *property, nm_regions *out,
                                          nm_err *err);
NM_API void nm_regions_free(nm_regions *regions);

/* -- repair ----------------------------------------------------------------------------------- */

/** What is asked on the regions: a class (targets), or what the cases of a property exclude. */
typedef struct nm_regions_task {
    const nm_regions *regions;
    const int64_t *targets; /**< [regions->n] wanted class, NULL with a property */
    const nm_property
        *property;        /**< its conditions on outputs, which have to be the same for all its
                               boxes, or its boxes have to be the regions, in their order */
    nm_decision decision; /**< which output decides */
    const nm_points *reference;      /**< data of the function norm; NULL = the vertices */
    const nm_points *test, *similar; /**< drawdown and generalization are measured here; NULL */
} nm_regions_task;

typedef struct nm_regions_opts {
    size_t size;
    nm_repair_opts repair; /**< norm, margin (NAN = found), safe, solver, gap, seed, damping */
    int64_t max_parts;     /**< regions may be cut into so many parts, all together */
    int64_t max_nodes;     /**< of the search that proves boxes whose pieces are not one */
} nm_regions_opts;

#define NM_REGIONS_OPTS_INIT                                                                       \
    {                                                                                              \
        .size = sizeof(nm_regions_opts), .repair = NM_REPAIR_OPTS_INIT, .max_parts = 1000,         \
        .max_nodes = 200000                                                                        \
    }

/** How a region is known to be right. */
typedef enum nm_region_proof_kind {
    NM_REGION_UNPROVEN,
    NM_REGION_LINEAR, /**< the network is affine on each of its parts, or so nearly that what is
                           left is bounded */
    NM_REGION_SEARCH  /**< parts that are not so were proven by the verifier */
} nm_region_proof_kind;

typedef struct nm_region_result {
    nm_region_proof_kind proof;
    bool proven_before; /**< by the first of the two ways, for the original network */
    int64_t n_parts;
    double least; /**< what the outputs keep from breaking the conditions, everywhere in it, by the
                       first way (least over its parts); -INFINITY: nothing is known */
} nm_region_result;

/** Free with nm_regions_report_free(). */
typedef struct nm_regions_report {
    nm_repair_report repair; /**< `repair.repair` counts vertices */
    int64_t n_regions;
    nm_region_result *regions;             /**< [n_regions] */
    int64_t n_proven, n_parts, n_vertices; /**< vertices of all parts, shared ones once */
    int n_programs;                        /**< steps that were solved */
    int rounds;                            /**< of cutting, raising margins, solving again */
    double s_prove;
} nm_regions_report;

/** Changes the planned parameters until every input of every region is right, proven for the
 * network as written, which then appears under `path` (APRNN, Tao et al., PLDI 2023;
 * docs/methods.md).
 *
 *  A joint plan is worked through layer by layer: for each marked layer but the last, the smallest
 *  change (its weights and biases) with which all vertices of a region are on the pieces of the
 *  region's centre, up to the next marked layer; then the smallest change of the last one with
 * which the vertices are right as well. Any other plan is one such step.
 *  @param fixed receives the repaired network if not NULL (NULL unless repaired)
 *  @return NM_OK with the outcome in the report; NM_E_SHAPE, NM_E_ARG, NM_E_UNSUPPORTED where task,
 *          plan and network do not go together */
NM_API nm_status nm_repair_regions(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                                   const nm_regions_task *task, const nm_regions_opts *opts,
                                   const char *path, nm_net **fixed, nm_regions_report *report,
                                   nm_err *err);
NM_API void nm_regions_report_free(nm_regions_report *report);

/** "linear", "search", "unproven". Static storage. */
NM_API const char *nm_region_proof_name(nm_region_proof_kind kind);

#ifdef __cplusplus
}
#endif
#endif
