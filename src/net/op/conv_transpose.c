/* ConvTranspose: the adjoint of Conv. Weights [n_in x n_out / groups x kernel], biases [n_out].
 *
 * Its window slides over the *output*: n_out along an axis is
 *     (n_in - 1) stride + output_padding + extent of the kernel - pads,
 * and each input position adds its kernel at the window's place. */
#ifdef NM_REAL

static void NM_TYPED(apply)(const nm_exec *ex, const NM_REAL *x, const NM_REAL *w,
                            const NM_REAL *bias, NM_REAL *y)
{
    nm_conv c = conv_of(ex);

    NM_TYPED(nm_conv_fill)(ex, bias, y);
    NM_TYPED(nm_conv_scatter)(ex, &c, x, w, y);
}

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    NM_TYPED(apply)(ex, in[0], in[WEIGHT], ex->op->n_in > BIAS ? in[BIAS] : NULL, out);
}

#else

#include <string.h>

#include "net/op/conv_core.h"
#include "net/op/facet.h"

enum { WEIGHT = 1, BIAS = 2 };

/* Geometry with the roles of input and output exchanged. */
static nm_status window_of(const nm_net *net, const nm_op *op, nm_window *window, nm_err *err)
{
    const nm_conv_attr *attr = op->attr;
    size_t n_extra = attr->n_output_padding;
    nm_shape spatial;
    nm_status rc = nm_window_spatial(nm_op_shape(net, op, 0), &spatial, err);

    if (rc == NM_OK)
        rc = nm_window_geometry(&attr->window, &spatial, nm_op_shape(net, op, WEIGHT)->dim + 2,
                                window, err);
    if (rc == NM_OK && n_extra != 0 && n_extra != (size_t)spatial.rank)
        rc = nm_fail(err, NM_E_SHAPE, "output_padding has %zu values, expected %d", n_extra,
                     spatial.rank);
    for (int i = 0; rc == NM_OK && i < spatial.rank; i++) {
        int a = NM_WINDOW_AXES - spatial.rank + i;
        int64_t extra = n_extra ? attr->output_padding[i] : 0;
        int64_t extent = (window->kernel[a] - 1) * window->dilation[a] + 1;

        window->out[a] = window->in[a];
        window->in[a] = (window->out[a] - 1) * window->stride[a] + extra + extent - window->pad[a] -
                        window->pad_end[a];
        if (extra < 0 || (extra >= window->stride[a] && extra >= window->dilation[a]))
            rc = nm_fail(err, NM_E_SHAPE, "output_padding holds %lld, expected less than stride",
                         (long long)extra);
        else if (window->in[a] < 1)
            rc = nm_fail(err, NM_E_SHAPE, "pads remove all of the output");
    }
    return rc;
}

static nm_conv conv_of(const nm_exec *ex)
{
    const nm_conv_attr *attr = ex->op->attr;
    const nm_shape *x = &nm_in_value(ex, 0)->shape, *w = &nm_in_value(ex, WEIGHT)->shape;
    nm_conv c = {.images = ex->n * x->dim[0],
                 .groups = attr->groups,
                 .image_channels = w->dim[1],
                 .row_channels = w->dim[0] / attr->groups};

    (void)window_of(ex->net, ex->op, &c.window, NULL); /* infer has checked it */
    return c;
}

static int64_t n_terms(const nm_exec *ex)
{
    const nm_conv_attr *attr = ex->op->attr;
    const nm_value *w = nm_in_value(ex, WEIGHT);

    return w->size / w->shape.dim[1] / attr->groups;
}

#define NM_SELF "net/op/conv_transpose.c"
#include "tensor/typed.h"

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_conv_attr *attr = op->attr;
    const nm_shape *x = nm_op_shape(net, op, 0), *w = nm_op_shape(net, op, WEIGHT);
    char w_text[96], x_text[96];
    nm_window window;
    nm_status rc = NM_OK;

    if (attr->window.auto_pad == NM_PAD_SAME_UPPER || attr->window.auto_pad == NM_PAD_SAME_LOWER)
        NM_THROW(err, NM_E_UNSUPPORTED, "auto_pad is SAME, expected pads instead");
    NM_TRY(nm_conv_check(net, op, w->rank > 1 ? w->dim[1] * attr->groups : 0, err));
    NM_TRY(window_of(net, op, &window, err));
    if (w->dim[0] != x->dim[1] || x->dim[1] % attr->groups != 0)
        NM_THROW(err, NM_E_SHAPE,
                 "weights have shape %s, which does not fit %lld groups of the input %s",
                 nm_shape_text(w, w_text), (long long)attr->groups, nm_shape_text(x, x_text));
    *out = (nm_shape){.rank = x->rank, .dim = {x->dim[0], w->dim[1] * attr->groups}};
    memcpy(out->dim + 2, window.in + NM_WINDOW_AXES - (x->rank - 2),
           (size_t)(x->rank - 2) * sizeof *out->dim);
