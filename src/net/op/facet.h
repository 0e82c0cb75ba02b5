/* Small things that the facets of many operators need. */
#ifndef NM_NET_OP_FACET_H
#define NM_NET_OP_FACET_H

#include <math.h>

#include "net/op.h"

/** Names that a kind implements: NM_ONNX("Relu"). */
#define NM_ONNX(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline const nm_value *nm_in_value(const nm_exec *ex, int i)
{
    return &ex->net->values[ex->op->in[i]];
}

static inline const nm_value *nm_out_value(const nm_exec *ex)
{
    return &ex->net->values[ex->op->out];
}

/** Elements of all points of input i (of the constant, if it is one). */
static inline int64_t nm_in_total(const nm_exec *ex, int i)
{
    const nm_value *value = nm_in_value(ex, i);

    return value->constant ? value->size : ex->n * value->size;
}

static inline int64_t nm_out_total(const nm_exec *ex)
{
    return ex->n * nm_out_value(ex)->size;
}

/** Entry of an array that may be absent: then 0. */
static inline double nm_or_zero(const double *array, int64_t i)
{
    return array ? array[i] : 0;
}

/** Makes an upper bound that was computed in double safe against the rounding of a few operations
 *  without cancellation (each at most 2^-53). */
static inline double nm_up(double bound)
{
    return bound * (1 + 1e-12);
}

/** Makes a bound on float32 errors hold against the computed double value too, not only against
 *  the exact one: double sums err 2^-29 as much as float32 sums. */
static inline double nm_up_error(double bound)
{
    return bound * (1 + 0x1p-26);
}

/** Unit roundoff of float32. */
#define NM_F32_UNIT 0x1p-24

/** Error of a float32 sum: gamma times the summed magnitudes, and what underflows. Infinite where
 *  terms or partial sums may overflow, whatever they cancel to. */
static inline double nm_sum_error(double gamma, double magnitude, double underflow)
{
    return magnitude <= NM_F32_RANGE ? nm_up_error(gamma * magnitude + underflow)
                                     : (double)INFINITY;
}

/** What float32 may do to a sum of products: relative errors, each of the form nm_gamma_f32(). */
typedef struct nm_sum_gammas {
    double terms;     /* of each term: its product, scalings of it, its weight's own rounding */
    double additions; /* of all additions together */
    double all;       /* of a path through both, in the model asked for */
} nm_sum_gammas;

/** @param n_additions  as many as there are products: the bias is one more term
 *  @param n_roundings  that a term may pass beside them */
nm_sum_gammas nm_sum_gammas_of(const nm_exec *ex, int64_t n_additions, int64_t n_roundings);

/** Error of a float32 sum of products in any order, as nm_sum_error() but sharper by up to a half.
 *
 *  Whatever the order, each addition rounds the sum of some of the terms, and no such sum exceeds
 *  max(P, N) with P the sum of the positive and N that of the negative terms. So n additions are
 * off by n u max(P, N) and what their operands are off by, instead of n u (P + N). As P - N is the
 *  result, max(P, N) = (P + N + |result|) / 2.
 *  @param magnitude  P + N or above it
 *  @param result     in float64, off by no more than 2^-30 magnitude
 *  @param spread     what magnitude and result may move by */
double nm_product_sum_error(const nm_sum_gammas *gammas, double magnitude, double result,
                            double spread, double underflow);

/** Largest of n non-negative numbers. */
double nm_largest(const double *x, int64_t n);

/** Scratch copies of an array: |x|, and |x| + r (r may be NULL). NULL when memory ran out. */
double *nm_scratch_abs(const nm_exec *ex, const double *x, int64_t n);
double *nm_scratch_reach(const nm_exec *ex, const double *x, const double *r, int64_t n);

/** Scratch copy of x >= 0 (of ex->n points) in float32, rounded up; what is denormal there becomes
 *  2^-126 or, beside elements that drown it, up to 2^-100. */
float *nm_scratch_f32_up(const nm_exec *ex, const double *x, int64_t n);

/** to[i] = from[i], raised so that it is no less than the exact sum of n_terms products of
 *  non-negative float32 numbers that `from` was computed as. */
void nm_sums_up(const float *from, int64_t n, int64_t n_terms, double *to);

/** True if the axis of input i holds the batch, so that an operator along it would mix points. */
static inline bool nm_is_batch_axis(const nm_net *net, const nm_op *op, int i, int64_t axis)
{
    return net->batch_symbolic && axis == 0 && !nm_op_constant(net, op, i);
}

/** Counts a negative axis from the end; refuses those outside [-rank, rank). */
nm_status nm_axis_resolve(int64_t axis, int rank, int *out, nm_err *err);

/** The integers of constant input i (at most `room`).
 *  NM_E_UNSUPPORTED if it is no constant; NM_E_FORMAT if it is no list of integers. */
nm_status nm_const_ints(const nm_net *net, const nm_op *op, int i, const char *what, int64_t *out,
                        size_t room, size_t *n, nm_err *err);

/** The value of a constant input with one element; `fallback` if it is absent. */
nm_status nm_const_scalar(const nm_net *net, const nm_op *op, int i, const char *what,
                          double fallback, double *out, nm_err *err);

/** True if input i is given (not left out). */
static inline bool nm_has_input(const nm_op *op, int i)
{
    return i < op->n_in && op->in[i] >= 0;
}

/** Refuses operators along the batch axis. */
nm_status nm_refuse_batch(const nm_net *net, const nm_op *op, int i, int64_t axis, nm_err *err);

/** infer facet of everything that keeps the shape of input 0. */
nm_status nm_infer_same(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err);

#endif
