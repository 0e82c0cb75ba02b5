#ifdef NM_REAL

/* The elements of one operand for one point, in the order of the output. */
static const NM_REAL *NM_TYPED(row)(const struct side *side, const NM_REAL *array, int64_t point,
                                    int64_t size, NM_REAL *room)
{
    const NM_REAL *from = array + point * side->per_point;

    if (!side->index)
        return from;
    for (int64_t i = 0; i < size; i++)
        room[i] = from[side->index[i]];
    return room;
}

void NM_TYPED(nm_binary_forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const nm_binary_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size;
    NM_REAL *room = nm_scratch(ex, (size_t)size * 2, sizeof *room);
    struct side a, b;

    if (!room || !side_of(ex, 0, &a) || !side_of(ex, 1, &b))
        return;
    if (!a.index && !b.index && a.per_point == size && b.per_point == size) {
        family->NM_TYPED(row)(ex->n * size, in[0], in[1], out);
        return;
    }
    for (int64_t p = 0; p < ex->n; p++)
        family->NM_TYPED(row)(size, NM_TYPED(row)(&a, in[0], p, size, room),
                              NM_TYPED(row)(&b, in[1], p, size, room + size), out + p * size);
}

#else

#include "net/op/binary.h"

#include <string.h>

#include "net/op/facet.h"
#include "net/op/fold.h"

/* How one operand is read. */
struct side {
    int64_t *index;    /* [output size] element of the operand; NULL = the same one */
    int64_t per_point; /* elements per point; 0 for a constant */
};

/* False when memory ran out. */
static bool side_of(const nm_exec *ex, int i, struct side *side)
{
    const nm_value *value = nm_in_value(ex, i), *out = nm_out_value(ex);
    int64_t step[NM_MAX_DIMS];

    *side = (struct side){.per_point = value->constant ? 0 : value->size};
    if (value->size == out->size)
        return true;
    side->index = nm_scratch(ex, (size_t)out->size, sizeof *side->index);
    if (!side->index)
        return false;
    nm_shape_broadcast_steps(&value->shape, &out->shape, step);
    for (int64_t k = 0; k < out->size; k++) {
        int64_t rest = k, at = 0;

        for (int a = out->shape.rank - 1; a >= 0; a--) {
            at += rest % out->shape.dim[a] * step[a];
            rest /= out->shape.dim[a];
        }
        side->index[k] = at;
    }
    return true;
}

/* Where element k of a point's output finds its operand. */
static int64_t place(const struct side *side, int64_t point, int64_t k)
{
    return point * side->per_point + (side->index ? side->index[k] : k);
}

#define NM_SELF "net/op/binary.c"
#include "tensor/typed.h"

/* An operand that varies must keep its batch axis in front. */
static nm_status check_batch(const nm_net *net, const nm_op *op, const nm_shape *out, nm_err *err)
{
    for (int i = 0; i < 2; i++) {
        const nm_shape *in = nm_op_shape(net, op, i);

        if (net->batch_symbolic && !nm_op_constant(net, op, i) &&
            (in->rank != out->rank || (in->rank > 0 && in->dim[0] != out->dim[0])))
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "%s would broadcast over the batch axis of its input %d", op->kind->name,
                           i);
    }
    return NM_OK;
}

nm_status nm_binary_infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *a = nm_op_shape(net, op, 0), *b = nm_op_shape(net, op, 1);
    char a_text[96], b_text[96];

    if (!nm_shape_broadcast(a, b, out))
        return nm_fail(err, NM_E_SHAPE, "inputs of shapes %s and %s do not fit each other",
                       nm_shape_text(a, a_text), nm_shape_text(b, b_text));
    return check_batch(net, op, out, err);
}

void nm_binary_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout)
{
    const nm_binary_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size;
    struct side a, b;

    (void)out;
    if (!side_of(ex, 0, &a) || !side_of(ex, 1, &b))
        return;
    for (int64_t p = 0; p < ex->n; p++)
        for (int64_t k = 0; k < size; k++) {
            int64_t ia = place(&a, p, k), ib = place(&b, p, k);
            double wrt_a, wrt_b;

            family->slopes(in[0][ia], in[1][ib], &wrt_a, &wrt_b);
            dout[p * size + k] =
                (din[0] ? wrt_a * din[0][ia] : 0) + (din[1] ? wrt_b * din[1][ib] : 0);
        }
}

void nm_binary_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din)
{
    const nm_binary_family *family = ex->op->kind->family;
    int64_t size = nm_out_value(ex)->size;
    struct side a, b;

    (void)out;
    if (!side_of(ex, 0, &a) || !side_of(ex, 1, &b))
        return;
    for (int64_t p = 0; p < ex->n; p++)
        for (int64_t k = 0; k < size; k++) {
            int64_t ia = place(&a, p, k), ib = place(&b, p, k);
            double wrt_a, wrt_b;

            family->slopes(in[0][ia], in[1][ib], &wrt_a, &wrt_b);
            if (din[0])
                din[0][ia] += wrt_a * dout[p * size + k];
            if (din[1])
                din[1][ib] += wrt_b * dout[p * size + k];
        }
}

/* @param like  what is the same for all elements */
static void fill_bound(const nm_exec *ex, double (*bound)(nm_operands), nm_operands like,
                       const double *const *in, const double *const *r, double *to)
{
    int64_t size = nm_out_value(ex)->size;
    struct side a, b;

    if (!side_of(ex, 0, &a) || !side_of(ex, 1, &b))
        return;
    for (int64_t p = 0; p < ex->n; p++)
        for (int64_t k = 0; k < size; k++) {
            int64_t ia = place(&a, p, k), ib = place(&b, p, k);

            like.a = in[0][ia];
            like.b = in[1][ib];
            like.ra = nm_or_zero(r[0], ia);
            like.rb = nm_or_zero(r[1], ib);
            to[p * size + k] = bound(like);
        }
}

void nm_binary_local_error(const nm_exec *ex, const double *const *in, const double *out,
                           const double *const *r, double *e)
{
    int64_t n = nm_out_total(ex), in_a = nm_folded_products(ex, 0),
            in_b = nm_folded_products(ex, 1);
    nm_operands like = {.sum_a = in_a > 0 ? nm_gamma(ex, in_a + 2) : 0,
                        .sum_b = in_b > 0 ? nm_gamma(ex, in_b + 2) : 0};

    (void)out;
    fill_bound(ex, ((const nm_binary_family *)ex->op->kind->family)->error, like, in, r, e);
    for (int64_t i = 0; i < n; i++)
        e[i] = nm_up_error(e[i] + 3 * NM_F32_UNDERFLOW); /* the result, either operand */
}

void nm_binary_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s)
{
    int64_t n = nm_out_total(ex);

    (void)out;
    fill_bound(ex, ((const nm_binary_family *)ex->op->kind->family)->spread, (nm_operands){0}, in,
               r, s);
    for (int64_t i = 0; i < n; i++)
        s[i] = nm_up(s[i]);
}

void nm_binary_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q)
{
    int64_t n = nm_out_total(ex);

    (void)out;
    fill_bound(ex, ((const nm_binary_family *)ex->op->kind->family)->residual, (nm_operands){0}, in,
               r, q);
    for (int64_t i = 0; i < n; i++)
        q[i] = nm_up(q[i]);
}
#endif
