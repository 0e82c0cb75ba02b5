/* Bounds of NM_MOST_LANES subproblems at once, improved by ascent: alpha-CROWN (Xu et al., ICLR
 * 2021) and beta-CROWN (Wang et al., NeurIPS 2021).
 *
 * All lanes share what is known of the neurons (nm_lines). A lane may know the signs of some
 * neurons in addition, its splits; where z_i >= 0 (or <= 0) was chosen, multiplier times z_i is
 * taken off (or added), which leaves a lower bound. Lower slopes of open neurons, in [0, 1], and
 * multipliers
 * >= 0 are free: every choice gives a bound that holds, rounding included as in bound.h. The bound
 * is concave in them, and its derivative comes from one pass forward from the minimising input. */
#ifndef NM_VERIFY_BATCH_H
#define NM_VERIFY_BATCH_H

#include "verify/batch_kernels.h"
#include "verify/bound.h"

enum { NM_SLOPE_STEPS = 255 };

typedef struct nm_batch {
    const nm_vnet *v;
    const nm_lines *lines; /* lent: lo, hi, alive, n_alive */
    const nm_batch_kernels *kernels;
    const nm_lane_kernels *rows_kernels;
    int from;             /* rows begin on the z of this node */
    const int32_t *units; /* [n_units] its neurons that rows may begin at */
    int32_t n_units;
    /* [n_neurons x NM_MOST_LANES] */
    double *below, *below_at, *above, *above_at, *push;
    double *sign, *open, *reach, *multiplier, *mean, *largest;
    double *row, *kept, *z, *x;
    double *start; /* rows on the z of node `from`, [n x NM_MOST_LANES]; the caller's */
    double at_0[NM_MOST_LANES]; /* and their constants */
    int32_t *unstable;          /* open relus by node, from node->first on */
    int32_t *n_unstable;        /* [n_nodes] */
    int32_t *all;               /* 0 .. widest - 1 */
    bool *reached;
    double constant[NM_MOST_LANES], lost[NM_MOST_LANES];
    double bound[NM_MOST_LANES];
    double rate[NM_MOST_LANES]; /* of the next step, in slopes */
    int64_t n_passes;
    nm_arena arena;
} nm_batch;

/** @param lines  what holds for all lanes; lent. After it changed: nm_batch_take_lines() */
nm_status nm_batch_open(nm_batch *b, const nm_vnet *v, const nm_lines *lines, nm_err *err);
void nm_batch_close(nm_batch *b);

/** Lists open neurons; all lanes are to be cleared after it. */
void nm_batch_take_lines(nm_batch *b);

/** Rows begin at node k: at the neurons listed (lent). */
void nm_batch_begin_at(nm_batch *b, int k, const int32_t *units, int32_t n_units);

/** A lane without splits, lower slopes as in the lines. */
void nm_batch_clear_lane(nm_batch *b, int lane);

/** All lanes of `to` like one of `from`: splits, slopes, multipliers, row. */
void nm_batch_spread_lane(nm_batch *to, const nm_batch *from, int lane);

/** Chooses the sign of a neuron (counted over all nodes). */
void nm_batch_split(nm_batch *b, int lane, int32_t neuron, bool active, double multiplier,
                    double reach);

/** Bounds of all lanes, from b->start and b->at_0 into b->bound. */
void nm_batch_back(nm_batch *b);

/** Values at each lane's minimising input, along the lines that its row took: b->z, b->x. */
void nm_batch_forward(nm_batch *b);

/** Rounds slopes to steps of 1 / NM_SLOPE_STEPS and multipliers to float32, which is how proofs
 * keep them. */
void nm_batch_round(nm_batch *b);

/** A step of all slopes and multipliers, after both passes. */
void nm_batch_ascend(nm_batch *b);

#endif
