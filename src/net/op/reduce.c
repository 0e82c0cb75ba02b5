/* ReduceMean and ReduceSum: linear. Axes are an attribute before opset 18 (13 for sums), a
 * constant input since. */
#ifdef NM_REAL

static void NM_TYPED(total)(const nm_exec *ex, const NM_REAL *x, NM_REAL *y)
{
    int64_t size = nm_in_value(ex, 0)->size, size_out = nm_out_value(ex)->size;
    NM_REAL share = (NM_REAL)share_of(ex);
    const int64_t *target = targets_of(ex);

    if (!target)
        return;
    memset(y, 0, (size_t)nm_out_total(ex) * sizeof *y);
    for (int64_t p = 0; p < ex->n; p++)
        for (int64_t k = 0; k < size; k++)
            y[p * size_out + target[k]] += x[p * size + k];
    for (int64_t k = 0; k < ex->n * size_out; k++)
        y[k] *= share;
}

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    NM_TYPED(total)(ex, in[0], out);
}

#else

#include <string.h>

#include "net/op/axes.h"
#include "net/op/facet.h"
#include "net/op/move.h"

struct attr {
    nm_axes_attr axes;
    bool mean, keep_dims, nothing_if_no_axes;
};

/* Which axes are summed over. */
static nm_status read_axes(const nm_net *net, const nm_op *op, bool *reduced, nm_err *err)
{
    const struct attr *attr = op->attr;
    int rank = nm_op_shape(net, op, 0)->rank, n;
    nm_status rc = nm_axes_read(net, op, &attr->axes, 1, rank, reduced, &n, err);

    for (int a = 0; rc == NM_OK && n == 0 && !attr->nothing_if_no_axes && a < rank; a++) {
        rc = nm_refuse_batch(net, op, 0, a, err);
        reduced[a] = true;
    }
    return rc;
}

/* Elements that go into one sum. */
static int64_t n_terms(const nm_exec *ex)
{
    return nm_in_value(ex, 0)->size / nm_out_value(ex)->size;
}

static double share_of(const nm_exec *ex)
{
    const struct attr *attr = ex->op->attr;

    return attr->mean ? 1 / (double)n_terms(ex) : 1;
}

/* Output element that each input element of a point goes into; NULL when memory ran out. */
static const int64_t *targets_of(const nm_exec *ex)
{
    const nm_shape *in = &nm_in_value(ex, 0)->shape;
    int64_t *target = nm_scratch(ex, (size_t)nm_in_value(ex, 0)->size, sizeof *target);
    int64_t step[NM_MAX_DIMS], stride = 1;
    bool reduced[NM_MAX_DIMS];

    if (!target)
        return NULL;
    (void)read_axes(ex->net, ex->op, reduced, NULL); /* infer has checked them */
    for (int a = in->rank - 1; a >= 0; a--) {
        step[a] = reduced[a] ? 0 : stride;
        stride *= reduced[a] ? 1 : in->dim[a];
    }
    nm_move_strided(in, 0, step, target);
    return target;
}

#define NM_SELF "net/op/reduce.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;
    int64_t keep_dims = 1, nothing = 0;
    nm_status rc = NM_OK;

    a->mean = strcmp(node->op_type, "ReduceMean") == 0;
    NM_TRY(nm_axes_parse(node, &a->axes, err));
    NM_TRY(nm_node_int(node, "keepdims", 1, &keep_dims, err));
    NM_TRY(nm_node_int(node, "noop_with_empty_axes", 0, &nothing, err));
    a->keep_dims = keep_dims != 0;
    a->nothing_if_no_axes = nothing != 0;
done:
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const struct attr *attr = op->attr;
    const nm_shape *in = nm_op_shape(net, op, 0);
    bool reduced[NM_MAX_DIMS];
    nm_status rc = read_axes(net, op, reduced, err);

    out->rank = 0;
    for (int a = 0; rc == NM_OK && a < in->rank; a++)
        if (!reduced[a])
            out->dim[out->rank++] = in->dim[a];
        else if (attr->keep_dims)
            out->dim[out->rank++] = 1;
    return rc;
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    (void)in, (void)out;
    if (din[0])
        total_f64(ex, din[0], dout);
    else
        memset(dout, 0, (size_t)nm_out_total(ex) * sizeof *dout);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    int64_t size = nm_in_value(ex, 0)->size, size_out = nm_out_value(ex)->size;
    const int64_t *target = targets_of(ex);
    double share = share_of(ex);

    (void)in, (void)out;
    for (int64_t p = 0; target && din[0] && p < ex->n; p++)
        for (int64_t k = 0; k < size; k++)
            din[0][p * size + k] += share * dout[p * size_out + target[k]];
}

/* gamma_{k+2}: additions in any order, the scaling by a rounded 1 / k. */
static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    double *x = nm_scratch_reach(ex, in[0], r[0], nm_in_total(ex, 0));
    double gamma = nm_gamma(ex, n_terms(ex) + 2);
    int64_t n = nm_out_total(ex);

    (void)out;
    if (!x)
        return;
    total_f64(ex, x, e);
    for (int64_t i = 0; i < n; i++)
        e[i] = (double)n_terms(ex) * e[i] <= NM_F32_RANGE
                   ? nm_sum_error(gamma, e[i], (double)(n_terms(ex) + 2) * NM_F32_UNDERFLOW)
                   : (double)INFINITY;
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    int64_t n = nm_out_total(ex);

    jvp(ex, in, out, r, s);
    for (int64_t i = 0; i < n; i++)
        s[i] = nm_up(s[i] * (1 + (double)(n_terms(ex) + 2) * 0x1p-52));
}

const nm_op_kind nm_op_reduce = {.name = "Reduce",
                                 .onnx_names = NM_ONNX("ReduceMean", "ReduceSum"),
                                 .min_in = 1,
                                 .max_in = 2,
                                 .attr_bytes = sizeof(struct attr),
                                 .parse = parse,
                                 .infer = infer,
                                 .forward_f32 = forward_f32,
                                 .forward_f64 = forward_f64,
                                 .jvp = jvp,
                                 .vjp = vjp,
                                 .local_error = local_error,
                                 .spread = spread};
#endif