done:
    return rc;
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)out;
    if (din[0])
        apply_f64(ex, din[0], in[WEIGHT], NULL, dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    nm_conv c = conv_of(ex);

    (void)out;
    if (din[0])
        nm_conv_correlate_add_f64(ex, &c, dout, in[WEIGHT], din[0]);
}

static void param_vjp(const nm_exec *ex, const double *x, const double *dout, double *gw,
                      double *gb)
{
    nm_conv c = conv_of(ex);

    if (gw)
        nm_conv_outer(ex, &c, x, dout, gw);
    if (gb)
        nm_conv_bias_vjp(ex, dout, gb);
}

static void param_jvp(const nm_exec *ex, const double *x, const double *dw, const double *db,
                      double *dout)
{
    nm_conv c = conv_of(ex);

    if (dw)
        nm_conv_scatter_f64(ex, &c, x, dw, dout);
    if (db)
        nm_conv_bias_jvp(ex, db, dout);
}

/* Sums of absolute products in float32; with unit weights and x of zeros and ones, their number. */
static float *sums_of(const nm_exec *ex, const float *x, const float *w)
{
    nm_conv c = conv_of(ex);
    float *sums = nm_scratch(ex, (size_t)nm_out_total(ex), sizeof *sums);

    c.absolute = true;
    if (!sums)
        return NULL;
    nm_conv_fill_f32(ex, NULL, sums);
    nm_conv_scatter_f32(ex, &c, x, w, sums);
    return sums;
}

static void magnitude(const nm_exec *ex, const double *x, bool bias, double *m)
{
    float *x32 = nm_scratch_f32_up(ex, x, nm_in_total(ex, 0));
    float *sums = x32 ? sums_of(ex, x32, nm_op_constant(ex->net, ex->op, WEIGHT)->f32) : NULL;

    if (sums)
        nm_conv_magnitude(ex, n_terms(ex), sums, bias, m);
}

/* Sums of small integers are exact. */
static float *count_products(const nm_exec *ex, const double *x, const double *r)
{
    int64_t n_in = nm_in_total(ex, 0), n_w = nm_in_value(ex, WEIGHT)->size;
    float *present = nm_scratch(ex, (size_t)n_in, sizeof *present);
    float *ones = nm_scratch(ex, (size_t)n_w, sizeof *ones);

    if (!present || !ones)
        return NULL;
    for (int64_t i = 0; i < n_in; i++)
        present[i] = fabs(x[i]) + nm_or_zero(r, i) > 0;
    for (int64_t i = 0; i < n_w; i++)
        ones[i] = 1;
    return sums_of(ex, present, ones);
}

static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    float *count = count_products(ex, in[0], r[0]);

    if (count)
        nm_conv_local_error(ex, n_terms(ex), in, out, r, count, e);
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

const nm_op_kind nm_op_conv_transpose = {.name = "ConvTranspose",
                                         .onnx_names = NM_ONNX("ConvTranspose"),
                                         .min_in = 2,
                                         .max_in = 3,
                                         .attr_bytes = sizeof(nm_conv_attr),
                                         .parse = nm_conv_parse,
                                         .infer = infer,
                                         .forward_f32 = forward_f32,
                                         .forward_f64 = forward_f64,
                                         .jvp = jvp,
                                         .vjp = vjp,
                                         .weight_in = WEIGHT,
                                         .bias_in = BIAS,
                                         .param_vjp = param_vjp,
                                         .param_jvp = param_jvp,
                                         .local_error = local_error,
                                         .magnitude = magnitude,
                                         .spread = spread};
#endif
