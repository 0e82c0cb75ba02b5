/* BatchNormalization at inference, per channel c (axis 1):
 *     y = scale_c (x - mean_c) / sqrt(var_c + epsilon) + b_c
 * A layer: scale and b are its weights and biases; mean and var stay. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    struct channels s = channels_of(ex);

    for (int64_t i = 0; i < s.n_planes; i++) {
        int64_t c = i % s.n;
        NM_REAL factor = in[SCALE][c] / NM_SQRT(in[VAR][c] + (NM_REAL)s.epsilon);
        const NM_REAL *x = in[0] + i * s.plane;

        for (int64_t j = 0; j < s.plane; j++)
            out[i * s.plane + j] = (x[j] - in[MEAN][c]) * factor + in[BIAS][c];
    }
}

#else

#include <string.h>

#include "net/op/batch_norm.h"
#include "net/op/facet.h"
#include "net/op/fold.h"
#include "net/op/typed_math.h"

enum { SCALE = 1, BIAS = 2, MEAN = 3, VAR = 4 };

struct attr {
    double epsilon;
};

struct channels {
    int64_t n, n_planes, plane; /* channels; channels of all points; elements of one */
    double epsilon;
};

static struct channels channels_of(const nm_exec *ex)
{
    const struct attr *attr = ex->op->attr;
    const nm_shape *shape = &nm_out_value(ex)->shape;
    struct channels s = {.n = shape->dim[1], .epsilon = attr->epsilon};

    s.n_planes = ex->n * shape->dim[0] * s.n;
    s.plane = nm_out_total(ex) / s.n_planes;
    return s;
}

#define NM_SELF "net/op/batch_norm.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;
    int64_t training = 0, spatial = 1;
    nm_status rc = NM_OK;

    NM_TRY(nm_node_float(node, "epsilon", 1e-5, &a->epsilon, err));
    NM_TRY(nm_node_int(node, "training_mode", 0, &training, err));
    NM_TRY(nm_node_int(node, "spatial", 1, &spatial, err));
    if (training != 0)
        NM_THROW(err, NM_E_UNSUPPORTED, "training_mode is set, expected inference");
    if (spatial != 1)
        NM_THROW(err, NM_E_UNSUPPORTED, "spatial is %lld, expected 1", (long long)spatial);
done:
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    static const char *const names[] = {"", "scale", "bias", "mean", "variance"};
    const struct attr *attr = op->attr;
    const nm_shape *x = nm_op_shape(net, op, 0);
    char text[96];

    if (x->rank < 2)
        return nm_fail(err, NM_E_SHAPE, "the input has shape %s, expected batch and channels",
                       nm_shape_text(x, text));
    for (int i = SCALE; i <= VAR; i++) {
        const nm_tensor *t = nm_op_constant(net, op, i);

        if (!t)
            return nm_fail(err, NM_E_UNSUPPORTED, "the %s is computed, expected a constant",
                           names[i]);
        if (t->size != x->dim[1])
            return nm_fail(err, NM_E_SHAPE, "%s has shape %s, expected %lld values", names[i],
                           nm_shape_text(&t->shape, text), (long long)x->dim[1]);
    }
    for (int64_t c = 0; c < x->dim[1]; c++)
        if (!(nm_op_constant(net, op, VAR)->f64[c] + attr->epsilon > 0))
            return nm_fail(err, NM_E_FORMAT, "variance %lld plus epsilon is %g, expected above 0",
                           (long long)c, nm_op_constant(net, op, VAR)->f64[c] + attr->epsilon);
    return nm_infer_same(net, op, out, err);
}

void nm_batch_norm_factors(const nm_net *net, const nm_op *op, int64_t c, double *scale,
                           double *steepness)
{
    const struct attr *attr = op->attr;

    *scale = fabs(nm_op_constant(net, op, SCALE)->f64[c]);
    *steepness = 1 / sqrt(nm_op_constant(net, op, VAR)->f64[c] + attr->epsilon);
}

