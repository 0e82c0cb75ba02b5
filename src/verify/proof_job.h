/* The inside of nm_proof_sum_make(). */
#ifndef NM_VERIFY_PROOF_JOB_H
#define NM_VERIFY_PROOF_JOB_H

#include "net/tape.h"
#include "verify/dot.h"
#include "verify/proof.h"

typedef struct nm_proof_job {
    const nm_check_state *s;
    const nm_claim_proof *proof;
    const nm_net *at; /* where rows are taken */
    nm_reach reach;
    bool *pinned;           /* [n_ops] */
    int64_t room;           /* points at once */
    float *x;               /* [room x n_in] */
    nm_tape *val, *radius;  /* values, and how far they are from the exact ones */
    nm_tape *adj, *abs_adj; /* adjoints, and through magnitudes */
    double roundings;       /* along any path backwards, and in the sums over points */
    nm_dot h;
    double missing; /* allowance of h */
    double scale;
    nm_proof_sum *out;
} nm_proof_job;

/** Whether all rows are of points and classes, or pieces, that are there; notes the operators whose
 *  pieces are held in j->pinned. NM_E_ARG. */
nm_status nm_proof_check_rows(const nm_proof_job *j, nm_err *err);

/** An operator that reads an unknown must be linear, or piecewise where pieces are kept. Needs
 *  j->reach. NM_E_ARG, NM_E_UNSUPPORTED. */
nm_status nm_proof_check_exact(const nm_proof_job *j, nm_err *err);

/** Weights multiply their layer's input: that must not depend on unknowns. NM_E_ARG,
 *  NM_E_UNSUPPORTED. */
nm_status nm_proof_check_tensors(const nm_proof_job *j, nm_err *err);

#endif
