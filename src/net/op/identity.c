/* Identity, and Dropout, which does nothing at inference. */
#include "net/op/facet.h"
#include "net/op/view.h"

/* Dropout since opset 12: ratio and training_mode as optional inputs. */
static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    double training;
    nm_status rc = nm_const_scalar(net, op, 2, "training_mode", 0, &training, err);

    if (rc == NM_OK && training != 0)
        rc = nm_fail(err, NM_E_UNSUPPORTED, "training_mode is set, expected inference");
    return rc == NM_OK ? nm_infer_same(net, op, out, err) : rc;
}

const nm_op_kind nm_op_identity = {.name = "Identity",
                                   .onnx_names = NM_ONNX("Identity", "Dropout"),
                                   .min_in = 1,
                                   .max_in = 3,
                                   .infer = infer,
                                   NM_VIEW_FACETS};
