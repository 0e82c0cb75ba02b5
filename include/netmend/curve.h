/* Curves: what a repair costs as its margin and the damping of its norm change. Experimental. */
#ifndef NETMEND_CURVE_H
#define NETMEND_CURVE_H

#include "netmend/repair.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Options; start from NM_CURVE_OPTS_INIT. */
typedef struct nm_curve_opts {
    size_t size;
    double margin; /**< by which margin_factors are multiplied, output units, > 0 */
    int n_margins;
    double margin_factors[8]; /**< [n_margins] each > 0, ascending */
    int n_dampings;
    double damping_factors[8]; /**< [n_dampings] of both dampings of the function norm, each > 0;
                                    norms without damping take the first only */
} nm_curve_opts;

#define NM_CURVE_OPTS_INIT                                                                         \
    {                                                                                              \
        .size = sizeof(nm_curve_opts), .n_margins = 4, .margin_factors = {0.5, 1, 2, 4},           \
        .n_dampings = 3, .damping_factors = {                                                      \
            1,                                                                                     \
            0.1,                                                                                   \
            10                                                                                     \
        }                                                                                          \
    }

/** One repair of the curve. */
typedef struct nm_curve_point {
    double margin;         /**< asked of every repair point, output units */
    double damping_factor; /**< of the dampings asked for; NAN: the norm has none */
    nm_outcome outcome;
    double objective;       /**< NAN if none is claimed */
    int64_t right;          /**< repair points */
    int64_t keep_lost;      /**< keep points that were right and are not, net; 0 without keep set */
    double divergence;      /**< mean KL of the outputs on the reference points, in nats; NAN if not
                                 repaired */
    int64_t reference_lost; /**< of those, how many that were right change class (without labels:
                               how many change class) */
    double drawdown_points; /**< accuracy lost on the test set, in points; NAN without */
    double similar_points;  /**< accuracy gained on the similar set, in points; NAN without */
    double seconds;
} nm_curve_point;

/** Free with nm_curve_free(). */
typedef struct nm_curve {
    nm_curve_point *points; /**< [n] by damping, then by margin; fewer than asked when cancelled */
    int n;
    int64_t n_repair, n_reference; /**< points repaired, and those behind `divergence` */
    bool has_keep, has_test, has_similar;
    double seconds;
} nm_curve;

/** Repairs in memory once for each margin and damping, with all else as in opts but `safe`: margins
 *  are as asked, not raised for float32 (NM_SAFE_NONE). Reference points are task->reference, else
 * the keep set, else the repair set; at most 1,000 of them, evenly spaced. Cost: so many repairs.
 * When time runs out, what is left is NM_LIMIT.
 *  @return NM_E_ARG for a margin or factor out of range, and what nm_repair() fails with */
NM_API nm_status nm_curve_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                              const nm_repair_task *task, const nm_repair_opts *opts,
                              const nm_curve_opts *curve, nm_curve *out, nm_err *err);
NM_API void nm_curve_free(nm_curve *curve);

/** The curve as JSON object ("curve": a list) and as readable text.
 *  @return a string to free with nm_string_free(), NULL when memory ran out */
NM_API char *nm_curve_json(const nm_curve *curve);
NM_API char *nm_curve_text(const nm_curve *curve);

/** Draws the curve as one self-contained SVG file: the drawdown on the test set (without one: the
 *  divergence on the reference points) against the margin, one line for each damping.
 *  @return NM_E_ARG if no repair of the curve succeeded */
NM_API nm_status nm_curve_svg(const nm_curve *curve, const char *path, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
