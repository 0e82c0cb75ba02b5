/* What an operator must know about itself: one table of facets per kind, one file per operator.
 *
 * Conventions for all facets
 * - n points; the arrays of non-constant values are [n x size], row-major; constants are [size].
 *   An absent optional input has a NULL array. An operator whose inputs are all constant is only
 *   ever evaluated for folding, with n = 1.
 * - "pattern": piecewise linear operators are linear once the pieces are chosen (ReLU side, pool
 *   winner). jvp and vjp take the pieces from the values they are given. A ReLU at exactly 0
 *   counts as on (APRNN, PLDI 2023), a pool tie goes to the first element in window order.
 * - Facets are pure: no allocation beyond scratch given by nm_scratch(), no shared state.
 */
#ifndef NM_NET_OP_H
#define NM_NET_OP_H

#include "net/graph.h"

/** Where one evaluation works: the net, number of points, plain loops or BLAS, scratch. */
typedef struct nm_exec {
    const nm_net *net;
    const nm_op *op;
    int64_t n;     /* points */
    bool plain;    /* evaluate with plain loops only (independent checks), not through BLAS */
    bool probable; /* local_error: probabilistic instead of any-order bound on sums (nm_gamma) */
    /* local_error of kinds with a magnitude facet, which several bounds share: */
    const double *magnitude; /* [n x size_out] that facet's, of |in| and the biases */
    const double *spread;    /* [n x size_out] the spread at r; NULL = 0 */
    double most_weight;      /* largest magnitude of the weights; 0 = to be looked for */
    struct nm_arena *arena;
} nm_exec;

/** Scratch room of n elements of `size` bytes, 64-byte aligned, not zeroed, valid until the facet
 *  returns; NULL when memory ran out (the facet then returns at once, the caller reports). */
void *nm_scratch(const nm_exec *ex, size_t n, size_t size);

/** Outputs first_out + c * out_step, c < n_out, of one point that read the same inputs: the
 *  derivative of output c with respect to input at[i] is scale * weights[weight[i] + c * step]. */
typedef struct nm_fan {
    int64_t n_out, first_out, out_step;
    int64_t n_in, step;
    int32_t *at;     /* [n_in] */
    int32_t *weight; /* [n_in] */
    double scale;
} nm_fan;

/** One pin: a linear row on the operator's data input (input 0) of one point that keeps the piece:
 *      sign * (z[plus] - z[minus]) >= rhs        (z[minus] left out when minus < 0) */
typedef struct nm_pin {
    int64_t plus, minus;
    double sign, rhs;
} nm_pin;

/** One attribute of an ONNX node, decoded; arrays are lent for the call. */
typedef struct nm_attr_value {
    const char *name;
    enum {
        NM_ATTR_INT,
        NM_ATTR_FLOAT,
        NM_ATTR_INTS,
        NM_ATTR_FLOATS,
        NM_ATTR_STRING,
        NM_ATTR_OTHER
    } type;
    int64_t i;
    double f;
    const char *s;
    const int64_t *ints;  /* [n] */
    const double *floats; /* [n] */
    size_t n;
} nm_attr_value;

/** An ONNX node as the operators see it. */
typedef struct nm_node_view {
    const char *op_type;
    int64_t opset;
    const nm_attr_value *attrs;
    size_t n_attrs;
} nm_node_view;

/** Looks an attribute up; NULL if absent. */
const nm_attr_value *nm_node_attr(const nm_node_view *node, const char *name);

/** Reads an attribute with a default; NM_E_FORMAT if it has another type. */
nm_status nm_node_int(const nm_node_view *node, const char *name, int64_t fallback, int64_t *out,
                      nm_err *err);
nm_status nm_node_float(const nm_node_view *node, const char *name, double fallback, double *out,
                        nm_err *err);
/** At most `room` integers; *n = 0 if absent. */
nm_status nm_node_ints(const nm_node_view *node, const char *name, int64_t *out, size_t room,
                       size_t *n, nm_err *err);
/** The string is lent by the node. */
nm_status nm_node_string(const nm_node_view *node, const char *name, const char *fallback,
                         const char **out, nm_err *err);

/** An affine layer as one matrix W [n_out x n_in] that acts at each *place* of a point (a row of a
 *  dense layer's input, an output position of a convolution):
 *      out(place) = alpha W u(place) + beta b,   u(place) = what the layer sees there. */
typedef struct nm_matrix_form {
    int64_t n_out, n_in, places;
    bool transposed; /* stored as [n_in x n_out] */
    double alpha, beta;
} nm_matrix_form;

struct nm_op_kind {
    const char *name; /* as in messages, e.g. "Gemm" */

    /* -- ONNX mapping ---------------------------------------------------------------------------
     */

    /** ONNX operators (default domain) that this kind implements, NULL-terminated; e.g. Dropout and
     *  Identity share one kind. */
    const char *const *onnx_names;

    /** Number of inputs that an ONNX node may give. */
    int min_in, max_in;

    /** Bytes of the kind's attribute struct; 0 if it has none. */
    size_t attr_bytes;

