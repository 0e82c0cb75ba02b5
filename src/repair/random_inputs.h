/* Random inputs: what a repair is to leave as it was, and how much of it is decided otherwise. */
#ifndef NM_REPAIR_RANDOM_INPUTS_H
#define NM_REPAIR_RANDOM_INPUTS_H

#include "base/ctx.h"
#include "net/graph.h"
#include "netmend/property_repair.h"

typedef struct nm_random_inputs {
    int64_t n_in;
    double *lo, *hi; /* [n_in] where they lie */
    bool stated;     /* by the caller or the network's file; else [-1/2, 1/2], to be widened */
    uint64_t seed;
    bool (*excluded)(const void *user,
                     const float *x); /* inputs that are not wanted; NULL = none */
    const void *user;
} nm_random_inputs;

/** @param lo, hi  [n_in] range; NULL = what the network's file states, if anything
 *  Free with nm_random_inputs_clear(), also after a failure. */
nm_status nm_random_inputs_new(const nm_net *net, const double *lo, const double *hi, uint64_t seed,
                               nm_random_inputs *out, nm_err *err);
void nm_random_inputs_clear(nm_random_inputs *inputs);

/** Widens a range that is not stated so that x lies in it. */
void nm_random_inputs_cover(nm_random_inputs *inputs, const double *x);

/** Random float32 inputs, none that is excluded (where others can be found).
 *  @param x  out, [n x n_in] */
void nm_random_inputs_draw(const nm_random_inputs *inputs, uint64_t stream, int64_t n, float *x);

/** The output that decides. y: [n_out] */
int64_t nm_decide(nm_decision decision, int64_t n_out, const float *y);

/** The share of n random inputs that two networks decide differently. */
nm_status nm_random_inputs_changed(const nm_ctx *ctx, const nm_random_inputs *inputs,
                                   const nm_net *net, const nm_net *fixed, nm_decision decision,
                                   int64_t n, double *share, nm_err *err);

#endif
