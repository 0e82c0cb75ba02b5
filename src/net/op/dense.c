/* Dense layers: Gemm with transA = 0, and MatMul with a constant right side.
 *
 *     y = alpha x W + beta b       x: [rows x K] per call, W: [K x N] or [N x K] (trans_b), b: [N]
 *
 * A value of shape [..., K] counts as size / K rows per point. */
#ifdef NM_REAL

/* y (+)= alpha x w + beta b; b may be NULL. */
static void NM_TYPED(apply)(const nm_exec *ex, double alpha, const NM_REAL *x, const NM_REAL *w,
                            double beta, const NM_REAL *b, bool add, NM_REAL *y)
{
    struct dims d = dims_of(ex);
    nm_gemm g = {.plain = ex->plain,
                 .trans_b = d.trans_b,
                 .m = d.rows,
                 .n = d.n_out,
                 .k = d.n_in,
                 .lda = d.n_in,
                 .ldb = d.trans_b ? d.n_in : d.n_out,
                 .ldc = d.n_out,
                 .alpha = alpha,
                 .beta = add || b ? 1 : 0};

    /* The biases go in first: the product then adds to them in its one pass over y. */
    for (int64_t i = 0; b && i < d.rows; i++)
        for (int64_t j = 0; j < d.n_out; j++)
            y[i * d.n_out + j] = (add ? y[i * d.n_out + j] : 0) + (NM_REAL)beta * b[j];
    NM_TYPED(nm_gemm)(&g, x, w, y);
}

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const nm_dense_attr *attr = ex->op->attr;
    const NM_REAL *bias = ex->op->n_in > BIAS ? in[BIAS] : NULL;

    NM_TYPED(apply)(ex, attr->alpha, in[0], in[WEIGHT], attr->beta, bias, false, out);
}

#else

#include "net/op/dense.h"

#include <math.h>
#include <string.h>

#include "net/op/facet.h"
#include "net/op/fold.h"
#include "tensor/gemm.h"

enum { WEIGHT = 1, BIAS = 2 };

struct dims {
    int64_t rows, n_in, n_out;
    bool trans_b;
};

static struct dims dims_of(const nm_exec *ex)
{
    const nm_dense_attr *attr = ex->op->attr;
    const nm_shape *w = &nm_in_value(ex, WEIGHT)->shape;
    struct dims d = {.trans_b = attr->trans_b};

    d.n_in = w->dim[attr->trans_b ? 1 : 0];
    d.n_out = w->dim[attr->trans_b ? 0 : 1];
    d.rows = nm_in_total(ex, 0) / d.n_in;
    return d;
}

#define NM_SELF "net/op/dense.c"
#include "tensor/typed.h"

static void forward_single(const nm_exec *ex, const float *const *in, float *out)
{
    if (ex->plain)
        forward_f32(ex, in, out);
    else
        nm_dense_forward(ex, in[0], out);
}

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    nm_dense_attr *a = attr;
    int64_t trans_a = 0, trans_b = 0;
    nm_status rc = NM_OK;

    a->alpha = a->beta = 1;
    if (strcmp(node->op_type, "MatMul") == 0)
        return NM_OK;
    NM_TRY(nm_node_float(node, "alpha", 1, &a->alpha, err));
    NM_TRY(nm_node_float(node, "beta", 1, &a->beta, err));
    NM_TRY(nm_node_int(node, "transA", 0, &trans_a, err));
    NM_TRY(nm_node_int(node, "transB", 0, &trans_b, err));
    if (trans_a != 0)
        NM_THROW(err, NM_E_UNSUPPORTED, "transA is %lld, expected 0", (long long)trans_a);
    a->trans_b = trans_b != 0;
done:
    return rc;
}

