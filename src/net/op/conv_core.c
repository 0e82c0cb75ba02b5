#ifdef NM_REAL

/* The columns of one tile: the image itself where each window sees one element, else im2col. */
static const NM_REAL *NM_TYPED(columns)(const nm_conv *c, const struct tile *t, int64_t group,
                                        const NM_REAL *image, NM_REAL *room, int64_t *ld)
{
    int64_t pixels = nm_window_volume(c->window.in);

    if (t->n_images == 1 && nm_window_is_identity(&c->window)) {
        *ld = pixels;
        return image + channel_of(c, t->image, group, c->image_channels) * pixels + t->from;
    }
    *ld = t->n_images * t->n;
    for (int64_t i = 0; i < t->n_images; i++)
        (void)NM_TYPED(nm_im2col)(&c->window, c->image_channels,
                                  image + channel_of(c, t->image + i, group, c->image_channels) *
                                              pixels,
                                  t->from, t->n, room + i * t->n, *ld);
    return room;
}

/* The rows of one tile as a matrix [row_channels x columns]: in place for one image, else gathered
   into `room`. */
static const NM_REAL *NM_TYPED(gather_rows)(const nm_conv *c, const struct tile *t, int64_t group,
                                            const NM_REAL *rows, NM_REAL *room, int64_t *ld)
{
    int64_t positions = nm_window_volume(c->window.out);

    *ld = positions;
    if (t->n_images == 1)
        return rows + channel_of(c, t->image, group, c->row_channels) * positions + t->from;
    *ld = t->n_images * t->n;
    for (int64_t k = 0; k < c->row_channels; k++)
        for (int64_t i = 0; i < t->n_images; i++)
            memcpy(room + k * *ld + i * t->n,
                   rows + (channel_of(c, t->image + i, group, c->row_channels) + k) * positions,
                   (size_t)t->n * sizeof *room);
    return room;
}

/* The inverse: adds such a matrix of several images to the rows. */
static void NM_TYPED(add_rows)(const nm_conv *c, const struct tile *t, int64_t group,
                               const NM_REAL *matrix, NM_REAL *rows)
{
    int64_t positions = nm_window_volume(c->window.out);

    for (int64_t k = 0; k < c->row_channels; k++)
        for (int64_t i = 0; i < t->n_images; i++) {
            NM_REAL *to =
                rows + (channel_of(c, t->image + i, group, c->row_channels) + k) * positions;

            for (int64_t j = 0; j < t->n; j++)
                to[j] += *matrix++;
        }
}

void NM_TYPED(nm_conv_correlate)(const nm_exec *ex, const nm_conv *c, const NM_REAL *image,
                                 const NM_REAL *weights, NM_REAL *rows)
{
    struct sizes s = sizes_of(c);
    NM_REAL *col = nm_scratch(ex, (size_t)(s.depth * s.tile), sizeof *col);
    NM_REAL *result = nm_scratch(ex, (size_t)(c->row_channels * s.tile), sizeof *result);
    struct tile t = {0};

    while (col && result && next_tile(c, &s, &t))
        for (int64_t g = 0; g < c->groups; g++) {
            int64_t first = channel_of(c, t.image, g, c->row_channels), width = t.n_images * t.n;
            NM_REAL *to = rows + first * s.positions + t.from;
            nm_gemm p = {.plain = ex->plain,
                         .m = c->row_channels,
                         .n = width,
                         .k = s.depth,
                         .lda = s.depth,
                         .ldc = t.n_images == 1 ? s.positions : width,
                         .alpha = 1,
                         .beta = t.n_images == 1};
            const NM_REAL *b = NM_TYPED(columns)(c, &t, g, image, col, &p.ldb);

            (void)NM_TYPED(nm_gemm)(&p, weights + g * c->row_channels * s.depth, b,
                                    t.n_images == 1 ? to : result);
            if (t.n_images > 1)
                NM_TYPED(add_rows)(c, &t, g, result, rows);
        }
}

