/* Expand to a constant shape, by numpy's broadcasting. */
#include "net/op/facet.h"
#include "net/op/move.h"

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const nm_shape *in = nm_op_shape(net, op, 0);
    nm_shape target = {0};
    char in_text[96], target_text[96];
    size_t n;
    nm_status rc = nm_const_ints(net, op, 1, "the target shape", target.dim, NM_MAX_DIMS, &n, err);

    target.rank = (int)n;
    if (rc == NM_OK)
        rc = nm_shape_check(&target, "the target shape", err);
    if (rc == NM_OK && !nm_shape_broadcast(in, &target, out))
        rc = nm_fail(err, NM_E_SHAPE, "the input %s does not expand to %s",
                     nm_shape_text(in, in_text), nm_shape_text(&target, target_text));
    if (rc == NM_OK && (in->rank != out->rank || (in->rank > 0 && in->dim[0] != out->dim[0])))
        rc = nm_refuse_batch(net, op, 0, 0, err);
    return rc;
}

static void sources(const nm_net *net, const nm_op *op, int64_t *source)
{
    const nm_shape *out = &net->values[op->out].shape;
    int64_t step[NM_MAX_DIMS];

    nm_shape_broadcast_steps(nm_op_shape(net, op, 0), out, step);
    nm_move_strided(out, 0, step, source);
}

const nm_op_kind nm_op_expand = {.name = "Expand",
                                 .onnx_names = NM_ONNX("Expand"),
                                 .min_in = 2,
                                 .max_in = 2,
                                 .infer = infer,
                                 .family = &(const nm_move_family){.sources = sources},
                                 NM_MOVE_FACETS};
