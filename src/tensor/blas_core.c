/* OpenBLAS chooses kernels by the processor's model number when it is loaded. Releases older than
 * the processor fall back to the oldest kernels (0.3.21 of Debian 12 takes a Xeon of 2023 for a
 * Prescott: 13 GFLOP/s instead of 47). What the processor can do says more than its number. */
#include <cblas.h>
#include <stddef.h>
#include <string.h>

#include "netmend/base.h"

const char *nm_better_blas(void)
{
#if defined(__x86_64__) && defined(__GNUC__)
    if (strcmp(openblas_get_corename(), "Prescott") != 0)
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}
