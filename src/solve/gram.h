/* The shortest d with A d >= h in a metric, from the rows' inner products K = A M^-1 A' alone:
 *
 *     minimise y'K y / 2 - h'y  over y >= 0,   d = M^-1 A'y,  |d|^2 = y'K y.
 *
 * Sized for thousands of rows. Block principal pivoting (Portugal, Judice, Vicente, "A comparison
 * of block pivoting and interior-point algorithms for linear least squares problems with
 * nonnegative variables", Math. Comp. 63, 1994) exchanges many rows at once, each exchange one
 * Cholesky factor. Where it cycles (rank-deficient K) the one-by-one dual method of solve/ldp.h
 * goes on from its multipliers; that one also proves infeasibility. */
#ifndef NM_SOLVE_GRAM_H
#define NM_SOLVE_GRAM_H

#include "solve/ldp.h"

typedef struct nm_gram {
    int64_t m, capacity;
    double *k;     /* [m x capacity] inner products, both halves; scaled in place once taken over */
    double *h;     /* [m], scaled likewise */
    double *scale; /* [m] 1 / length of each row */
    double *y;     /* [m] multipliers of the scaled rows; kept over calls: a warm start */
    double *slack; /* [m] K y - h */
    bool *in;      /* [m] in the present basis */
    double *factor, *work; /* scratch */
    int64_t *place;        /* [m] scratch: rows of the basis */
    int64_t factor_room, n_in;
    nm_ldp ldp; /* the fallback */
    int64_t iterations;
} nm_gram;

/** Room for m rows in all. The caller fills k and h of the new rows (unscaled, against all rows
 *  unscaled), then calls nm_gram_take(). */
nm_status nm_gram_grow(nm_gram *gram, int64_t m, nm_err *err);

/** Scales rows first .. m-1, which have just been filled in. */
void nm_gram_take(nm_gram *gram, int64_t first);

void nm_gram_free(nm_gram *gram);

/** Solves. STALLED: no answer; INFEASIBLE: ldp.ray holds a ray over the scaled rows. */
nm_status nm_gram_solve(nm_gram *gram, const nm_ctx *ctx, nm_ldp_outcome *outcome, nm_err *err);

/** Corrects the multipliers of the basis for residuals of its rows (unscaled, wanted minus present
 *  value), with the factor of the last solve. */
void nm_gram_correct(nm_gram *gram, const double *residual);

/** Multipliers of the unscaled rows [m]. */
void nm_gram_multipliers(const nm_gram *gram, double *y);

/** Length of d, and the bound h'y / |A'y| that y proves (duality). */
double nm_gram_length(const nm_gram *gram);
double nm_gram_bound(const nm_gram *gram);

#endif
