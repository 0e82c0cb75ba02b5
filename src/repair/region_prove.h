/* Which parts of regions are right, for a network as it stands. */
#ifndef NM_REPAIR_REGION_PROVE_H
#define NM_REPAIR_REGION_PROVE_H

#include "repair/region_conditions.h"

typedef struct nm_region_prove {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_region_conditions *conditions;
    bool float32;      /* for any float32 evaluation, or for real arithmetic */
    int64_t max_nodes; /* of the verifier, for boxes that are not proven without it; 0: it is not
                          asked */
    uint64_t seed;
} nm_region_prove;

/** Proves parts, each by its linear region (verify/hull.h), and where that does not do for a box by
 *  the verifier: fills proof, least, lost, bends, violated.
 *  @param n_open  receives how many parts are not proven */
nm_status nm_region_prove_parts(const nm_region_prove *prove, nm_region_parts *parts,
                                int64_t *n_open, nm_err *err);

#endif
