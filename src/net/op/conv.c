/* Conv: cross-correlation with groups, strides, dilations and zero padding over 1 to 3 axes.
 * Weights [n_out x n_in / groups x kernel], biases [n_out]. */
#ifdef NM_REAL

static void NM_TYPED(apply)(const nm_exec *ex, const NM_REAL *x, const NM_REAL *w,
                            const NM_REAL *bias, NM_REAL *y)
{
    nm_conv c = conv_of(ex);

    NM_TYPED(nm_conv_correlate)(ex, &c, x, w, bias, y);
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

static nm_status window_of(const nm_net *net, const nm_op *op, nm_window *window, nm_err *err)
{
    const nm_conv_attr *attr = op->attr;
    nm_shape spatial;
    nm_status rc = nm_window_spatial(nm_op_shape(net, op, 0), &spatial, err);

    return rc == NM_OK ? nm_window_resolve(&attr->window, &spatial,
                                           nm_op_shape(net, op, WEIGHT)->dim + 2, window, err)
                       : rc;
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
    const nm_value *w = nm_in_value(ex, WEIGHT);

    return w->size / w->shape.dim[0];
}

#define NM_SELF "net/op/conv.c"
#include "tensor/typed.h"

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_conv_attr *attr = op->attr;
    const nm_shape *x = nm_op_shape(net, op, 0), *w = nm_op_shape(net, op, WEIGHT);
    char w_text[96], x_text[96];
    nm_window window;
    nm_status rc = NM_OK;

    NM_TRY(nm_conv_check(net, op, w->dim[0], err));
    NM_TRY(window_of(net, op, &window, err));
    if (w->dim[0] % attr->groups != 0 || x->dim[1] % attr->groups != 0 ||
        w->dim[1] != x->dim[1] / attr->groups)
        NM_THROW(err, NM_E_SHAPE,
                 "weights have shape %s, which does not fit %lld groups of the input %s",
                 nm_shape_text(w, w_text), (long long)attr->groups, nm_shape_text(x, x_text));
    *out = (nm_shape){.rank = x->rank, .dim = {x->dim[0], w->dim[0]}};
    memcpy(out->dim + 2, window.out + NM_WINDOW_AXES - (x->rank - 2),
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
        nm_conv_scatter_f64(ex, &c, dout, in[WEIGHT], din[0]);
}

static void param_vjp(const nm_exec *ex, const double *x, const double *dout, double *gw,
                      double *gb)
{
    nm_conv c = conv_of(ex);

    if (gw)
        nm_conv_outer(ex, &c, dout, x, gw);
    if (gb)
        nm_conv_bias_vjp(ex, dout, gb);
}

static void param_jvp(const nm_exec *ex, const double *x, const double *dw, const double *db,
                      double *dout)
{
    nm_conv c = conv_of(ex);

    if (dw)
        nm_conv_correlate_add_f64(ex, &c, x, dw, dout);
    if (db)
        nm_conv_bias_jvp(ex, db, dout);
}

static bool matrix_form(const nm_net *net, const nm_op *op, nm_matrix_form *form)
{
    nm_conv c = conv_of(&(nm_exec){.net = net, .op = op, .n = 1});

    *form = (nm_matrix_form){.n_out = c.row_channels,
                             .n_in = c.image_channels * nm_window_volume(c.window.kernel),
                             .places = c.images * nm_window_volume(c.window.out),
                             .alpha = 1,
                             .beta = 1};
    return c.groups == 1;
}

static void see(const nm_exec *ex, const double *x, double *u)
{
    nm_conv c = conv_of(ex);

    nm_conv_see(ex, &c, x, u);
}

/* Channels come first in the output, places in g. */
static void at_places(const nm_exec *ex, const double *out, double *g)
{
    nm_conv c = conv_of(ex);
    int64_t positions = nm_window_volume(c.window.out), channels = c.row_channels;

    for (int64_t i = 0; i < c.images; i++)
        for (int64_t k = 0; k < channels; k++)
            for (int64_t p = 0; p < positions; p++)
                g[(i * positions + p) * channels + k] = out[(i * channels + k) * positions + p];
}

static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    (void)out;
    nm_conv_local_error(ex, apply_f64, n_terms(ex), in, r, e);
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    (void)out;
    nm_conv_spread(ex, apply_f64, n_terms(ex), in, r, s);
}

const nm_op_kind nm_op_conv = {.name = "Conv",
                               .onnx_names = NM_ONNX("Conv"),
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
                               .matrix_form = matrix_form,
                               .see = see,
                               .at_places = at_places,
                               .local_error = local_error,
                               .spread = spread};
#endif
