/* Sub: element by element, with broadcasting. */
#ifdef NM_REAL

static void NM_TYPED(row)(int64_t n, const NM_REAL *a, const NM_REAL *b, NM_REAL *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] - b[i];
}

#else

#include "net/op/binary.h"
#include "net/op/facet.h"

#define NM_SELF "net/op/sub.c"
#include "tensor/typed.h"

static void slopes(double a, double b, double *wrt_a, double *wrt_b)
{
    (void)a, (void)b;
    *wrt_a = 1;
    *wrt_b = -1;
}

/* gamma_2 pays for a constant operand's own rounding too. */
static double error(nm_operands v)
{
    double a = fabs(v.a) + v.ra, b = fabs(v.b) + v.rb;

    return nm_gamma_f32(2) * (a + b) + v.sum_a * b + v.sum_b * a;
}

static double spread(nm_operands v)
{
    return v.ra + v.rb;
}

static const nm_binary_family family = {
    .row_f32 = row_f32, .row_f64 = row_f64, .slopes = slopes, .error = error, .spread = spread};

const nm_op_kind nm_op_sub = {
    .name = "Sub", .onnx_names = NM_ONNX("Sub"), .family = &family, NM_BINARY_FACETS};
#endif
