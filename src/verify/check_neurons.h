/* Proofs by signs of neurons (region_proof.h), checked. */
#ifndef NM_VERIFY_CHECK_NEURONS_H
#define NM_VERIFY_CHECK_NEURONS_H

#include "verify/check_bound.h"
#include "verify/region_proof.h"

/** As nm_check_region_proof(), for a proof that has such a form. */
nm_status nm_check_neuron_proof(nm_ctx *ctx, const nm_check_chain *chain,
                                const nm_property *property, const nm_in_box *box,
                                const nm_region_proof *proof, nm_err *err);

#endif
