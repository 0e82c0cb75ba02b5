/* Which matrix kernels of OpenBLAS fit the processor. */
#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "netmend/base.h"

/* The kernels that this processor can run, by the names of OpenBLAS; NULL if it is an old one. */
static const char *fitting_kernels(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}

const char *nm_better_blas_kernels(void)
{
    if (getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott") != 0)
        return NULL;
    return fitting_kernels();
}
