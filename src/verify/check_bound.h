/* The checker's bounds over boxes, in simple loops.
 *
 * A row is carried back through the chain; at a ReLU with z in [lo, hi], lo < 0 < hi, a positive
 * coefficient takes the line below z (x >= slope z, slope 0 or 1), a negative one the line above
 * (x <= s z + t with t at least what both ends ask for). The row arrives at the input as a line
 * that is nowhere above it.
 *
 * Rounding. Coefficients are computed as sums of at most n (neurons of a layer) products. One that
 * is off by d moves the line by at most |d| |x|, and over a layer these sum up to at most
 *     gamma_n sum_k |row_k| (sum_i |W_ki| |x_i| + |b_k|),
 * which is what e_k of the layer pays for (check_chain.h), with a factor of 4 n_neurons + 64 in
 * place of n: it covers the slopes' own rounding and the sums of constants too, since no constant
 * is larger than its neuron's |W| |x| + |b|. */
#ifndef NM_VERIFY_CHECK_BOUND_H
#define NM_VERIFY_CHECK_BOUND_H

#include "verify/check_chain.h"

typedef struct nm_check_bounds {
    const nm_check_chain *chain;
    double *lo, *hi;                  /* [n_neurons] z, layer after layer */
    double *below, *above, *above_at; /* [n_neurons] */
    double *push; /* [n_neurons] added to the coefficient on z: of neurons whose sign is given */
    double *row, *next, *x; /* scratch [widest or n_in] */
    nm_arena arena;
} nm_check_bounds;

nm_status nm_check_bounds_open(nm_check_bounds *b, const nm_check_chain *chain, nm_err *err);
void nm_check_bounds_close(nm_check_bounds *b);

/** Bounds all neurons over a box. b->lo, b->hi: what is known already (of a box around it), and
 *  then the new bounds.
 *  @return false if no input is left */
bool nm_check_neurons(nm_check_bounds *b, const double *lo, const double *hi);

/** The bounds of neuron r of layer k, whose neurons begin at `first`, from the lines of the layers
 *  before it: improves b->lo and b->hi where the sign is open. */
void nm_check_neuron(nm_check_bounds *b, int k, int64_t first, int64_t r, const double *lo,
                     const double *hi);

/** Sets the lines of all neurons from lo and hi. */
void nm_check_set_lines(nm_check_bounds *b);

/** A line below sign * z of a neuron, counted layer after layer. */
void nm_check_unit_line(nm_check_bounds *b, int64_t neuron, double sign, double *slope,
                        double *constant);

/** Lower slopes as the ReLU are at a point: 1 where z > 0. */
void nm_check_touch(nm_check_bounds *b, const double *x);

/** Lower slopes by the larger side, as nm_check_neurons() leaves them. */
void nm_check_untouch(nm_check_bounds *b);

/** A line below sum_o c_o y_o + at_0 over the box that the neurons were bounded for.
 *  @param slope     out, [n_in]
 *  @param constant  out */
void nm_check_line(nm_check_bounds *b, const double *c, double at_0, double *slope,
                   double *constant);

/** A lower bound of a line over a box. */
double nm_check_least(int64_t n, const double *slope, double constant, const double *lo,
                      const double *hi);

/** Cuts a box to where a line may be <= 0.
 *  @return false if it is > 0 everywhere */
bool nm_check_cut(int64_t n, const double *slope, double constant, double *lo, double *hi);

#endif
