/* Neg: one linear piece of slope -1. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = -in[0][i];
}

#else

#include "net/op/facet.h"
#include "net/op/pieces.h"

#define NM_SELF "net/op/neg.c"
#include "tensor/typed.h"

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    (void)net, (void)op, (void)element;
    return (nm_pieces){.slope = {-1}};
}

const nm_op_kind nm_op_neg = {.name = "Neg",
                              .onnx_names = NM_ONNX("Neg"),
                              .min_in = 1,
                              .max_in = 1,
                              .infer = nm_infer_same,
                              .forward_f32 = forward_f32,
                              .forward_f64 = forward_f64,
                              .jvp = nm_pieces_jvp,
                              .vjp = nm_pieces_vjp,
                              .spread = nm_pieces_spread,
                              .elementwise = true,
                              .family = &(const nm_pieces_family){.pieces = pieces}};
#endif