void NM_TYPED(nm_conv_scatter)(const nm_exec *ex, const nm_conv *c, const NM_REAL *rows,
                               const NM_REAL *weights, NM_REAL *image)
{
    struct sizes s = sizes_of(c);
    int64_t pixels = nm_window_volume(c->window.in);
    NM_REAL *col = nm_scratch(ex, (size_t)(s.depth * s.tile), sizeof *col);
    NM_REAL *gathered = nm_scratch(ex, (size_t)(c->row_channels * s.tile), sizeof *gathered);
    struct tile t = {0};

    while (col && gathered && next_tile(c, &s, &t))
        for (int64_t g = 0; g < c->groups; g++) {
            int64_t width = t.n_images * t.n;
            nm_gemm p = {.plain = ex->plain,
                         .trans_a = true,
                         .m = s.depth,
                         .n = width,
                         .k = c->row_channels,
                         .lda = s.depth,
                         .ldc = width,
                         .alpha = 1};
            const NM_REAL *b = NM_TYPED(gather_rows)(c, &t, g, rows, gathered, &p.ldb);

            NM_TYPED(nm_gemm)(&p, weights + g * c->row_channels * s.depth, b, col);
            for (int64_t i = 0; i < t.n_images; i++)
                (void)NM_TYPED(nm_col2im)(
                    &c->window, c->image_channels, col + i * t.n, width, t.from, t.n,
                    image + channel_of(c, t.image + i, g, c->image_channels) * pixels);
        }
}

void NM_TYPED(nm_conv_fill)(const nm_exec *ex, const NM_REAL *bias, NM_REAL *out)
{
    const nm_shape *shape = &nm_out_value(ex)->shape;
    int64_t planes = ex->n * shape->dim[0] * shape->dim[1];
    int64_t plane = nm_out_total(ex) / planes;

    for (int64_t i = 0; i < planes; i++)
        for (int64_t j = 0; j < plane; j++)
            out[i * plane + j] = bias ? bias[i % shape->dim[1]] : 0;
}

#else

#include "net/op/conv_core.h"

#include <string.h>

#include "net/op/facet.h"
#include "net/op/fold.h"
#include "tensor/gemm.h"

enum { WEIGHT = 1, BIAS = 2 };

struct sizes {
    int64_t positions; /* outputs per image and channel */
    int64_t depth;     /* rows of the column matrix: image_channels * taps */
    int64_t tile;      /* most columns of a tile */
};

/* Positions [from, from + n) of images image .. image + n_images - 1; a tile of several images has
   all their positions. */
struct tile {
    int64_t image, n_images, from, n;
};

static struct sizes sizes_of(const nm_conv *c)
{
    const int64_t wanted = 1 << 18, least = 32; /* elements of the column matrix; columns */
    struct sizes s = {.positions = nm_window_volume(c->window.out),
                      .depth = c->image_channels * nm_window_volume(c->window.kernel)};
    int64_t all = c->images * s.positions;

    s.tile = wanted / s.depth > least ? wanted / s.depth : least;
    if (s.positions < s.tile)
        s.tile = s.tile / s.positions * s.positions;
    if (s.tile > all)
        s.tile = all;
    return s;
}

/* Steps to the next tile; the first one if t is all zero. */
static bool next_tile(const nm_conv *c, const struct sizes *s, struct tile *t)
{
    t->from += t->n;
    if (t->from >= s->positions) {
        t->image += t->n_images;
        t->from = 0;
    }
    if (t->image >= c->images)
        return false;
    t->n = s->positions - t->from < s->tile ? s->positions - t->from : s->tile;
    t->n_images = s->tile / s->positions > 1 ? s->tile / s->positions : 1;
    if (t->n_images > c->images - t->image)
        t->n_images = c->images - t->image;
    return true;
}

/* Index of a group's first channel of one image, among the channels of all images. */
static int64_t channel_of(const nm_conv *c, int64_t image, int64_t group, int64_t per_group)
{
    return (image * c->groups + group) * per_group;
}

