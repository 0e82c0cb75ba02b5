/* Compiles the half of a file that is guarded by NM_CLONE once per instruction set:
 *
 *     #ifdef NM_CLONE
 *     NM_CLONE_TARGET static void NM_CLONED(add)(...) { add_body(...); }   becomes add_base,
 *     static const table NM_CLONED(kernels)[1] = {{...}};                  add_avx2, add_avx512
 *     ... NM_CLONE_BYTES is the size of a vector register ...
 *     #else
 *     ... everything else: the bodies, always inline ...
 *     #define NM_SELF "verify/rows.c"
 *     #define NM_CLONE_WITH ",fma"      (what sets the names of instruction sets need beside them)
 *     #include "tensor/clones.h"
 *     ... NM_BEST_CLONE(kernels) is that of this processor ...
 *     #endif
 */
#define NM_CLONE

#define NM_CLONE_TARGET
#define NM_CLONE_BYTES 16
#define NM_CLONED(name) name##_base
#include NM_SELF
#undef NM_CLONE_BYTES
#undef NM_CLONE_TARGET
#undef NM_CLONED

#if defined(__x86_64__)
#define NM_CLONE_TARGET __attribute__((target("avx2" NM_CLONE_WITH)))
#define NM_CLONE_BYTES 32
#define NM_CLONED(name) name##_avx2
#include NM_SELF
#undef NM_CLONE_BYTES
#undef NM_CLONE_TARGET
#undef NM_CLONED

#define NM_CLONE_TARGET __attribute__((target("avx512f" NM_CLONE_WITH)))
#define NM_CLONE_BYTES 64
#define NM_CLONED(name) name##_avx512
#include NM_SELF
#undef NM_CLONE_BYTES
#undef NM_CLONE_TARGET
#undef NM_CLONED

/* Processors with AVX-512 have FMA. */
#define NM_BEST_CLONE(name)                                                                        \
    (__builtin_cpu_supports("avx512f") ? name##_avx512                                             \
     : __builtin_cpu_supports("avx2") &&                                                           \
             (sizeof NM_CLONE_WITH == 1 || __builtin_cpu_supports("fma"))                          \
         ? name##_avx2                                                                             \
         : name##_base)
#else
#define NM_BEST_CLONE(name) name##_base
#endif
