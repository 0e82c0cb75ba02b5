#ifdef NM_REAL

/* The images of a tile side by side, one group of channels; a single one lies as it is. */
static const NM_REAL *NM_TYPED(gather_images)(const nm_conv *c, const struct tile *t,
                                              const NM_REAL *image, NM_REAL *room)
{
    int64_t size = c->image_channels * nm_window_volume(c->window.in);

    image += (t->image * c->groups + t->group) * size;
    if (t->lanes == 1)
        return image;
    NM_TYPED(nm_lanes_gather)(t->lanes, size, image, c->groups * size, room);
    return room;
}

/* What the windows of a tile see: the images themselves where each sees one element, else im2col.
 */
static const NM_REAL *NM_TYPED(columns)(const nm_conv *c, const struct tile *t,
                                        const NM_REAL *images, NM_REAL *room, int64_t *ld)
{
    bool in_place = nm_window_is_identity(&c->window);

    *ld = t->lanes * (in_place ? nm_window_volume(c->window.in) : t->n);
    if (in_place)
        return images + t->from * t->lanes;
    NM_TYPED(nm_im2col)(&c->window, c->image_channels, t->lanes, images, t->from, t->n, room);
    return room;
}

/* The rows of a tile as a matrix [row_channels x n * lanes]. */
static void NM_TYPED(gather_rows)(const nm_conv *c, const struct tile *t, const NM_REAL *rows,
                                  NM_REAL *matrix)
{
    struct row_place at = place_of_rows(c, t);

    for (int64_t k = 0; k < c->row_channels; k++)
        NM_TYPED(nm_lanes_gather)
    (t->lanes, t->n, rows + at.first + k * at.channel, at.image, matrix + k * t->n * t->lanes);
}

/* The inverse: rows = (add ? rows : bias or 0) + such a matrix. */
static void NM_TYPED(store_rows)(const nm_conv *c, const struct tile *t, const NM_REAL *matrix,
                                 const NM_REAL *bias, bool add, NM_REAL *rows)
{
    struct row_place at = place_of_rows(c, t);

    for (int64_t k = 0; k < c->row_channels; k++)
        NM_TYPED(nm_lanes_scatter)
    (t->lanes, t->n, matrix + k * t->n * t->lanes, bias ? bias[t->group * c->row_channels + k] : 0,
     add, rows + at.first + k * at.channel, at.image);
}

static void NM_TYPED(correlate)(const nm_exec *ex, const nm_conv *c, const NM_REAL *image,
                                const NM_REAL *weights, const NM_REAL *bias, bool add,
                                NM_REAL *rows)
{
    struct sizes s = sizes_of(c);
    NM_REAL *room = nm_scratch(ex, (size_t)s.images, sizeof *room);
    NM_REAL *col = nm_scratch(ex, (size_t)s.columns, sizeof *col);
    NM_REAL *matrix = nm_scratch(ex, (size_t)s.rows, sizeof *matrix);
    const NM_REAL *images = NULL;
    struct tile t = {0};

    while (room && col && matrix && next_tile(c, &s, &t)) {
        nm_gemm p = {.plain = ex->plain,
                     .absolute = c->absolute,
                     .m = c->row_channels,
                     .n = t.n * t.lanes,
                     .k = s.depth,
                     .lda = s.depth,
                     .ldc = t.n * t.lanes,
                     .alpha = 1};

        if (t.from == 0)
            images = NM_TYPED(gather_images)(c, &t, image, room);
        const NM_REAL *b = NM_TYPED(columns)(c, &t, images, col, &p.ldb);

        NM_TYPED(nm_gemm)(&p, weights + t.group * c->row_channels * s.depth, b, matrix);
        NM_TYPED(store_rows)(c, &t, matrix, bias, add, rows);
    }
}

void NM_TYPED(nm_conv_correlate)(const nm_exec *ex, const nm_conv *c, const NM_REAL *image,
                                 const NM_REAL *weights, const NM_REAL *bias, NM_REAL *rows)
{
    NM_TYPED(correlate)(ex, c, image, weights, bias, false, rows);
}

void NM_TYPED(nm_conv_correlate_add)(const nm_exec *ex, const nm_conv *c, const NM_REAL *image,
                                     const NM_REAL *weights, NM_REAL *rows)
{
    NM_TYPED(correlate)(ex, c, image, weights, NULL, true, rows);
}

