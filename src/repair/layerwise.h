/* Gradient layer-wise recursive repair (Bansal, BTP492 report "Repair of Deep Neural Networks",
 * 2025, Algorithm 1).
 *
 *     repair(layers p..q, goal at z^q):
 *         one layer left: solve for its smallest change (repair/layerwise_solve.h)
 *         y* = point of the goal nearest to y,  loss = |y - y*|^2,  G^l = d loss / d z^l
 *         for layers l in order of the change that the step would need, for step sizes alpha:
 *             repair(p..l, z^l = z^l - alpha G^l)        the part before
 *             repair(l+1..q, goal), from what was achieved  the part after
 *             keep the smallest change with which a true forward evaluation meets the goal
 *
 * Beyond the report: the part before may miss its wish (the part after starts from the values that
 * it did reach); targets of a ReLU's input that are below 0 ask for no more than to be below 0;
 * several points at once; cuts are values of the graph, so that convolutions and skip connections
 * need no treatment of their own; step sizes are refined and the change is shortened at the end. */
#ifndef NM_REPAIR_LAYERWISE_H
#define NM_REPAIR_LAYERWISE_H

#include "base/ctx.h"
#include "repair/changes.h"
#include "solve/projection.h"

typedef struct nm_layerwise_opts {
    nm_norm norm;     /* of all changes together; not NM_NORM_FUNCTION */
    double l1_weight; /* of sum |v| in NM_NORM_LINF_L1N */
    int depth;        /* cuts within cuts, >= 0; 0 edits the last layer only */
    int breadth;      /* layers tried for each cut, >= 1 */
} nm_layerwise_opts;

typedef struct nm_layerwise_report {
    bool found;        /* the changes meet every goal, by forward evaluation in double */
    bool stopped;      /* time limit or interrupt; what was found before is kept */
    bool cancelled;    /* it was an interrupt */
    double norm;       /* of the changes; INFINITY unless found */
    int64_t tried;     /* candidates that were evaluated */
    int64_t missed;    /* unless found: points that the nearest approach still misses */
    int64_t ambiguous; /* points of which, at first, several pieces of the goal are as near; the
                          search moves them to the first of these */
    char reason[256];  /* unless found: why */
} nm_layerwise_report;

/** How much of the search a network and so many points can afford. */
void nm_layerwise_effort(const nm_net *net, int64_t n, nm_layerwise_opts *opts);

/** Looks for a small change of the layers of a plan after which the scores of each point lie in its
 *  union of polytopes. Sound (what is found was evaluated), incomplete, deterministic.
 *
 *  @param plan  marks whole layers, their weights or their biases; layers that are no matrices
 *               (grouped convolutions, normalisation) are left as they are; its bounds hold
 *  @param x     [n x n_in]
 *  @param goal  [n] unions in the space of the scores (value net->scores); margins are part of them
 *  @param out   receives the changes if found; else cleared. Free with nm_changes_clear()
 *  @return NM_OK also when nothing was found or time was up (report); NM_E_ARG if the plan frees no
 *          layer that can be repaired this way, or the norm is the function norm */
nm_status nm_layerwise(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x,
                       int64_t n, const nm_union *goal, const nm_layerwise_opts *opts,
                       nm_changes *out, nm_layerwise_report *report, nm_err *err);

#endif