    /** Fills the (zeroed) attribute struct; refuses values that make no sense or are unsupported
     *  (auto_pad, training mode, ...) with a message. NULL if the node needs no attributes. */
    nm_status (*parse)(const nm_node_view *node, void *attr, nm_err *err);

    /* -- shape and values -----------------------------------------------------------------------
     */

    /** Checks inputs and attributes, gives the output's shape. */
    nm_status (*infer)(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err);

    /** out[n x size_out] from in[]. Both precisions come from one source (tensor/typed.h). */
    void (*forward_f32)(const nm_exec *ex, const float *const *in, float *out);
    void (*forward_f64)(const nm_exec *ex, const double *const *in, double *out);

    /** Tangent: dout = J(in) din, with NULL din[i] meaning zero (constants are always NULL).
     *  Overwrites dout. `out` holds the forward values. */
    void (*jvp)(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout);

    /** Adjoint: din[i] += J_i(in)' dout for every non-NULL din[i] (constants are NULL). */
    void (*vjp)(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din);

    /* -- affine layers only ------------------------------------------------------------------- */

    /** Which inputs hold weights and bias (1 and 2, say); weight_in = 0 means: not a layer. */
    int weight_in, bias_in;

    /** Adjoint w.r.t. the parameters, summed over the n points: gw[n_weights] += ...,
     *  gb[n_biases] += ...; either may be NULL. x is input 0. */
    void (*param_vjp)(const nm_exec *ex, const double *x, const double *dout, double *gw,
                      double *gb);

    /** Tangent w.r.t. the parameters: dout += J_w dw + J_b db; either may be NULL. */
    void (*param_jvp)(const nm_exec *ex, const double *x, const double *dw, const double *db,
                      double *dout);

    /** The layer as a matrix; false if it is none (grouped convolutions). NULL = never. */
    bool (*matrix_form)(const nm_net *net, const nm_op *op, nm_matrix_form *form);

    /** u[n x places x n_in] from input 0: what the matrix sees at each place. */
    void (*see)(const nm_exec *ex, const double *x, double *u);

    /** g[n x places x n_out] from an array laid out like the output. */
    void (*at_places)(const nm_exec *ex, const double *out, double *g);

    /* -- piecewise linear operators only ------------------------------------------------------ */

    /** Number of pins per point, and the k-th one for the pieces that z (input 0 of ONE point)
     *  lies on. NULL for operators that are linear everywhere; `smooth` operators have none.
     *  A pin with plus == minus holds always (a pool's window entry in the padding). */
    int64_t (*n_pins)(const nm_net *net, const nm_op *op);
    nm_pin (*pin)(const nm_net *net, const nm_op *op, const double *z, int64_t k);

    /** True if the operator is neither linear nor piecewise linear in its data inputs; ask
     *  nm_op_is_smooth(), since some are linear for certain operands. */
    bool smooth;

    /** Smooth kinds only: is this operator linear after all (Mul by a constant)? NULL = never. */
    bool (*is_linear)(const nm_net *net, const nm_op *op);

    /* -- float32 deviation (verify/deploy.c, design section 8) --------------------------------- */

    /** e[n x size_out]: bound on |computed - exact| of one float32 evaluation of this operator, in
     *  any order of summation, with or without FMA, on inputs at most r away from in (r[i] NULL =
     *  0). NULL facet: evaluation is exact (moves, max, ReLU). Weights and other constants may be
     *  rounded to float32 on the way. */
    void (*local_error)(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e);

    /** Sums of products only: m[n x size_out] = sum |w| x (+ |bias|) for x >= 0 [n x size_in], or
     *  above it by a relative 2^-23 for each product and by a few times 2^-126 of the factors. The
     *  local error needs it at |in| (nm_exec), the spread is that of r. Never through BLAS. */
    void (*magnitude)(const nm_exec *ex, const double *x, bool bias, double *m);

    /** s[n x size_out]: bound on |f(in + d) - f(in)| over all |d[i]| <= r[i]. */
    void (*spread)(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s);

    /** q[n x size_out]: bound on |f(in + d) - f(in) - J(in) d| over all |d[i]| <= r[i].
     *  NULL facet: the operator is linear, q = 0. */
    void (*residual)(const nm_exec *ex, const double *const *in, const double *out,
                     const double *const *r, double *q);

    /* -- the derivative of one point, entry by entry (verify/linear.c); kinds without any of these
     * are differentiated by vjp ------------------------------------------------------------- */

    /** Layers only: the derivative as dense blocks. fan() fills its arrays in scratch; they depend
     *  on the net only. */
    int64_t (*n_fans)(const nm_net *net, const nm_op *op);
    void (*fan)(const nm_exec *ex, int64_t k, nm_fan *fan);

    /** Output o has the derivative share[o] with respect to inputs at[o * n_links ...] (of input 0,
     *  -1 = none) and 0 otherwise: pools and moves. For ONE point. */
    int64_t (*n_links)(const nm_net *net, const nm_op *op);
    void (*links)(const nm_exec *ex, const double *const *in, int64_t *at, double *share);

    /** Each output is convex in input 0: f(in + d) >= f(in) + J(in) d. */
    bool convex;

