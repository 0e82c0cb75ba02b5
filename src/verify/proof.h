/* The rows of a proof, made from the files alone, and their sum under its multipliers.
 *
 * A row of point p says  value_r + a_r . (d - d_at) >= margin  for the change d of the free
 * parameters, where value_r and a_r are taken at a network `at` (MODEL: d_at = 0; FIXED: d_at is
 * its change), and hold for all d under which p keeps the pieces it has there. For multipliers
 * y >= 0, every such d has  q . d >= h  with  q = sum y_r a_r,  h = sum y_r (margin - value_r) +
 * q . d_at.  One backward pass for each point gives q: rows are never formed one by one.
 *
 * Arithmetic: values and adjoints are computed in float64 by plain loops, with a bound on what they
 * miss. Values: every operator's float32 error facet times 2^-28 (its float64 rounding is at most
 * 2^-29 of that, for all its sums), pushed on by its spread facet. Adjoints: K roundings along any
 * path, each relative to the sum of magnitudes, so gamma_K times the adjoint through magnitudes. */
#ifndef NM_VERIFY_PROOF_H
#define NM_VERIFY_PROOF_H

#include "verify/check.h"

typedef struct nm_proof_sum {
    int64_t n;     /* entries of all claimed tensors together */
    double *q;     /* [n] 0 where an entry is not free */
    double *error; /* [n] the true q_j is this close */
    double h;      /* the true h is at least this */
    double scale;  /* sum of y |margin - value|: what h is to be compared with */
} nm_proof_sum;

/** Sums the rows of a proof. NM_E_ARG or NM_E_UNSUPPORTED if a row is none, or is not exact for the
 *  pieces claimed. Free with nm_proof_sum_clear(). */
nm_status nm_proof_sum_make(const nm_check_state *state, const nm_claim_proof *proof,
                            nm_proof_sum *out, nm_err *err);
void nm_proof_sum_clear(nm_proof_sum *sum);

/** Which operators and values a change of the claimed parameters reaches. */
typedef struct nm_reach {
    bool *behind; /* [n_values] depends on a claimed parameter */
    bool *used;   /* [n_ops] the scores, or a pinned value, depend on it */
    bool *tail;   /* [n_ops] used, and output behind */
} nm_reach;

/** @param pinned  [n_ops] operators with pins in the proof; NULL = none */
nm_status nm_reach_make(const nm_check_state *state, const bool *pinned, nm_reach *out,
                        nm_err *err);
void nm_reach_clear(nm_reach *reach);

#endif
