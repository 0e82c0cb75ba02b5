/* Relu: max(x, 0); at exactly 0 it counts as on. */
#ifdef NM_REAL

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    const NM_REAL *x = in[0];
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] < 0 ? 0 : x[i]; /* NaN stays NaN */
}

#else

#include "net/op/facet.h"
#include "net/op/pieces.h"

#define NM_SELF "net/op/relu.c"
#include "tensor/typed.h"

static nm_pieces pieces(const nm_net *net, const nm_op *op, int64_t element)
{
    (void)net, (void)op, (void)element;
    return (nm_pieces){.n_breaks = 1, .at = {0}, .slope = {0, 1}};
}

const nm_op_kind nm_op_relu = {.name = "Relu",
                               .onnx_names = NM_ONNX("Relu"),
                               .min_in = 1,
                               .max_in = 1,
                               .forward_f32 = forward_f32,
                               .forward_f64 = forward_f64,
                               .convex = true,
                               .family = &(const nm_pieces_family){.pieces = pieces},
                               NM_PIECES_FACETS};
#endif
