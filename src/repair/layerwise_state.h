/* The network that a layer-wise repair works on: present changes, values of all points, gradients.
 */
#ifndef NM_REPAIR_LAYERWISE_STATE_H
#define NM_REPAIR_LAYERWISE_STATE_H

#include "net/tape.h"
#include "problem/edit.h"
#include "repair/layerwise.h"

/** What is asked of the values at one place of the graph. */
typedef struct nm_lw_goal {
    int value;           /* index of the value */
    const double *wish;  /* [n x size] wanted values; NULL: the unions of the repair */
    bool below_is_below; /* only a ReLU reads the value: a wish <= 0 asks for <= 0 only */
} nm_lw_goal;

typedef struct nm_lw {
    nm_ctx *ctx;
    const nm_net *base; /* original parameters */
    nm_net *net;        /* clone with the present changes */
    nm_plan *plan;      /* what can be edited: whole layers of matrix form */
    nm_params *params;
    nm_edits *edits; /* in order of the layers */
    nm_layerwise_opts opts;
    int64_t n, n_scores;
    const nm_union *goal; /* [n] as asked */
    nm_union *inner;      /* [n] the same, a little tighter: what solvers aim at */
    nm_polytope *pieces;
    double *limits;
    nm_changes now;
    nm_tape *at;      /* values at `now` */
    nm_tape *adjoint; /* scratch of gradients */
    bool *op_mask;
    bool *below;    /* [edits->n] only a ReLU reads what the layer gives */
    double *near;   /* [n x n_scores] y* of the last nm_lw_aim() */
    int64_t *piece; /* [n] the piece that y* lies in */
    int level;      /* of the recursion, for the trace */
    nm_layerwise_report *report;
} nm_lw;

nm_status nm_lw_open(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                     const nm_union *goal, const nm_layerwise_opts *opts,
                     nm_layerwise_report *report, nm_lw **out, nm_err *err);
void nm_lw_close(nm_lw *lw);

/** The goal of the whole repair. */
nm_lw_goal nm_lw_whole(const nm_lw *lw);

/** Values from the operator of edit b to the last one at `to` (value index), at the present
 *  parameters. */
nm_status nm_lw_forward(nm_lw *lw, int b, int to, nm_err *err);

/** Gives edits lo .. hi the changes of `from` (NULL: none), and evaluates up to value `to`. */
nm_status nm_lw_set(nm_lw *lw, const nm_changes *from, int lo, int hi, int to, nm_err *err);

/** Points that miss the unions asked for, by present values. */
int64_t nm_lw_missed(const nm_lw *lw);

/** Norm of the present changes, INFINITY where they leave the plan's bounds. */
double nm_lw_norm(const nm_lw *lw);

/** Squared distance of point p from the goal. With unions: from lw->near. */
double nm_lw_loss(const nm_lw *lw, const nm_lw_goal *goal, int64_t p);

/** Nearest points of the goal: fills lw->near and lw->piece where the goal is the unions.
 *  @param reachable  false: the unions of some point are empty */
nm_status nm_lw_aim(nm_lw *lw, const nm_lw_goal *goal, bool *reachable, nm_err *err);

/** After nm_lw_aim(): gradients of the loss at the outputs of edits lo .. , in lw->adjoint. */
nm_status nm_lw_gradients(nm_lw *lw, const nm_lw_goal *goal, int lo, nm_err *err);

static inline int nm_lw_out(const nm_lw *lw, int b)
{
    return lw->net->ops[lw->edits->at[b].op].out;
}

#endif
