/* Cast: between float types the identity; to integers and booleans for constants only. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t to = *(const int64_t *)ex->op->attr, n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = is_float(to) ? in[0][i] : to == TO_BOOL ? in[0][i] != 0 : truncated(in[0][i]);
}

#else

#include "net/op/facet.h"
#include "net/op/view.h"

/* Codes of TensorProto.DataType. */
enum { TO_FLOAT = 1, TO_INT32 = 6, TO_INT64 = 7, TO_BOOL = 9, TO_DOUBLE = 11 };

static bool is_float(int64_t to)
{
    return to == TO_FLOAT || to == TO_DOUBLE;
}

#define truncated(x) _Generic((x), float : truncf, double : trunc)(x)

#define NM_SELF "net/op/cast.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    int64_t *to = attr;
    nm_status rc = nm_node_int(node, "to", 0, to, err);

    if (rc == NM_OK && !is_float(*to) && *to != TO_INT32 && *to != TO_INT64 && *to != TO_BOOL)
        rc = nm_fail(err, NM_E_UNSUPPORTED,
                     "the target type is %lld, expected float (1), int32 (6), int64 (7), bool (9) "
                     "or double (11)",
                     (long long)*to);
    return rc;
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    if (!is_float(*(const int64_t *)op->attr) && !nm_op_constant(net, op, 0))
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "a computed value is cast to integers, expected a constant or a float type");
    return nm_infer_same(net, op, out, err);
}

const nm_op_kind nm_op_cast = {.name = "Cast",
                               .onnx_names = NM_ONNX("Cast"),
                               .min_in = 1,
                               .max_in = 1,
                               .attr_bytes = sizeof(int64_t),
                               .parse = parse,
                               .infer = infer,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .jvp = nm_view_jvp,
                               .vjp = nm_view_vjp,
                               .spread = nm_view_spread};
#endif
