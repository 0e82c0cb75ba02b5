/* Functions of libm for the precision of their argument, for files compiled once per precision
 * (tensor/typed.h). */
#ifndef NM_NET_OP_TYPED_MATH_H
#define NM_NET_OP_TYPED_MATH_H

#include <math.h>

/* clang-format off */
#define NM_EXP(x)    _Generic((x), float: expf,  double: exp)(x)
#define NM_LOG(x)    _Generic((x), float: logf,  double: log)(x)
#define NM_SQRT(x)   _Generic((x), float: sqrtf, double: sqrt)(x)
#define NM_TANH(x)   _Generic((x), float: tanhf, double: tanh)(x)
#define NM_ERF(x)    _Generic((x), float: erff,  double: erf)(x)
#define NM_POW(x, p) _Generic((x), float: powf,  double: pow)(x, p)
/* clang-format on */

#endif