/* to[i] (+)= from[i] scale / sqrt(var + epsilon). */
static void rescale(const nm_exec *ex, const double *const *in, const double *from, bool add,
                    double *to)
{
    struct channels s = channels_of(ex);

    for (int64_t i = 0; i < s.n_planes; i++) {
        double factor = in[SCALE][i % s.n] / sqrt(in[VAR][i % s.n] + s.epsilon);

        for (int64_t j = i * s.plane; j < (i + 1) * s.plane; j++)
            to[j] = (add ? to[j] : 0) + factor * from[j];
    }
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)out;
    if (din[0])
        rescale(ex, in, din[0], false, dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    (void)out;
    if (din[0])
        rescale(ex, in, dout, true, din[0]);
}

/* The factor of scale_c in y. */
static double normal(const nm_exec *ex, const struct channels *s, int64_t c, double x)
{
    return (x - nm_op_constant(ex->net, ex->op, MEAN)->f64[c]) /
           sqrt(nm_op_constant(ex->net, ex->op, VAR)->f64[c] + s->epsilon);
}

static void param_vjp(const nm_exec *ex, const double *x, const double *dout, double *gw,
                      double *gb)
{
    struct channels s = channels_of(ex);

    for (int64_t i = 0; i < s.n_planes; i++)
        for (int64_t j = i * s.plane; j < (i + 1) * s.plane; j++) {
            if (gw)
                gw[i % s.n] += dout[j] * normal(ex, &s, i % s.n, x[j]);
            if (gb)
                gb[i % s.n] += dout[j];
        }
}

static void param_jvp(const nm_exec *ex, const double *x, const double *dw, const double *db,
                      double *dout)
{
    struct channels s = channels_of(ex);

    for (int64_t i = 0; i < s.n_planes; i++)
        for (int64_t j = i * s.plane; j < (i + 1) * s.plane; j++)
            dout[j] +=
                (dw ? dw[i % s.n] * normal(ex, &s, i % s.n, x[j]) : 0) + nm_or_zero(db, i % s.n);
}

/* Runtimes fold the constants in different ways: scale / sqrt(var + eps) into one factor, also
   b - mean * factor into one shift. In every folding each of the three terms f x, f mean and b
   passes at most seven roundings (sum, root, quotient, product with scale; product with the
   term; two sums), an eighth pays for the constants' own: gamma_8 (|f x| + |f mean| + |b|).
   Folded into a layer before, the shift takes part in its k additions: gamma_{k+8} for the last
   two. (What the layer's products pass then, the layer pays for.) */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    struct channels s = channels_of(ex);
    double gamma = nm_gamma_f32(8), gamma_shift = nm_gamma(ex, 8 + nm_folded_products(ex, 0));

    (void)out;
    for (int64_t i = 0; i < s.n_planes; i++) {
        int64_t c = i % s.n;
        double scale = fabs(in[SCALE][c]), mean = fabs(in[MEAN][c]);
        double steepness = 1 / sqrt(in[VAR][c] + s.epsilon), factor = scale * steepness;
        double shift = factor * mean + fabs(in[BIAS][c]);

        for (int64_t j = i * s.plane; j < (i + 1) * s.plane; j++) {
            double reach = fabs(in[0][j]) + nm_or_zero(r[0], j);
            double normal = (reach + mean) * steepness;
            /* Either factor of a product, or itself, may underflow. */
            double underflow = (4 + 2 * factor + 2 * normal + 2 * scale) * NM_F32_UNDERFLOW;

            e[j] = fmax(normal, factor * reach + shift) <= NM_F32_RANGE
                       ? nm_up_error(gamma * factor * reach + gamma_shift * shift + underflow)
                       : (double)INFINITY;
        }
    }
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    int64_t n = nm_out_total(ex);

    jvp(ex, in, out, r, s);
    for (int64_t i = 0; i < n; i++)
        s[i] = nm_up(fabs(s[i]));
}

const nm_op_kind nm_op_batch_norm = {.name = "BatchNormalization",
                                     .onnx_names = NM_ONNX("BatchNormalization"),
                                     .min_in = 5,
                                     .max_in = 5,
                                     .attr_bytes = sizeof(struct attr),
                                     .parse = parse,
                                     .infer = infer,
                                     .forward_f32 = forward_f32,
                                     .forward_f64 = forward_f64,
                                     .jvp = jvp,
                                     .vjp = vjp,
                                     .weight_in = SCALE,
                                     .bias_in = BIAS,
                                     .param_vjp = param_vjp,
                                     .param_jvp = param_jvp,
                                     .local_error = local_error,
                                     .spread = spread,
                                     .elementwise = true};
#endif
