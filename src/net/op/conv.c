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

static void forward_single(const nm_exec *ex, const float *const *in, float *out)
{
    nm_conv c = conv_of(ex);

    if (ex->plain)
        forward_f32(ex, in, out);
    else
        nm_conv_forward(ex, &c, in[0], in[WEIGHT], ex->op->n_in > BIAS ? in[BIAS] : NULL, out);
}

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

static void magnitude(const nm_exec *ex, const double *x, bool bias, double *m)
{
    const nm_tensor *w = nm_op_constant(ex->net, ex->op, WEIGHT);
    nm_conv c = conv_of(ex);
    float *x32 = nm_scratch_f32_up(ex, x, nm_in_total(ex, 0));
    float *sums = nm_scratch(ex, (size_t)nm_out_total(ex), sizeof *sums);

    c.absolute = true;
    if (!x32 || !sums)
        return;
    nm_conv_correlate_f32(ex, &c, x32, w->f32, NULL, sums);
    nm_conv_magnitude(ex, n_terms(ex), sums, bias, m);
}

/* How many products of each output are not exactly zero. All channels of a group see the same
   inputs, so one plane of counts is summed over each window. */
static float *count_products(const nm_exec *ex, const double *x, const double *r)
{
    nm_conv c = conv_of(ex);
    int64_t pixels = nm_window_volume(c.window.in), positions = nm_window_volume(c.window.out);
    float *count = nm_scratch(ex, (size_t)nm_out_total(ex), sizeof *count);
    int32_t *present = nm_scratch(ex, (size_t)pixels, sizeof *present);

    for (int64_t g = 0; count && present && g < c.images * c.groups; g++) {
        float *to = count + g * c.row_channels * positions;

        memset(present, 0, (size_t)pixels * sizeof *present);
        for (int64_t k = 0; k < c.image_channels * pixels; k++) {
            int64_t i = g * c.image_channels * pixels + k;

            present[k % pixels] += fabs(x[i]) + nm_or_zero(r, i) > 0;
        }
        for (int64_t p = 0; p < positions; p++) {
            nm_patch patch = nm_window_patch(&c.window, p);
            int64_t sum = 0;

            for (int64_t i = 0; i < patch.n[0]; i++)
                for (int64_t j = 0; j < patch.n[1]; j++)
                    for (int64_t k = 0; k < patch.n[2]; k++)
                        sum += present[patch.first + i * patch.step[0] + j * patch.step[1] +
                                       k * patch.step[2]];
            to[p] = (float)sum;
        }
        for (int64_t k = 1; k < c.row_channels; k++)
            memcpy(to + k * positions, to, (size_t)positions * sizeof *to);
    }
    return present ? count : NULL;
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

static int64_t n_fans(const nm_net *net, const nm_op *op)
{
    const nm_conv_attr *attr = op->attr;

    return net->values[op->out].size / nm_op_shape(net, op, WEIGHT)->dim[0] * attr->groups;
}

/* One fan for each image, group and position. */
static void fan(const nm_exec *ex, int64_t k, nm_fan *to)
{
    nm_conv c = conv_of(ex);
    int64_t pixels = nm_window_volume(c.window.in), n_positions = nm_window_volume(c.window.out);
    int64_t positions = n_positions > 0 ? n_positions : 1; /* infer has seen to it */
    int64_t taps = nm_window_volume(c.window.kernel), depth = c.image_channels * taps;
    int64_t block = k / positions, group = block % c.groups;
    const int64_t *kernel = c.window.kernel;
    nm_patch p = nm_window_patch(&c.window, k % positions);

    *to = (nm_fan){.n_out = c.row_channels,
                   .first_out = block * c.row_channels * positions + k % positions,
                   .out_step = positions,
                   .step = depth,
                   .at = nm_scratch(ex, (size_t)depth, sizeof *to->at),
                   .weight = nm_scratch(ex, (size_t)depth, sizeof *to->weight),
                   .scale = 1};
    if (!to->at || !to->weight)
        return;
    for (int64_t i = 0; i < nm_window_volume(p.n); i++) {
        int64_t t[] = {i / (p.n[1] * p.n[2]), i / p.n[2] % p.n[1], i % p.n[2]};
        int64_t pixel = p.first + t[0] * p.step[0] + t[1] * p.step[1] + t[2] * p.step[2];
        int64_t tap =
            ((p.tap[0] + t[0]) * kernel[1] + p.tap[1] + t[1]) * kernel[2] + p.tap[2] + t[2];

        for (int64_t ch = 0; ch < c.image_channels; ch++, to->n_in++) {
            to->at[to->n_in] = (int32_t)((block * c.image_channels + ch) * pixels + pixel);
            to->weight[to->n_in] = (int32_t)(group * c.row_channels * depth + ch * taps + tap);
        }
    }
}

const nm_op_kind nm_op_conv = {.name = "Conv",
                               .onnx_names = NM_ONNX("Conv"),
                               .min_in = 2,
                               .max_in = 3,
                               .attr_bytes = sizeof(nm_conv_attr),
                               .parse = nm_conv_parse,
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
