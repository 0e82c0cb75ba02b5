/* Between nm_verify() and the search: one box of the property, with all its cases.
 *
 * nm_verify() (verify.c) attacks, goes through the boxes, replays points, and words the verdict.
 * The search bounds. For whoever builds it: implement nm_prove_box() in prove.c (bring box and
 * cases to nm_region there); call job->try_point, from any thread, with float32 points that look
 * unsafe: it replays, keeps the first that is, and answers true when the search can stop. Also
 * nm_region_proof_free(), once there is something to keep. */
#ifndef NM_VERIFY_PROVE_H
#define NM_VERIFY_PROVE_H

#include "base/ctx.h"
#include "net/graph.h"
#include "spec/property.h"

typedef struct nm_prove_job {
    const nm_net *net;
    const nm_property *property;
    const nm_in_box *box;
    nm_semantics semantics;
    bool certify;
    int64_t max_nodes;

    /** True if x is a counterexample (kept by the caller) and the search can stop. Thread safe.
     *  With attacks off it is still asked: what the search stumbles over is not ignored. */
    bool (*try_point)(void *user, const float *x);

    /** Short attack from x within the part [lo, hi] of the box (outward numbers): the same answer.
     *  Costs some thousand forward passes; NULL with attacks off. Thread safe. */
    bool (*attack_from)(void *user, const float *x, const double *lo, const double *hi);
    void *user;
} nm_prove_job;

typedef struct nm_prove_result {
    bool proved;          /* every part closed, every bound finite and > 0 */
    const char *why_open; /* static text, when neither proved nor stopped by a point */
    char detail[160];     /* more words behind it, may be empty */
    int64_t n_nodes, n_open;
    double worst_bound; /* NAN if nothing was bounded */
    double share_proved;
    struct nm_region_proof *proof; /* the caller's from now on; NULL unless certify and proved */
} nm_prove_result;

/** @return NM_OK with a result, also at the time limit; NM_E_CANCELLED (the result holds what is
 * known); NM_E_NOMEM */
nm_status nm_prove_box(nm_ctx *ctx, const nm_prove_job *job, nm_prove_result *result, nm_err *err);

#endif
