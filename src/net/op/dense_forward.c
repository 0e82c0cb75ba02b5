/* Dense layers in float32, for evaluation (tensor/product.h). */
#include <math.h>
#include <string.h>

#include "net/op/dense.h"
#include "net/op/facet.h"
#include "tensor/lanes.h"
#include "tensor/product.h"

enum { WEIGHT = 1, BIAS = 2 };

/* Columns are rows of x. */
struct columns {
    const float *x;
    int64_t size;
};

static void fetch(const void *user, int64_t first, int64_t count, int64_t from, int64_t n,
                  int64_t step, float *to)
{
    const struct columns *columns = user;
    const float *x = columns->x + first * columns->size + from;

    if (count == step) {
        nm_lanes_gather_f32(step, n, x, columns->size, to);
        return;
    }
    memset(to, 0, (size_t)(n * step) * sizeof *to);
    for (int64_t c = 0; c < count; c++)
        for (int64_t t = 0; t < n; t++)
            to[t * step + c] = x[c * columns->size + t];
}

/* For evaluation: what one row gives does not depend on the others (tensor/product.h). w: element
   (j, t) at j * row + t * term */
static void multiply(const nm_exec *ex, int64_t rows, int64_t n_in, int64_t n_out, const float *w,
                     int64_t row, int64_t term, const float *x, float *out)
{
    const nm_dense_attr *attr = ex->op->attr;
    const nm_tensor *bias = nm_op_constant(ex->net, ex->op, BIAS);
    struct columns columns = {x, n_in};
    nm_product p = {.m = n_out,
                    .k = n_in,
                    .n = rows,
                    .w = w,
                    .row = row,
                    .term = term,
                    .fetch = fetch,
                    .user = &columns};
    int64_t strip = nm_product_strip(rows), height = nm_product_rows(n_out);
    float *room = nm_scratch(ex, (size_t)nm_product_room(n_out, rows), sizeof *room);
    float alpha = (float)attr->alpha, beta = (float)attr->beta;
    const float *sums;

    if (!room)
        return;
    sums = nm_product_run(&p, room);
    for (int64_t r = 0; r < rows; r++) {
        const float *sum = sums + r / strip * strip * height + r % strip;

        for (int64_t j = 0; j < n_out; j++)
            out[r * n_out + j] = alpha * sum[j * strip] + (bias ? beta * bias->f32[j] : 0);
    }
}

void nm_dense_forward(const nm_exec *ex, const float *x, float *out)
{
    const nm_dense_attr *attr = ex->op->attr;
    const nm_tensor *w = nm_op_constant(ex->net, ex->op, WEIGHT);
    int64_t n_in = w->shape.dim[attr->trans_b ? 1 : 0], n_out = w->shape.dim[attr->trans_b ? 0 : 1];

    multiply(ex, nm_in_total(ex, 0) / n_in, n_in, n_out, w->f32, attr->trans_b ? n_in : 1,
             attr->trans_b ? 1 : n_out, x, out);
}

bool nm_dense_fold(const nm_net *net, const nm_op *op, const int32_t *from, int64_t n,
                   float *folded)
{
    const nm_dense_attr *attr = op->attr;
    const nm_tensor *w = nm_op_constant(net, op, WEIGHT);
    int64_t n_in = w->shape.dim[attr->trans_b ? 1 : 0], n_out = w->shape.dim[attr->trans_b ? 0 : 1];
    bool ok = true;

    for (int64_t j = 0; j < n_out; j++) {
        const float *row = w->f32 + (attr->trans_b ? j * n_in : j);
        float *to = folded + j * n;

        memset(to, 0, (size_t)n * sizeof *to);
        for (int64_t t = 0; t < n_in; t++)
            to[from[t]] += row[attr->trans_b ? t : t * n_out];
        for (int64_t t = 0; t < n; t++)
            ok = ok && isfinite(to[t]);
    }
    return ok;
}

void nm_dense_forward_folded(const nm_exec *ex, const float *folded, int64_t n, const float *x,
                             float *out)
{
    multiply(ex, ex->n, n, nm_out_value(ex)->size, folded, n, 1, x, out);
}
