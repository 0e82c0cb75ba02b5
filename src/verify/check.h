/* The checker: one function a kind of statement, over what the files hold. */
#ifndef NM_VERIFY_CHECK_H
#define NM_VERIFY_CHECK_H

#include "net/graph.h"
#include "verify/claim.h"

/** Networks and points as read from the files. Statements never see more than this. */
typedef struct nm_check_state {
    nm_ctx *ctx;
    const nm_claim *claim;
    nm_net *model, *fixed;     /* fixed NULL where the claim has none */
    nm_property *property;     /* NULL where the claim names none */
    nm_points sets[NM_N_SETS]; /* the points taken; labels are the wanted classes; n = 0: no set */
    int64_t n_params;          /* entries of all tensors of the claim together */
    char differs[200];         /* the first file whose hash is not the claimed one; "" = none */
} nm_check_state;

/** Reads what a claim names. `paths` [claim->n_files] says where each file is; NULL: where the
 * claim says. NM_E_FORMAT, NM_E_IO, NM_E_ARG (tensors or rows that are not there), with `differs`
 * filled where hashes do not agree. Free with nm_check_close(), also after a failure. */
nm_status nm_check_open(nm_ctx *ctx, const nm_claim *claim, char *const *paths, nm_check_state *out,
                        nm_err *err);
void nm_check_close(nm_check_state *state);

/** A kind's check. Confirms with nm_confirm(), or fails with NM_E_ARG, NM_E_UNSUPPORTED or
 *  NM_E_SHAPE and the reason: then the statement is refuted. Other failures end the check. */
typedef nm_status (*nm_check_fn)(const nm_check_state *state, const nm_claim_statement *statement,
                                 nm_check_statement *out, nm_err *err);

void nm_confirm(nm_check_statement *out, int64_t n, const char *fmt, ...) NM_PRINTF(3, 4);

nm_status nm_check_files(const nm_check_state *, const nm_claim_statement *, nm_check_statement *,
                         nm_err *);
nm_status nm_check_architecture(const nm_check_state *, const nm_claim_statement *,
                                nm_check_statement *, nm_err *);
nm_status nm_check_repair_set(const nm_check_state *, const nm_claim_statement *,
                              nm_check_statement *, nm_err *);
nm_status nm_check_keep_set(const nm_check_state *, const nm_claim_statement *,
                            nm_check_statement *, nm_err *);
nm_status nm_check_optimality(const nm_check_state *, const nm_claim_statement *,
                              nm_check_statement *, nm_err *);
nm_status nm_check_infeasible(const nm_check_state *, const nm_claim_statement *,
                              nm_check_statement *, nm_err *);
nm_status nm_check_twins(const nm_check_state *, const nm_claim_statement *, nm_check_statement *,
                         nm_err *);

nm_status nm_check_holds(const nm_check_state *, const nm_claim_statement *, nm_check_statement *,
                         nm_err *);
nm_status nm_check_violated(const nm_check_state *, const nm_claim_statement *,
                            nm_check_statement *, nm_err *);

/* -- what the maker of claims fills figures in from ---------------------------------------- */

/** The tensor's elements in a net, and how many. */
const nm_tensor *nm_claimed_tensor(const nm_net *net, const nm_claim_tensor *tensor);

/** Change of all tensors of the claim, one after the other, 0 where nothing is free.
 *  NM_E_ARG if an entry changed that is not free, or by more than the bounds allow.
 *  @param change  out, [n_params] */
nm_status nm_check_change(const nm_check_state *state, double *change, nm_err *err);

/** Figures of the change into an architecture statement. */
nm_status nm_measure_architecture(const nm_check_state *state, nm_claim_statement *out,
                                  nm_err *err);

/** Whether FIXED is MODEL but for the claimed tensors: as bytes, or as a graph; NM_E_ARG if not. */
nm_status nm_check_same(const nm_check_state *state, bool bytes, nm_err *err);

/** Smallest score[wanted] - score[other] of each point of a set, in float64 with plain loops; NAN
 *  where a score is no number. margin: [n] */
nm_status nm_plain_margins(nm_ctx *ctx, const nm_net *net, const nm_points *points, double *margin,
                           nm_err *err);

/** Counts over the points of a repair_set statement: fills margin and the three counts. */
nm_status nm_measure_repair_set(const nm_check_state *state, nm_claim_statement *out,
                                nm_check_statement *found, nm_err *err);

/** Points of the keep set right in MODEL, and those of them that are right in FIXED. */
nm_status nm_measure_keep_set(const nm_check_state *state, int64_t *n_right, int64_t *n_kept,
                              nm_err *err);

/** The largest lower bound that the proof gives for the statement's norm, and the norm of the
 *  change. */
nm_status nm_measure_optimality(const nm_check_state *state, const nm_claim_statement *statement,
                                double *objective, double *lower_bound, nm_err *err);

/** The largest of the n boxes (descending) in which the proof holds, allowing for rounding; 0 = in
 *  none. */
nm_status nm_measure_infeasible(const nm_check_state *state, const nm_claim_proof *proof,
                                const double *boxes, int n, double *box, nm_err *err);

#endif
