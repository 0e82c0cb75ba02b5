/* Repair until a property holds: counterexamples, repair of these points, proof (or more of them).
 */
#ifndef NETMEND_PROPERTY_REPAIR_H
#define NETMEND_PROPERTY_REPAIR_H

#include "netmend/repair.h"
#include "netmend/verify.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Which output decides. */
typedef enum nm_decision { NM_DECISION_MAX, NM_DECISION_MIN } nm_decision;

/** How one of several outputs conditions is chosen of which a counterexample has to break one. */
typedef enum nm_pieces {
    NM_PIECES_NEAREST, /**< the one that the outputs are nearest to breaking */
    NM_PIECES_BEST,    /**< that, and each of them for all points; the smallest change wins */
    NM_PIECES_EXACT    /**< the choice of all points whose change is smallest, by branch and bound:
                            proven, or with a gap */
} nm_pieces;

/** What a repair of properties is given; all lent. */
typedef struct nm_property_task {
    const nm_property *const *properties; /**< [n_properties] all have to hold in the end */
    int n_properties;
    int n_repair;           /**< the first so many are to be repaired; the others only have to
                                 hold in the end, they are not asked about before */
    const double *lo, *hi;  /**< [n_in] range of usual inputs, for random ones; NULL = what the file
                                 states, else the hull of all boxes and [-1/2, 1/2] */
    const float *reference; /**< [n_reference x n_in] data of the function norm; NULL = random
                                 inputs outside the properties' boxes */
    int64_t n_reference;
} nm_property_task;

typedef struct nm_property_opts {
    size_t size;
    nm_repair_opts repair; /**< norm, margin (NAN = found), solver, seed, certify */
    nm_pieces pieces;
    nm_decision decision; /**< for the drawdown */
    bool must_hold;       /**< give up (limit, lost_hold) where not all decisions on the reference
                               inputs can stay as they are; else they are let go, all together */
    int max_rounds;       /**< repairs at most */
    int64_t max_nodes;    /**< of the first proof of each margin; four times as many after it */
    int64_t n_random;     /**< random inputs for the function norm */
    int64_t n_drawdown;   /**< random inputs on which changed decisions are counted */
} nm_property_opts;

#define NM_PROPERTY_OPTS_INIT                                                                      \
    {                                                                                              \
        .size = sizeof(nm_property_opts), .repair = NM_REPAIR_OPTS_INIT, .max_rounds = 200,        \
        .max_nodes = 5000000, .n_random = 5000, .n_drawdown = 100000                               \
    }

/** Free with nm_property_report_free(). */
typedef struct nm_property_report {
    nm_repair_report repair;   /**< outcome and reason; `repair.repair` counts counterexamples */
    nm_verdict verdict;        /**< of all properties together, for the network as written (as it
                                    came where nothing was written) */
    bool already;              /**< all held from the start: nothing was changed */
    int n_properties;          /**< as in the task */
    nm_verdict *before;        /**< [n_properties] of the original; unknown where not asked */
    nm_verify_report *after;   /**< [n_properties] of the written network, with proofs if asked */
    int64_t n_counterexamples; /**< points that took part, the nearly unsafe ones included */
    bool held;                 /**< all decisions on the reference inputs are as they were */
    bool lost_hold;            /**< given up because they could not be */
    int rounds;                /**< repairs */
    int64_t n_piece_programs;  /**< with NM_PIECES_EXACT: programs of the branch and bound, all
                                    repairs together ... */
    bool pieces_proven;        /**< ... and whether no other choice makes the change of the last one
                                    smaller (by more than the gap that was asked for) */
    int n_proofs;              /**< times that the verifier was asked about all properties */
    double s_hunt, s_verify, s_repair; /**< seconds */
    int64_t n_random;                  /**< random inputs outside the boxes ... */
    double changed;                    /**< ... and the share of them that is decided otherwise now;
                                            NAN without a repaired network */
} nm_property_report;

/** Changes the planned parameters until the verifier proves all properties of the network as
 *  written, which then appears under `path`.
 *  @return NM_OK with the outcome in the report: repaired; infeasible (no change within the plan
 *          takes all counterexamples out); limit (reason says what is left). NM_E_SHAPE if a
 *          property and the network do not fit; NM_E_UNSUPPORTED for outputs behind a softmax */
NM_API nm_status nm_repair_property(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                                    const nm_property_task *task, const nm_property_opts *opts,
                                    const char *path, nm_property_report *report, nm_err *err);
NM_API void nm_property_report_free(nm_property_report *report);

#ifdef __cplusplus
}
#endif
#endif
