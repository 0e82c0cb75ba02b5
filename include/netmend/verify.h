/* Properties of networks (VNN-LIB), and whether they hold for every input. */
#ifndef NETMEND_VERIFY_H
#define NETMEND_VERIFY_H

#include "netmend/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- properties ------------------------------------------------------------------------------- */

/** What must not happen: a union of boxes of inputs, each with linear conditions on the outputs. */
typedef struct nm_property nm_property;

/** Reads a VNN-LIB file, gzipped or not (docs/verifying.md has the subset that is understood).
 *  Messages name the file and the line. Free with nm_property_free().
 *  @return NM_E_FORMAT, NM_E_UNSUPPORTED (legal, but outside the subset), NM_E_IO, NM_E_NOMEM */
NM_API nm_status nm_property_load(nm_ctx *ctx, const char *path, nm_property **out, nm_err *err);
NM_API void nm_property_free(nm_property *property);

/** Inputs and outputs that it declares; boxes of inputs, and disjuncts over all of them. */
NM_API int64_t nm_property_n_in(const nm_property *property);
NM_API int64_t nm_property_n_out(const nm_property *property);
NM_API int64_t nm_property_n_boxes(const nm_property *property);
NM_API int64_t nm_property_n_cases(const nm_property *property);

/** Disjuncts of the file that no input can meet, and that were dropped. */
NM_API int64_t nm_property_n_empty(const nm_property *property);

/** True if all its boxes lie within a range of inputs, give or take a hundredth of its width.
 *  @param lo, hi  [n_in] */
NM_API bool nm_property_within(const nm_property *property, const double *lo, const double *hi);

/** True if the pair is unsafe: x in one of the boxes as the file gives them, y meeting all rows of
 *  one of its cases. Numbers that a double does not hold exactly count against the pair. */
NM_API bool nm_property_unsafe(const nm_property *property, const float *x, const double *y);

/* -- verifying -------------------------------------------------------------------------------- */

typedef enum nm_verdict { NM_VERDICT_HOLDS, NM_VERDICT_VIOLATED, NM_VERDICT_UNKNOWN } nm_verdict;

/** Short name: "holds", "violated", "unknown". Static storage. */
NM_API const char *nm_verdict_name(nm_verdict verdict);

/** What "output" means. */
typedef enum nm_semantics {
    NM_SEMANTICS_REAL,   /**< real arithmetic on the weights as the file has them */
    NM_SEMANTICS_FLOAT32 /**< any float32 evaluation, whatever its order of summation */
} nm_semantics;

typedef struct nm_verify_opts {
    size_t size; /**< sizeof(nm_verify_opts), set by NM_VERIFY_OPTS_INIT */
    nm_semantics semantics;
    bool attack;       /**< look for counterexamples before and during the search */
    bool certify;      /**< keep in the report what a claim is made from */
    uint64_t seed;     /**< of the attack; the same seed, the same first attack, any thread count */
    int64_t max_nodes; /**< boxes to look at, in all; INT64_MAX = no limit */
} nm_verify_opts;

#define NM_VERIFY_OPTS_INIT                                                                        \
    {                                                                                              \
        .size = sizeof(nm_verify_opts), .semantics = NM_SEMANTICS_REAL, .attack = true,            \
        .max_nodes = INT64_MAX                                                                     \
    }

/** Free its arrays with nm_verify_report_free(). */
typedef struct nm_verify_report {
    nm_verdict verdict;
    char reason[256]; /**< one sentence: what decided, or what stopped it */

    /** Of a violated property: a float32 input inside the box as the file gives it, and the
     *  outputs of a float32 evaluation. It was replayed in float32 and in float64, and meets the
     *  rows in both. NULL otherwise. */
    float *x, *y; /**< [n_in], [n_out] */
    int64_t n_in, n_out;
    double margin; /**< by how much the rows are met (the least of float32 and float64); NAN */

    int64_t n_nodes;      /**< parts that were bounded */
    int64_t n_open;       /**< of them, left open */
    double worst_bound;   /**< least proven lower bound over the open parts (<= 0: not safe yet); of
                               a property that holds, over all; NAN if nothing was bounded */
    double share_proved;  /**< of the volume, mean over the boxes, 0..1 */
    bool timed_out;       /**< unknown because the time limit of the context has passed */
    bool centre_violates; /**< a box with several free inputs is violated at its very centre: often
                               a mapping of inputs that is wrong */
    double attack_s, search_s; /**< wall time */
    /** With `certify`, of a property that holds: one for each box; else NULL. */
    struct nm_region_proof **proofs;
    int64_t n_proofs;
} nm_verify_report;

/** Decides whether some input of a box brings the outputs into the rows of one of its cases.
 *  `unknown` is an outcome, not a failure: of a limit (nm_ctx_set_time_limit, max_nodes), or of
 *  operators that there are no bounds for; the reason says which. Runs on the threads of ctx;
 *  verdicts do not depend on their number. Progress goes to the context: parts bounded, worst
 * bound.
 *  @return NM_OK with a verdict; NM_E_SHAPE if the property and the network do not fit;
 * NM_E_CANCELLED after an interrupt, with what is known so far in the report; NM_E_NOMEM */
NM_API nm_status nm_verify(nm_ctx *ctx, const nm_net *net, const nm_property *property,
                           const nm_verify_opts *opts, nm_verify_report *report, nm_err *err);
NM_API void nm_verify_report_free(nm_verify_report *report);

/** Writes the competition's result file (VNN-COMP): one word, "unsat", "sat", "unknown" or
 *  "timeout", and behind "sat" one parenthesis with all inputs (17 digits) and outputs.
 *  @param report  NULL writes "error" */
NM_API nm_status nm_vnncomp_write(const nm_verify_report *report, const char *path, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
