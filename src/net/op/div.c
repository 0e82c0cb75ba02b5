/* Div: element by element, with broadcasting. */
#ifdef NM_REAL

static void NM_TYPED(row)(int64_t n, const NM_REAL *a, const NM_REAL *b, NM_REAL *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] / b[i];
}

#else

#include "net/op/binary.h"
#include "net/op/facet.h"

#define NM_SELF "net/op/div.c"
#include "tensor/typed.h"

static void slopes(double a, double b, double *wrt_a, double *wrt_b)
{
    *wrt_a = 1 / b;
    *wrt_b = -a / b / b;
}

/* Least |b + db|, rounded down; not positive when the divisor may reach 0. */
static double least_divisor(nm_operands v)
{
    return (fabs(v.b) - v.rb) - 0x1p-50 * fabs(v.b);
}

/* gamma_3: a runtime may multiply by a rounded reciprocal of a (rounded) constant, which must be
   neither infinite nor denormal. */
static double error(nm_operands v)
{
    double least = least_divisor(v), a = fabs(v.a) + v.ra;
    bool invertible = least >= 1 / NM_F32_RANGE && fabs(v.b) + v.rb <= NM_F32_RANGE;

    return invertible ? nm_gamma_f32(3) * a / least + NM_F32_UNDERFLOW / least : (double)INFINITY;
}

/* (a + da) / (b + db) - a / b = (da - a/b db) / (b + db). */
static double spread(nm_operands v)
{
    double least = least_divisor(v), change = v.ra + (v.rb > 0 ? fabs(v.a / v.b) * v.rb : 0);

    return change == 0 ? 0 : least > 0 ? change / least : (double)INFINITY;
}

/* Minus its linear part (da - a/b db) / b: -(da - a/b db) db / (b (b + db)). */
static double residual(nm_operands v)
{
    return v.rb == 0 ? 0 : spread(v) * (v.rb / fabs(v.b));
}

static bool is_linear(const nm_net *net, const nm_op *op)
{
    return nm_op_constant(net, op, 1) != NULL;
}

static const nm_binary_family family = {.row_f32 = row_f32,
                                        .row_f64 = row_f64,
                                        .slopes = slopes,
                                        .error = error,
                                        .spread = spread,
                                        .residual = residual};

const nm_op_kind nm_op_div = {.name = "Div",
                              .onnx_names = NM_ONNX("Div"),
                              .family = &family,
                              .smooth = true,
                              .is_linear = is_linear,
                              .residual = nm_binary_residual,
                              NM_BINARY_FACETS};
#endif