void NM_TYPED(nm_conv_scatter)(const nm_exec *ex, const nm_conv *c, const NM_REAL *rows,
                               const NM_REAL *weights, NM_REAL *image)
{
    struct sizes s = sizes_of(c);
    int64_t size = c->image_channels * nm_window_volume(c->window.in);
    NM_REAL *images = nm_scratch(ex, (size_t)s.images, sizeof *images);
    NM_REAL *col = nm_scratch(ex, (size_t)s.columns, sizeof *col);
    NM_REAL *matrix = nm_scratch(ex, (size_t)s.rows, sizeof *matrix);
    struct tile t = {0};

    while (images && col && matrix && next_tile(c, &s, &t)) {
        nm_gemm p = {.plain = ex->plain,
                     .absolute = c->absolute,
                     .trans_a = true,
                     .m = s.depth,
                     .n = t.n * t.lanes,
                     .k = c->row_channels,
                     .lda = s.depth,
                     .ldb = t.n * t.lanes,
                     .ldc = t.n * t.lanes,
                     .alpha = 1};

        if (t.from == 0)
            memset(images, 0, (size_t)(size * t.lanes) * sizeof *images);
        NM_TYPED(gather_rows)(c, &t, rows, matrix);
        NM_TYPED(nm_gemm)(&p, weights + t.group * c->row_channels * s.depth, matrix, col);
        NM_TYPED(nm_col2im)(&c->window, c->image_channels, t.lanes, col, t.from, t.n, images);
        if (t.from + t.n == s.positions)
            NM_TYPED(nm_lanes_scatter)
        (t.lanes, size, images, 0, true, image + (t.image * c->groups + t.group) * size,
         c->groups * size);
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
#include "tensor/lanes.h"

enum { WEIGHT = 1, BIAS = 2, MAX_LANES = 16 };

/* How much of the work is done at once, and the scratch it needs, in elements. */
struct sizes {
    int64_t positions; /* outputs per image and channel */
    int64_t depth;     /* rows of the column matrix: image_channels * taps */
    int64_t lanes, n;  /* most images, most positions of a tile */
    int64_t images, columns, rows;
};

/* Positions [from, from + n) of images image .. image + lanes - 1, one group. */
struct tile {
    int64_t image, lanes, group, from, n;
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static struct sizes sizes_of(const nm_conv *c)
{
    const int64_t most_columns = 1 << 17, most_images = 1 << 18; /* elements: fit the L2 cache */
    int64_t image = c->image_channels * nm_window_volume(c->window.in);
    struct sizes s = {.positions = nm_window_volume(c->window.out),
                      .depth = c->image_channels * nm_window_volume(c->window.kernel)};

    s.lanes = smaller(smaller(c->images, MAX_LANES), most_images / image + 1);
    s.n = smaller(s.positions, most_columns / (s.depth * s.lanes) + 1);
    s.images = image * s.lanes;
    s.columns = s.depth * s.n * s.lanes;
    s.rows = c->row_channels * s.n * s.lanes;
    return s;
}

/* Steps to the next tile, positions first, then groups, then images; the first one if t is all
   zero. */
static bool next_tile(const nm_conv *c, const struct sizes *s, struct tile *t)
{
    t->from += t->n;
    if (t->from == s->positions) {
        t->from = 0;
        t->group++;
    }
    if (t->group == c->groups) {
        t->group = 0;
        t->image += t->lanes;
    }
    t->lanes = smaller(s->lanes, c->images - t->image);
    t->n = smaller(s->n, s->positions - t->from);
    return t->image < c->images;
}

/* Where a tile's rows lie: the first, and from one channel and image to the next. */
struct row_place {
    int64_t first, channel, image;
};

static struct row_place place_of_rows(const nm_conv *c, const struct tile *t)
{
    int64_t positions = nm_window_volume(c->window.out), group = c->row_channels * positions;

    return (struct row_place){.first = (t->image * c->groups + t->group) * group + t->from,
                              .channel = positions,
                              .image = c->groups * group};
}

#define NM_SELF "net/op/conv_core.c"
#include "tensor/typed.h"

void nm_conv_outer(const nm_exec *ex, const nm_conv *c, const double *rows, const double *image,
                   double *weights)
{
    struct sizes s = sizes_of(c);
    double *room = nm_scratch(ex, (size_t)s.images, sizeof *room);
    double *col = nm_scratch(ex, (size_t)s.columns, sizeof *col);
    double *matrix = nm_scratch(ex, (size_t)s.rows, sizeof *matrix);
    const double *images = NULL;
    struct tile t = {0};

    while (room && col && matrix && next_tile(c, &s, &t)) {
        nm_gemm p = {.plain = ex->plain,
                     .trans_b = true,
                     .m = c->row_channels,
                     .n = s.depth,
                     .k = t.n * t.lanes,
                     .lda = t.n * t.lanes,
                     .ldc = s.depth,
                     .alpha = 1,
                     .beta = 1};

        if (t.from == 0)
            images = gather_images_f64(c, &t, image, room);
        gather_rows_f64(c, &t, rows, matrix);
        const double *b = columns_f64(c, &t, images, col, &p.ldb);

        nm_gemm_f64(&p, matrix, b, weights + t.group * c->row_channels * s.depth);
    }
}

void nm_conv_see(const nm_exec *ex, const nm_conv *c, const double *image, double *u)
{
    int64_t positions = nm_window_volume(c->window.out);
    int64_t depth = c->image_channels * nm_window_volume(c->window.kernel);
    int64_t size = c->image_channels * nm_window_volume(c->window.in);
    double *col = nm_scratch(ex, (size_t)(depth * positions), sizeof *col);

    for (int64_t i = 0; col && i < c->images; i++) {
        nm_im2col_f64(&c->window, c->image_channels, 1, image + i * size, 0, positions, col);
        for (int64_t k = 0; k < depth; k++)
            for (int64_t p = 0; p < positions; p++)
                u[(i * positions + p) * depth + k] = col[k * positions + p];
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

void nm_conv_magnitude(const nm_exec *ex, int64_t n_terms, const float *sums, bool bias, double *m)
{
    const nm_tensor *b = bias ? nm_op_constant(ex->net, ex->op, BIAS) : NULL;
    const nm_shape *shape = &nm_out_value(ex)->shape;
    int64_t planes = ex->n * shape->dim[0] * shape->dim[1], plane = nm_out_total(ex) / planes;

    nm_sums_up(sums, planes * plane, n_terms, m);
    for (int64_t i = 0; b && i < planes; i++)
        for (int64_t j = i * plane; j < (i + 1) * plane; j++)
            m[j] = nm_up(m[j] + fabs(b->f64[i % shape->dim[1]]));
}

/* As for dense layers, with k the number of nonzero products. Direct and GEMM convolutions sum the
   products in some order; Winograd and FFT algorithms compute other products and are outside this
   bound. */
void nm_conv_local_error(const nm_exec *ex, int64_t n_terms, const double *const *in,
                         const double *out, const double *const *r, const float *count, double *e)
{
    int64_t size = nm_out_value(ex)->size, size_in = nm_in_value(ex, 0)->size;
    int64_t n_w = nm_in_value(ex, WEIGHT)->size;
    nm_folding folded = nm_folding_of(ex);
    nm_sum_gammas *gammas = nm_scratch(ex, (size_t)n_terms + 1, sizeof *gammas);
    double most_w = 0;

    if (!gammas)
        return;
    for (int64_t k = 0; k <= n_terms; k++)
        gammas[k] = nm_sum_gammas_of(ex, k + folded.any, 3 + folded.roundings);
    for (int64_t i = 0; i < n_w; i++)
        most_w = fabs(in[WEIGHT][i]) > most_w ? fabs(in[WEIGHT][i]) : most_w;
    for (int64_t p = 0; p < ex->n; p++) {
        double most_x = 0, underflow;

        for (int64_t i = p * size_in; i < (p + 1) * size_in; i++) {
            double reach = fabs(in[0][i]) + nm_or_zero(r[0], i);

            most_x = reach > most_x ? reach : most_x;
        }
        underflow = folded.most * most_w <= NM_F32_RANGE
                        ? (double)(2 * n_terms + 2) * (1 + most_w + most_x) / folded.least *
                              NM_F32_UNDERFLOW
                        : (double)INFINITY;
        for (int64_t i = p * size; i < (p + 1) * size; i++)
            e[i] = nm_product_sum_error(&gammas[(int64_t)count[i]], ex->magnitude[i], out[i],
                                        nm_or_zero(ex->spread, i), underflow);
    }
}
#endif
