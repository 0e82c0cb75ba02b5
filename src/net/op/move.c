#ifdef NM_REAL

/* out = the picked elements; the fill value where there are none. */
static void NM_TYPED(pick)(const nm_exec *ex, const NM_REAL *x, NM_REAL fill, NM_REAL *out)
{
    int64_t size = nm_out_value(ex)->size, size_in = nm_in_value(ex, 0)->size;
    const int64_t *source = sources_of(ex);

    for (int64_t p = 0; source && p < ex->n; p++)
        for (int64_t k = 0; k < size; k++)
            out[p * size + k] = source[k] < 0 ? fill : x[p * size_in + source[k]];
}

void NM_TYPED(nm_move_forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const nm_move_family *family = ex->op->kind->family;

    NM_TYPED(pick)(ex, in[0], family->fill ? (NM_REAL)family->fill(ex->net, ex->op) : 0, out);
}

#else

#include "net/op/move.h"

#include <string.h>

#include "net/op/facet.h"

/* NULL when memory ran out. */
static const int64_t *sources_of(const nm_exec *ex)
{
    const nm_move_family *family = ex->op->kind->family;
    int64_t *source = nm_scratch(ex, (size_t)nm_out_value(ex)->size, sizeof *source);

    if (source)
        family->sources(ex->net, ex->op, source);
    return source;
}

#define NM_SELF "net/op/move.c"
#include "tensor/typed.h"

void nm_move_strided(const nm_shape *shape, int64_t first, const int64_t *step, int64_t *source)
{
    int64_t index[NM_MAX_DIMS] = {0}, size = nm_shape_size(shape), at = first;

    for (int64_t k = 0; k < size; k++) {
        source[k] = at;
        for (int a = shape->rank - 1; a >= 0; a--) {
            at += step[a];
            if (++index[a] < shape->dim[a])
                break;
            at -= step[a] * shape->dim[a];
            index[a] = 0;
        }
    }
}

void nm_move_strides(const nm_shape *shape, int64_t *stride)
{
    int64_t product = 1;

    for (int a = shape->rank - 1; a >= 0; a--) {
        stride[a] = product;
        product *= shape->dim[a];
    }
}

void nm_move_jvp(const nm_exec *ex, const double *const *in, const double *out,
                 const double *const *din, double *dout)
{
    (void)in, (void)out;
    if (din[0])
        pick_f64(ex, din[0], 0, dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

void nm_move_vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                 double *const *din)
{
    int64_t size = nm_out_value(ex)->size, size_in = nm_in_value(ex, 0)->size;
    const int64_t *source = sources_of(ex);

    (void)in, (void)out;
    for (int64_t p = 0; source && din[0] && p < ex->n; p++)
        for (int64_t k = 0; k < size; k++)
            if (source[k] >= 0)
                din[0][p * size_in + source[k]] += dout[p * size + k];
}

void nm_move_spread(const nm_exec *ex, const double *const *in, const double *out,
                    const double *const *r, double *s)
{
    nm_move_jvp(ex, in, out, r, s);
}

int64_t nm_move_n_links(const nm_net *net, const nm_op *op)
{
    (void)net, (void)op;
    return 1;
}

void nm_move_links(const nm_exec *ex, const double *const *in, int64_t *at, double *share)
{
    const int64_t *source = sources_of(ex);
    int64_t size = nm_out_value(ex)->size;

    (void)in;
    for (int64_t k = 0; source && k < size; k++) {
        at[k] = source[k];
        share[k] = 1;
    }
}
#endif
