/* Facets shared by operators that only rename or reshape: the output is input 0, unchanged.
 * A shape may gain and lose axes, but the batch axis stays in front, so that one point's elements
 * stay together. */
#ifndef NM_NET_OP_VIEW_H
#define NM_NET_OP_VIEW_H

#include "net/op.h"

void nm_view_forward_f32(const nm_exec *ex, const float *const *in, float *out);
void nm_view_forward_f64(const nm_exec *ex, const double *const *in, double *out);
void nm_view_jvp(const nm_exec *ex, const double *const *in, const double *out,
                 const double *const *din, double *dout);
void nm_view_vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                 double *const *din);
void nm_view_spread(const nm_exec *ex, const double *const *in, const double *out,
                    const double *const *r, double *s);

/** All facets but infer, for the kind's table. */
#define NM_VIEW_FACETS                                                                             \
    .forward_f32 = nm_view_forward_f32, .forward_f64 = nm_view_forward_f64, .jvp = nm_view_jvp,    \
    .vjp = nm_view_vjp, .spread = nm_view_spread, .is_view = true

#endif
