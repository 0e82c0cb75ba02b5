/* Facets shared by operators that pick elements of input 0: Transpose, Slice, Gather, Pad, Expand.
 * Such an operator is a list that says for each output element which input element it is. */
#ifndef NM_NET_OP_MOVE_H
#define NM_NET_OP_MOVE_H

#include "net/op.h"

typedef struct nm_move_family {
    /** Fills source[output size] with indices into one point's input 0, -1 = the fill value. */
    void (*sources)(const nm_net *net, const nm_op *op, int64_t *source);
    /** The fill value; NULL if no source is -1. */
    double (*fill)(const nm_net *net, const nm_op *op);
} nm_move_family;

/** source[k] = first + sum over axes of step[a] * (index of k along axis a of shape). */
void nm_move_strided(const nm_shape *shape, int64_t first, const int64_t *step, int64_t *source);

/** Elements from one index to the next along each axis. */
void nm_move_strides(const nm_shape *shape, int64_t *stride);

void nm_move_forward_f32(const nm_exec *ex, const float *const *in, float *out);
void nm_move_forward_f64(const nm_exec *ex, const double *const *in, double *out);
void nm_move_jvp(const nm_exec *ex, const double *const *in, const double *out,
                 const double *const *din, double *dout);
void nm_move_vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                 double *const *din);
void nm_move_spread(const nm_exec *ex, const double *const *in, const double *out,
                    const double *const *r, double *s);
int64_t nm_move_n_links(const nm_net *net, const nm_op *op);
void nm_move_links(const nm_exec *ex, const double *const *in, int64_t *at, double *share);

/** All facets but parse and infer, for the kind's table. */
#define NM_MOVE_FACETS                                                                             \
    .forward_f32 = nm_move_forward_f32, .forward_f64 = nm_move_forward_f64, .jvp = nm_move_jvp,    \
    .vjp = nm_move_vjp, .spread = nm_move_spread, .n_links = nm_move_n_links,                      \
    .links = nm_move_links

#endif
