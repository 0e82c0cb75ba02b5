/* Compiles the half of a file that is guarded by NM_REAL once per precision:
 *
 *     #ifdef NM_REAL
 *     static void NM_TYPED(forward)(..., const NM_REAL *x, ...) { ... }   becomes forward_f32
 *     #else                                                               and forward_f64
 *     ... everything else ...
 *     #define NM_SELF "net/op/relu.c"
 *     #include "tensor/typed.h"
 *     ... the table that names forward_f32 and forward_f64 ...
 *     #endif
 */
#define NM_TYPED_JOIN(name, suffix) name##_##suffix
#define NM_TYPED_EVAL(name, suffix) NM_TYPED_JOIN(name, suffix)
#define NM_TYPED(name) NM_TYPED_EVAL(name, NM_SUFFIX)

#define NM_REAL float
#define NM_SUFFIX f32
#include NM_SELF
#undef NM_REAL
#undef NM_SUFFIX

#define NM_REAL double
#define NM_SUFFIX f64
#include NM_SELF
#undef NM_REAL
#undef NM_SUFFIX
