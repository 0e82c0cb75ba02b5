/* Looking for counterexamples: float32 points of one box whose outputs meet all rows of a case.
 *
 * What is made small is the *excess* of a point: over the cases the least, over the rows of the
 * case the largest coef . y - limit. A point is unsafe when it is <= 0.
 *
 * Effort is counted in multiplications of forward passes, never in time; the same seed gives the
 * same points whatever the number of threads. Sources: Madry et al., "Towards Deep Learning Models
 * Resistant to Adversarial Attacks" (ICLR 2018) for steps along the sign of the gradient. */
#ifndef NM_VERIFY_ATTACK_H
#define NM_VERIFY_ATTACK_H

#include "base/ctx.h"
#include "net/graph.h"
#include "spec/property.h"

typedef struct nm_attack {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_property *property;
    const nm_in_box *box; /* must have points */
    uint64_t seed, stream;

    /** Asked about a point that looks unsafe; true ends the attack. */
    bool (*hit)(void *user, const float *x);
    void *user;
} nm_attack;

/** Multiplications of one forward pass, and what goes with it. */
double nm_attack_cost(const nm_net *net);

/** Centre, corners, random points, steps along the sign of the gradient, then random moves of
 * single coordinates, within about `effort` multiplications (but a few points at least).
 *  @param found  out: a hit ended it
 *  @return NM_OK, also at the time limit; NM_E_CANCELLED, NM_E_NOMEM */
nm_status nm_attack_box(const nm_attack *attack, double effort, bool *found, nm_err *err);

/** The last two from x within the part [lo, hi] of the box. Thread safe. */
nm_status nm_attack_near(const nm_attack *attack, const float *x, const double *lo,
                         const double *hi, double effort, bool *found, nm_err *err);

#endif
