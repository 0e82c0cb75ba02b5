/* Mul: element by element, with broadcasting. */
#ifdef NM_REAL

static void NM_TYPED(row)(int64_t n, const NM_REAL *a, const NM_REAL *b, NM_REAL *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] * b[i];
}

#else

#include "net/op/binary.h"
#include "net/op/facet.h"

#define NM_SELF "net/op/mul.c"
#include "tensor/typed.h"

static void slopes(double a, double b, double *wrt_a, double *wrt_b)
{
    *wrt_a = b;
    *wrt_b = a;
}

/* gamma_2 pays for a constant operand's own rounding too; either factor may be flushed to 0. */
static double error(nm_operands v)
{
    double a = fabs(v.a) + v.ra, b = fabs(v.b) + v.rb;

    return nm_gamma_f32(2) * a * b + (a + b) * NM_F32_UNDERFLOW;
}

static double spread(nm_operands v)
{
    return fabs(v.a) * v.rb + fabs(v.b) * v.ra + v.ra * v.rb;
}

/* (a + da)(b + db) - ab - b da - a db = da db. */
static double residual(nm_operands v)
{
    return v.ra * v.rb;
}

static bool is_linear(const nm_net *net, const nm_op *op)
{
    return nm_op_constant(net, op, 0) || nm_op_constant(net, op, 1);
}

static const nm_binary_family family = {.row_f32 = row_f32,
                                        .row_f64 = row_f64,
                                        .slopes = slopes,
                                        .error = error,
                                        .spread = spread,
                                        .residual = residual};

const nm_op_kind nm_op_mul = {.name = "Mul",
                              .onnx_names = NM_ONNX("Mul"),
                              .family = &family,
                              .smooth = true,
                              .is_linear = is_linear,
                              .residual = nm_binary_residual,
                              NM_BINARY_FACETS};
#endif
