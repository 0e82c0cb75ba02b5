/* Values of a net at many points, in double, kept for going back through it. */
#ifndef NM_NET_TAPE_H
#define NM_NET_TAPE_H

#include "net/pass.h"

/** One array per value, [n x size]; NULL for constants and for values that are not kept. */
typedef struct nm_tape {
    const nm_net *net;
    int64_t n;
    double **val;
} nm_tape;

/** New tape, zeroed. keep: [n_values] which values to keep, NULL = all but constants. The net is
 *  lent and must outlive the tape. */
nm_status nm_tape_new(const nm_net *net, int64_t n, const bool *keep, nm_tape **out, nm_err *err);
void nm_tape_free(nm_tape *tape);

/** Copies points of `from` to the first n points of `to`, for the values both keep.
 *  @param points  [n] indices into from's points; a point may be named more than once */
void nm_tape_gather(nm_tape *to, const nm_tape *from, const int64_t *points, int64_t n);

/** Sets all values to zero. */
void nm_tape_zero(nm_tape *tape);

/** Runs the operators of op_mask (NULL = all) forward over the values on the tape. */
nm_status nm_tape_forward(const nm_ctx *ctx, nm_tape *tape, const bool *op_mask, bool plain,
                          nm_err *err);

/** Tangents: d->val of each operator's output from those of its inputs, at the values of `at`.
 *  Inputs without an array in d have tangent zero. */
nm_status nm_tape_jvp(const nm_ctx *ctx, const nm_tape *at, nm_tape *d, const bool *op_mask,
                      nm_err *err);

/** Adjoints: adds to the d->val of each operator's inputs from that of its output. */
nm_status nm_tape_vjp(const nm_ctx *ctx, const nm_tape *at, nm_tape *d, const bool *op_mask,
                      bool plain, nm_err *err);

/** Copies n float32 points into the input value. */
void nm_tape_set_input(nm_tape *tape, const float *x);

#endif
