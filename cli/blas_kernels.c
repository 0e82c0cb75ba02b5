#include "blas_kernels.h"

#include <stdlib.h>
#include <unistd.h>

#include "netmend/base.h"

void nm_use_better_blas_kernels(char **argv)
{
    static const char variable[] = "OPENBLAS_CORETYPE";
    const char *kernels = nm_better_blas_kernels();

    /* The variable also tells the second start from the first: there is no third. */
    if (!kernels || setenv(variable, kernels, 1) != 0)
        return;
    (void)execv("/proc/self/exe", argv);
    (void)unsetenv(variable);
}