static nm_status check_bias(const nm_net *net, const nm_op *op, int64_t n_out, nm_err *err)
{
    const nm_tensor *bias = nm_op_constant(net, op, BIAS);
    char text[96];

    if (!nm_has_input(op, BIAS))
        return NM_OK;
    if (!bias)
        return nm_fail(err, NM_E_UNSUPPORTED, "the bias is computed, expected a constant");
    if (bias->size != n_out ||
        (bias->shape.rank > 0 && bias->shape.dim[bias->shape.rank - 1] != n_out))
        return nm_fail(err, NM_E_SHAPE, "bias has shape %s, expected %lld values",
                       nm_shape_text(&bias->shape, text), (long long)n_out);
    return NM_OK;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_dense_attr *attr = op->attr;
    const nm_tensor *w = nm_op_constant(net, op, WEIGHT);
    const nm_shape *x = nm_op_shape(net, op, 0);
    char w_text[96], x_text[96];
    nm_status rc;

    if (!w)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the right matrix is computed, expected constant weights");
    if (w->shape.rank != 2 || x->rank < 1)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "weights have shape %s and the input %s, expected a matrix and [..., K]",
                       nm_shape_text(&w->shape, w_text), nm_shape_text(x, x_text));
    if (w->shape.dim[attr->trans_b ? 1 : 0] != x->dim[x->rank - 1])
        return nm_fail(err, NM_E_SHAPE, "weights have shape %s%s, which does not fit the input %s",
                       nm_shape_text(&w->shape, w_text), attr->trans_b ? " (transposed)" : "",
                       nm_shape_text(x, x_text));
    rc = nm_refuse_batch(net, op, 0, x->rank - 1, err);
    if (rc != NM_OK)
        return rc;
    *out = *x;
    out->dim[x->rank - 1] = w->shape.dim[attr->trans_b ? 0 : 1];
    return check_bias(net, op, out->dim[x->rank - 1], err);
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    const nm_dense_attr *attr = ex->op->attr;

    (void)out;
    if (din[0])
        apply_f64(ex, attr->alpha, din[0], in[WEIGHT], 0, NULL, false, dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    const nm_dense_attr *attr = ex->op->attr;
    struct dims d = dims_of(ex);
    nm_gemm g = {.plain = ex->plain,
                 .trans_b = !d.trans_b,
                 .m = d.rows,
                 .n = d.n_in,
                 .k = d.n_out,
                 .lda = d.n_out,
                 .ldb = d.trans_b ? d.n_in : d.n_out,
                 .ldc = d.n_in,
                 .alpha = attr->alpha,
                 .beta = 1};

    (void)out;
    if (din[0])
        nm_gemm_f64(&g, dout, in[WEIGHT], din[0]);
}

static void param_vjp(const nm_exec *ex, const double *x, const double *dout, double *gw,
                      double *gb)
{
    const nm_dense_attr *attr = ex->op->attr;
    struct dims d = dims_of(ex);
    /* gw += alpha x' dout, or its transpose dout' x. */
    nm_gemm g = {.plain = ex->plain,
                 .trans_a = true,
                 .m = d.trans_b ? d.n_out : d.n_in,
                 .n = d.trans_b ? d.n_in : d.n_out,
                 .k = d.rows,
                 .lda = d.trans_b ? d.n_out : d.n_in,
                 .ldb = d.trans_b ? d.n_in : d.n_out,
                 .ldc = d.trans_b ? d.n_in : d.n_out,
                 .alpha = attr->alpha,
                 .beta = 1};

    if (gw)
        nm_gemm_f64(&g, d.trans_b ? dout : x, d.trans_b ? x : dout, gw);
    for (int64_t i = 0; gb && i < d.rows; i++)
        for (int64_t j = 0; j < d.n_out; j++)
            gb[j] += attr->beta * dout[i * d.n_out + j];
}

static void param_jvp(const nm_exec *ex, const double *x, const double *dw, const double *db,
                      double *dout)
{
    const nm_dense_attr *attr = ex->op->attr;
    struct dims d = dims_of(ex);

    if (dw)
        apply_f64(ex, attr->alpha, x, dw, attr->beta, db, true, dout);
    else
        for (int64_t i = 0; db && i < d.rows * d.n_out; i++)
            dout[i] += attr->beta * db[i % d.n_out];
}

static bool matrix_form(const nm_net *net, const nm_op *op, nm_matrix_form *form)
{
    const nm_dense_attr *attr = op->attr;
    struct dims d = dims_of(&(nm_exec){.net = net, .op = op, .n = 1});

    *form = (nm_matrix_form){.n_out = d.n_out,
                             .n_in = d.n_in,
                             .places = d.rows,
                             .transposed = !d.trans_b,
                             .alpha = attr->alpha,
                             .beta = attr->beta};
    return true;
}

static void see(const nm_exec *ex, const double *x, double *u)
{
    memcpy(u, x, (size_t)nm_in_total(ex, 0) * sizeof *u);
}

static void at_places(const nm_exec *ex, const double *out, double *g)
{
    memcpy(g, out, (size_t)nm_out_total(ex) * sizeof *g);
}

static void magnitude(const nm_exec *ex, const double *x, bool bias, double *m)
{
    const nm_dense_attr *attr = ex->op->attr;
    const nm_tensor *w = nm_op_constant(ex->net, ex->op, WEIGHT);
    const nm_tensor *b = bias ? nm_op_constant(ex->net, ex->op, BIAS) : NULL;
    struct dims d = dims_of(ex);
    float *x32 = nm_scratch_f32_up(ex, x, d.rows * d.n_in);
    float *m32 = nm_scratch(ex, (size_t)(d.rows * d.n_out), sizeof *m32);
    double alpha = fabs(attr->alpha), beta = fabs(attr->beta);
    nm_gemm g = {.absolute = true,
                 .trans_b = d.trans_b,
                 .m = d.rows,
                 .n = d.n_out,
                 .k = d.n_in,
                 .lda = d.n_in,
                 .ldb = d.trans_b ? d.n_in : d.n_out,
                 .ldc = d.n_out,
                 .alpha = 1};

    if (!x32 || !m32)
        return;
    nm_gemm_f32(&g, x32, w->f32, m32);
    nm_sums_up(m32, d.rows * d.n_out, d.n_in, m);
    for (int64_t i = 0; i < d.rows * d.n_out; i++)
        m[i] = nm_up(alpha * m[i] + (b ? beta * fabs(b->f64[i % d.n_out]) : 0));
}