#define NM_SELF "net/op/conv_core.c"
#include "tensor/typed.h"

void nm_conv_outer(const nm_exec *ex, const nm_conv *c, const double *rows, const double *image,
                   double *weights)
{
    struct sizes s = sizes_of(c);
    double *col = nm_scratch(ex, (size_t)(s.depth * s.tile), sizeof *col);
    double *gathered = nm_scratch(ex, (size_t)(c->row_channels * s.tile), sizeof *gathered);
    struct tile t = {0};

    while (col && gathered && next_tile(c, &s, &t))
        for (int64_t g = 0; g < c->groups; g++) {
            nm_gemm p = {.plain = ex->plain,
                         .trans_b = true,
                         .m = c->row_channels,
                         .n = s.depth,
                         .k = t.n_images * t.n,
                         .ldc = s.depth,
                         .alpha = 1,
                         .beta = 1};
            const double *a = gather_rows_f64(c, &t, g, rows, gathered, &p.lda);
            const double *b = columns_f64(c, &t, g, image, col, &p.ldb);

            nm_gemm_f64(&p, a, b, weights + g * c->row_channels * s.depth);
        }
}

void nm_conv_bias_vjp(const nm_exec *ex, const double *dout, double *gb)
{
    const nm_shape *shape = &nm_out_value(ex)->shape;
    int64_t planes = ex->n * shape->dim[0] * shape->dim[1];
    int64_t plane = nm_out_total(ex) / planes;

    for (int64_t i = 0; i < planes; i++)
        for (int64_t j = 0; j < plane; j++)
            gb[i % shape->dim[1]] += dout[i * plane + j];
}

void nm_conv_bias_jvp(const nm_exec *ex, const double *db, double *dout)
{
    const nm_shape *shape = &nm_out_value(ex)->shape;
    int64_t planes = ex->n * shape->dim[0] * shape->dim[1];
    int64_t plane = nm_out_total(ex) / planes;

    for (int64_t i = 0; i < planes; i++)
        for (int64_t j = 0; j < plane; j++)
            dout[i * plane + j] += db[i % shape->dim[1]];
}

nm_status nm_conv_parse(const nm_node_view *node, void *attr, nm_err *err)
{
    nm_conv_attr *a = attr;
    nm_status rc = NM_OK;

    NM_TRY(nm_window_parse(node, &a->window, err));
    NM_TRY(nm_node_int(node, "group", 1, &a->groups, err));
    NM_TRY(nm_node_ints(node, "output_padding", a->output_padding, NM_WINDOW_AXES,
                        &a->n_output_padding, err));
    if (a->groups < 1 || a->groups > NM_MAX_ELEMENTS)
        NM_THROW(err, NM_E_FORMAT, "group is %lld, expected at least 1", (long long)a->groups);
    if (nm_node_attr(node, "output_shape"))
        NM_THROW(err, NM_E_UNSUPPORTED, "output_shape is given, expected pads instead");
done:
    return rc;
}

nm_status nm_conv_check(const nm_net *net, const nm_op *op, int64_t n_out, nm_err *err)
{
    const nm_window_attr *window = &((const nm_conv_attr *)op->attr)->window;
    const nm_tensor *w = nm_op_constant(net, op, WEIGHT), *b = nm_op_constant(net, op, BIAS);
    const nm_shape *x = nm_op_shape(net, op, 0);
    char text[96], x_text[96];

    if (!w || (nm_has_input(op, BIAS) && !b))
        return nm_fail(err, NM_E_UNSUPPORTED, "the %s is computed, expected a constant",
                       w ? "bias" : "weight");
    if (w->shape.rank != x->rank)
        return nm_fail(err, NM_E_SHAPE, "weights have shape %s, the input %s, expected equal ranks",
                       nm_shape_text(&w->shape, text), nm_shape_text(x, x_text));
    if (window->n_kernel != 0 && window->n_kernel != (size_t)(x->rank - 2))
        return nm_fail(err, NM_E_SHAPE, "kernel_shape has %zu values, expected %d",
                       window->n_kernel, x->rank - 2);
    for (size_t i = 0; i < window->n_kernel; i++)
        if (window->kernel[i] != w->shape.dim[i + 2])
            return nm_fail(err, NM_E_SHAPE,
                           "weights have shape %s, which disagrees with kernel_shape's %lld",
                           nm_shape_text(&w->shape, text), (long long)window->kernel[i]);
    if (b && b->size != n_out)
        return nm_fail(err, NM_E_SHAPE, "bias has shape %s, expected %lld values",
                       nm_shape_text(&b->shape, text), (long long)n_out);
    return NM_OK;
}