    /** Output k depends only on element k of each input that is computed and has its size. */
    bool elementwise;

    /** Piecewise linear kinds: which elements of input 0 can matter for the outputs that do, when
     *  input 0 is off by at most r: matters_in[n x size_in] from matters_out[n x size_out].
     *  NULL: all. */
    void (*reach)(const nm_exec *ex, const double *z, const double *r, const bool *matters_out,
                  bool *matters_in);

    /** What the machinery shared by a family of operators works from (net/op/pieces.h, smooth.h,
     *  move.h, binary.h); NULL if the kind has all facets of its own. */
    const void *family;

    /** The operator only renames or reshapes: out may share the memory of input 0. */
    bool is_view;

    /** Element j of the output is element from[j] of input 0, of any point; false where it is not
     *  that simple. Optional. from: [size_out] */
    bool (*copies)(const nm_net *net, const nm_op *op, int32_t *from);
};

/** The local_error facet with the magnitudes that it needs; kinds without one give 0.
 *  @param spread  [n x size_out] that facet's result at r
 *  @return false when memory ran out */
bool nm_op_local_error(const nm_exec *ex, const double *const *in, const double *out,
                       const double *const *r, const double *spread, double *e);

/** gamma_n = n u / (1 - n u), u = 2^-24: relative error of n float32 operations in any order
 *  (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3); INFINITY when n u >= 1. */
double nm_gamma_f32(int64_t n);

/** The factor for a sum of n products, in the model that ex asks for: nm_gamma_f32(n), or with
 *  ex->probable the smaller of that and exp((lambda sqrt(n) u + n u^2) / (1 - u)) - 1, lambda = 6
 *  (Higham & Mary, SIAM J. Sci. Comput. 41, 2019, Theorem 2.4). */
double nm_gamma(const nm_exec *ex, int64_t n);

/** Largest absolute error of one float32 operation that underflows (also when flushed to 0), and of
 *  one operand that is flushed to 0 because it is denormal. */
#define NM_F32_UNDERFLOW 0x1p-126

/** Larger values, and sums of magnitudes, count as overflow: error bounds are infinite there. 2^32
 *  below the end of float32's range, so that folding constants into each other has room. */
#define NM_F32_RANGE 0x1p96

/** True if this operator is neither linear nor piecewise linear in its data inputs. */
bool nm_op_is_smooth(const nm_net *net, const nm_op *op);

/** Kind that implements an ONNX operator of the default domain; NULL if none (op/registry.c). */
const nm_op_kind *nm_op_find(const char *onnx_name);

/** Comma-separated ONNX names of everything supported, for messages. Static storage. */
const char *nm_op_list(void);

/* The kinds; the registry's table lists them again. */
extern const nm_op_kind nm_op_dense; /* Gemm, and MatMul with constant right side */
extern const nm_op_kind nm_op_conv;
extern const nm_op_kind nm_op_conv_transpose;
extern const nm_op_kind nm_op_batch_norm;
extern const nm_op_kind nm_op_relu;
extern const nm_op_kind nm_op_leaky_relu;
extern const nm_op_kind nm_op_prelu;
extern const nm_op_kind nm_op_clip;
extern const nm_op_kind nm_op_abs;
extern const nm_op_kind nm_op_neg;
extern const nm_op_kind nm_op_hard_sigmoid;
extern const nm_op_kind nm_op_sigmoid;
extern const nm_op_kind nm_op_tanh;
extern const nm_op_kind nm_op_hard_swish;
extern const nm_op_kind nm_op_elu;
extern const nm_op_kind nm_op_gelu;
extern const nm_op_kind nm_op_erf;
extern const nm_op_kind nm_op_exp;
extern const nm_op_kind nm_op_log;
extern const nm_op_kind nm_op_sqrt;
extern const nm_op_kind nm_op_pow;
extern const nm_op_kind nm_op_softmax;
extern const nm_op_kind nm_op_log_softmax;
extern const nm_op_kind nm_op_add;
extern const nm_op_kind nm_op_sub;
extern const nm_op_kind nm_op_mul;
extern const nm_op_kind nm_op_div;
extern const nm_op_kind nm_op_max_pool;     /* MaxPool and GlobalMaxPool */
extern const nm_op_kind nm_op_average_pool; /* AveragePool and GlobalAveragePool */
extern const nm_op_kind nm_op_reduce;       /* ReduceMean and ReduceSum */
extern const nm_op_kind nm_op_identity;     /* Identity and Dropout */
extern const nm_op_kind nm_op_flatten;
extern const nm_op_kind nm_op_reshape;
extern const nm_op_kind nm_op_squeeze;
extern const nm_op_kind nm_op_unsqueeze;
extern const nm_op_kind nm_op_transpose;
extern const nm_op_kind nm_op_concat;
extern const nm_op_kind nm_op_slice;
extern const nm_op_kind nm_op_gather;
extern const nm_op_kind nm_op_pad;
extern const nm_op_kind nm_op_expand;
extern const nm_op_kind nm_op_cast;
extern const nm_op_kind nm_op_shape_of; /* Shape */

#endif
