/* Lower bounds of linear functions of a network's values over a box of inputs, by linear relaxation
 * carried backward: CROWN (Zhang et al., NeurIPS 2018), DeepPoly (Singh et al., POPL 2019).
 *
 * A row is a linear function of the z of some node. At a node each neuron's activation lies between
 * two lines over the bounds [lo, hi] of its z; a row with a positive coefficient there goes on with
 * the lower line, with a negative one with the upper line; so it arrives at the input as a linear
 * function below the row everywhere in the box, whose minimum is at a corner.
 *
 * The bounds hold in real arithmetic (or for float32 evaluations, as the vnet was made), rounding
 * included. Lines hold exactly as stored. The rest is weighed by the nodes' errors (vnet.h): each
 * coefficient on a z counts with its |coefficient| times error. Bounds are raised by what these
 * sums themselves round. A bound that is not finite proves nothing. */
#ifndef NM_VERIFY_BOUND_H
#define NM_VERIFY_BOUND_H

#include "verify/bound_kernels.h"
#include "verify/vnet.h"

/** What is known of all neurons in one subproblem: arrays by neuron, the input's z its box. */
typedef struct nm_lines {
    double *lo, *hi;
    double *below, *below_at, *above, *above_at; /* x >= below z + below_at, x <= above z + ... */
    int32_t *alive;     /* neurons of each node that are not 0 throughout, from node->first on */
    int32_t *n_alive;   /* [n_nodes] */
    int64_t n_unstable; /* relu neurons whose sign is not known, and all smooth ones */
} nm_lines;

/** Room for one subproblem and what is carried; one for each thread. */
typedef struct nm_bounder {
    const nm_vnet *v;
    const nm_lane_kernels *kernels;
    nm_lines lines;
    double *rows;  /* [n_neurons x NM_MOST_LANES] */
    bool *reached; /* [n_nodes] rows of a node hold something */
    double constant[NM_MOST_LANES], lost[NM_MOST_LANES];
    int64_t n_carried; /* lanes carried so far: effort */
    /* What splits are chosen by; NULL = not kept. */
    double *before;  /* [n_neurons x NM_MOST_LANES] rows on the x of unstable neurons */
    double *z_slope; /* [n_neurons x n_in] |slope| of the lines around z of unstable neurons */
    nm_arena arena;
} nm_bounder;

/** @param keep  keep what splits are chosen by */
nm_status nm_bounder_open(nm_bounder *b, const nm_vnet *v, bool keep, nm_err *err);
void nm_bounder_close(nm_bounder *b);

/** A linear function of the output: coefficients on all its elements. */
typedef struct nm_vrow {
    const double *c; /* [n_out] */
    double at_0;     /* constant */
} nm_vrow;

/** Bounds all neurons in a box.
 *  @param lo, hi      the box, within that of the vnet
 *  @param z_lo, z_hi  by neuron, what is known already (of a box around this one); NULL = only what
 *                     the vnet knows
 *  @return false if no input is left (a neuron has no value) */
bool nm_bound_neurons(nm_bounder *b, const double *lo, const double *hi, const double *z_lo,
                      const double *z_hi);

/** Lines of one node from the bounds in b->lines. */
void nm_bound_set_lines(nm_bounder *b, int k);

/** Lower lines of unstable relus that touch them at a point: the best ones if that is where a row
 * is least.
 *  @param x  [n_neurons] values there (nm_vnet_evaluate) */
void nm_bound_touch(nm_bounder *b, const double *x);

/** Lines that are the network's tangent at a point: rows then arrive as their linear pieces.
 *  @param x  [n_neurons] values there */
void nm_bound_linearise(nm_bounder *b, const double *x);

/** Lower bounds of rows with the lines in b.
 *  @param n         rows, at most NM_MOST_LANES
 *  @param bound     out, [n]
 *  @param slope     out, [n x n_in] the linear functions below the rows, or NULL ...
 *  @param constant  out, [n] ... and their constants, lowered by all that rounds */
void nm_bound_rows(nm_bounder *b, int n, const nm_vrow *rows, double *bound, double *slope,
                   double *constant);

/** What relaxing costs the row in lane `lane` of the last nm_bound_rows(), by input: each neuron's
 *  part goes to the inputs in proportion to what they move it by. Needs `keep`.
 *  @param lanes   of that call: rows, rounded up to NM_LANE_VECTOR
 *  @param weight  [n] of the rows, whose sum is meant
 *  @param cost    out, [n_in] */
void nm_bound_costs(const nm_bounder *b, int n, const double *weight, double *cost);

/** Everything the bounds of bounder `b` know, copied. [n_neurons] each */
void nm_bound_copy(const nm_bounder *b, double *z_lo, double *z_hi);

#endif