static int64_t count_positive(const double *x, const double *r, int64_t n)
{
    int64_t count = 0;

    for (int64_t i = 0; i < n; i++)
        count += fabs(x[i]) + nm_or_zero(r, i) > 0;
    return count;
}

static double largest_reach(const double *x, const double *r, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++) {
        double reach = fabs(x[i]) + nm_or_zero(r, i);

        most = reach > most ? reach : most;
    }
    return most;
}

static double largest_weight(const nm_exec *ex)
{
    const nm_tensor *w = nm_op_constant(ex->net, ex->op, WEIGHT);
    double most = 0;

    for (int64_t i = 0; i < w->size; i++)
        most = fabs(w->f64[i]) > most ? fabs(w->f64[i]) : most;
    return most;
}

/* A product and k additions (the bias is one summand), the scaling by alpha or beta, the rounding
   of the weight (Higham, Accuracy and Stability, Sec. 3.1), and what folding adds: one of its
   roundings is an addition. k counts the inputs that are not exactly zero: adding an exact zero is
   exact, in any order. Each product may lose either factor, the scaled weight, or itself to
   underflow. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    const nm_dense_attr *attr = ex->op->attr;
    struct dims d = dims_of(ex);
    double alpha = fabs(attr->alpha), beta = fabs(attr->beta);
    double most_w = ex->most_weight > 0 ? ex->most_weight : largest_weight(ex);
    nm_folding folded = nm_folding_of(ex);

    for (int64_t i = 0; i < d.rows; i++) {
        const double *row = in[0] + i * d.n_in, *reach = r[0] ? r[0] + i * d.n_in : NULL;
        int64_t k = count_positive(row, reach, d.n_in);
        nm_sum_gammas gammas = nm_sum_gammas_of(ex, k + folded.any, 3 + folded.roundings);
        double factors = 1 + most_w + largest_reach(row, reach, d.n_in);
        double underflow = (double)(2 * d.n_in + 4) * (1 + alpha) * (1 + beta) * factors /
                           folded.least * NM_F32_UNDERFLOW;

        /* alpha may come first or last: neither may overflow. */
        for (int64_t j = i * d.n_out; j < (i + 1) * d.n_out; j++) {
            double m = ex->magnitude[j] + nm_or_zero(ex->spread, j);

            e[j] = fmax(alpha, 1) * folded.most * most_w <= NM_F32_RANGE &&
                           m <= fmin(alpha, 1) * NM_F32_RANGE
                       ? nm_product_sum_error(&gammas, ex->magnitude[j], out[j],
                                              nm_or_zero(ex->spread, j), underflow)
                       : (double)INFINITY;
        }
    }
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    (void)in, (void)out;
    if (r[0])
        magnitude(ex, r[0], false, s);
    else
        memset(s, 0, (size_t)nm_out_total(ex) * sizeof *s);
}

static int64_t n_fans(const nm_net *net, const nm_op *op)
{
    const nm_dense_attr *attr = op->attr;

    return net->values[op->in[0]].size / nm_op_shape(net, op, WEIGHT)->dim[attr->trans_b ? 1 : 0];
}

/* One fan for each row. */
static void fan(const nm_exec *ex, int64_t k, nm_fan *to)
{
    const nm_dense_attr *attr = ex->op->attr;
    struct dims d = dims_of(ex);

    *to = (nm_fan){.n_out = d.n_out,
                   .first_out = k * d.n_out,
                   .out_step = 1,
                   .n_in = d.n_in,
                   .step = d.trans_b ? d.n_in : 1,
                   .at = nm_scratch(ex, (size_t)d.n_in, sizeof *to->at),
                   .weight = nm_scratch(ex, (size_t)d.n_in, sizeof *to->weight),
                   .scale = attr->alpha};
    for (int64_t i = 0; to->at && to->weight && i < d.n_in; i++) {
        to->at[i] = (int32_t)(k * d.n_in + i);
        to->weight[i] = (int32_t)(d.trans_b ? i : i * d.n_out);
    }
}

const nm_op_kind nm_op_dense = {.name = "Gemm",
                                .onnx_names = NM_ONNX("Gemm", "MatMul"),
                                .min_in = 2,
                                .max_in = 3,
                                .attr_bytes = sizeof(nm_dense_attr),
                                .parse = parse,
                                .infer = infer,
                                .forward_f32 = forward_single,
                                .forward_f64 = forward_f64,
                                .jvp = jvp,
                                .vjp = vjp,
                                .weight_in = WEIGHT,
                                .bias_in = BIAS,
                                .param_vjp = param_vjp,
                                .param_jvp = param_jvp,
                                .matrix_form = matrix_form,
                                .see = see,
                                .at_places = at_places,
                                .local_error = local_error,
                                .magnitude = magnitude,
                                .spread = spread,
                                .n_fans = n_fans,
                                .fan = fan};
#endif
