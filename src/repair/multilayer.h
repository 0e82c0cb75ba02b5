/* Changes of several layers by way of separation layers (Refaeli, Katz, "Minimal Multi-Layer
 * Modifications of Deep Neural Networks", 2021, arXiv 2110.09929).
 *
 * The network is cut behind some of its layers. Once the values of all points are fixed there, each
 * part is a problem of its own: its last layer has known inputs and wanted outputs, and the
 * smallest such change is a closed form or a linear or quadratic program
 * (repair/layerwise_solve.h). What remains is a search for cuts and values:
 *
 *     propose values h at the cuts
 *     for each cut from front to back: smallest change of its layer that gives h, from the values
 *         that the changes so far do give
 *     smallest change of the last layer under which the scores are as asked
 *     keep the proposal if a true forward evaluation accepts it and the change of all is smaller
 *
 * Proposals (the paper has random and greedy ones, and Monte Carlo tree search):
 *     gradient  h = z - alpha dL/dz, L = squared distance from the nearest right output
 *     greedy    a neighbour of the best values so far: one value moved, or all of a cut brought
 *               nearer to the original ones or away from them, or a cut more or less
 *     random    all of the best values so far moved at random
 *
 * As in the layer-wise method, values that only a ReLU reads need not be met where they are below
 * 0, and where a part misses its values the next one starts from those that it reached. */
#ifndef NM_REPAIR_MULTILAYER_H
#define NM_REPAIR_MULTILAYER_H

#include "repair/layerwise.h"

/** Kinds of proposals. */
enum { NM_PROPOSE_GRADIENT = 1, NM_PROPOSE_GREEDY = 2, NM_PROPOSE_RANDOM = 4, NM_PROPOSE_ALL = 7 };

typedef struct nm_multilayer_opts {
    nm_layerwise_opts common; /* norm; breadth: single cuts that are tried; depth does not count */
    int kinds;                /* NM_PROPOSE_... */
    uint64_t seed;
    int64_t proposals; /* at most */
    int64_t patience;  /* proposals in a row that bring nothing */
} nm_multilayer_opts;

/** How many proposals a network and so many points can afford; all kinds. */
void nm_multilayer_effort(const nm_net *net, int64_t n, nm_multilayer_opts *opts);

/** Looks for a small change of the planned layers; the network may be cut behind each of them.
 *  Arguments, guarantees and errors as those of nm_layerwise(). Deterministic: same seed, same
 *  result, for any number of threads. */
nm_status nm_multilayer(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x,
                        int64_t n, const nm_union *goal, const nm_multilayer_opts *opts,
                        nm_changes *out, nm_layerwise_report *report, nm_err *err);

#endif
