/* Facets shared by Add, Sub, Mul and Div: numpy broadcasting, either side constant or both
 * varying. */
#ifndef NM_NET_OP_BINARY_H
#define NM_NET_OP_BINARY_H

#include "net/op.h"

/** Two operands with the radii of what they may deviate by. */
typedef struct nm_operands {
    double a, b, ra, rb;
    double sum_a, sum_b; /* error() only: gamma of the products that an operand sums, and that a
                            runtime may add to the other operand one by one (net/op/fold.h) */
} nm_operands;

typedef struct nm_binary_family {
    void (*row_f32)(int64_t n, const float *a, const float *b, float *out);
    void (*row_f64)(int64_t n, const double *a, const double *b, double *out);
    void (*slopes)(double a, double b, double *wrt_a, double *wrt_b); /* partial derivatives */
    double (*error)(nm_operands v);    /* float32 rounding of one operation */
    double (*spread)(nm_operands v);   /* sup |f(a + da, b + db) - f(a, b)| */
    double (*residual)(nm_operands v); /* the same minus the linear part; NULL if linear */
} nm_binary_family;

nm_status nm_binary_infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err);
void nm_binary_forward_f32(const nm_exec *ex, const float *const *in, float *out);
void nm_binary_forward_f64(const nm_exec *ex, const double *const *in, double *out);
void nm_binary_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout);
void nm_binary_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din);
void nm_binary_local_error(const nm_exec *ex, const double *const *in, const double *out,
                           const double *const *r, double *e);
void nm_binary_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s);
void nm_binary_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q);

/** What linear and other kinds have in common in their tables. */
#define NM_BINARY_FACETS                                                                           \
    .min_in = 2, .max_in = 2, .infer = nm_binary_infer, .forward_f32 = nm_binary_forward_f32,      \
    .forward_f64 = nm_binary_forward_f64, .jvp = nm_binary_jvp, .vjp = nm_binary_vjp,              \
    .local_error = nm_binary_local_error, .spread = nm_binary_spread, .elementwise = true

#endif