/* How many products of each output can be nonzero: the inputs that are not exactly zero, counted by
   the convolution itself with all weights 1 (sums of small integers are exact). */
static double *count_products(const nm_exec *ex, nm_conv_apply apply, const double *reach)
{
    int64_t n_in = nm_in_total(ex, 0), n_w = nm_in_value(ex, WEIGHT)->size;
    double *present = nm_scratch(ex, (size_t)n_in, sizeof *present);
    double *ones = nm_scratch(ex, (size_t)n_w, sizeof *ones);
    double *count = nm_scratch(ex, (size_t)nm_out_total(ex), sizeof *count);

    if (!present || !ones || !count)
        return NULL;
    for (int64_t i = 0; i < n_in; i++)
        present[i] = reach[i] > 0;
    for (int64_t i = 0; i < n_w; i++)
        ones[i] = 1;
    apply(ex, present, ones, NULL, count);
    return count;
}

/* gamma_{k+3} and folding, with k the number of nonzero products, as for dense layers. Direct and
   GEMM convolutions sum the products in some order; Winograd and FFT algorithms compute other
   products and are outside this bound. */
void nm_conv_local_error(const nm_exec *ex, nm_conv_apply apply, int64_t n_terms,
                         const double *const *in, const double *const *r, double *e)
{
    const double *bias = ex->op->n_in > BIAS ? in[BIAS] : NULL;
    double *w = nm_scratch_abs(ex, in[WEIGHT], nm_in_value(ex, WEIGHT)->size);
    double *b = bias ? nm_scratch_abs(ex, bias, nm_in_value(ex, BIAS)->size) : NULL;
    double *x = nm_scratch_reach(ex, in[0], r[0], nm_in_total(ex, 0));
    double *count = x ? count_products(ex, apply, x) : NULL;
    int64_t size = nm_out_value(ex)->size, size_in = nm_in_value(ex, 0)->size;
    int64_t folded = nm_folded_roundings(ex);
    double most_w;

    if (!w || !x || !count || (bias && !b))
        return;
    apply(ex, x, w, b, e);
    most_w = nm_largest(w, nm_in_value(ex, WEIGHT)->size);
    for (int64_t p = 0; p < ex->n; p++) {
        double factors = 1 + most_w + nm_largest(x + p * size_in, size_in);
        double underflow = (double)(2 * n_terms + 2) * factors * NM_F32_UNDERFLOW;

        for (int64_t i = p * size; i < (p + 1) * size; i++)
            e[i] = nm_sum_error(nm_gamma(ex, (int64_t)count[i] + 3 + folded), e[i], underflow);
    }
}

void nm_conv_spread(const nm_exec *ex, nm_conv_apply apply, int64_t n_terms,
                    const double *const *in, const double *const *r, double *s)
{
    double *w = r[0] ? nm_scratch_abs(ex, in[WEIGHT], nm_in_value(ex, WEIGHT)->size) : NULL;
    int64_t n = nm_out_total(ex);

    memset(s, 0, (size_t)n * sizeof *s);
    if (!w)
        return;
    apply(ex, r[0], w, NULL, s);
    for (int64_t i = 0; i < n; i++)
        s[i] = nm_up(s[i] * (1 + (double)(n_terms + 2) * 0x1p-52));
}
#endif
