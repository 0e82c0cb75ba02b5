#include "blas_kernels.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "netmend/base.h"

void nm_use_better_blas_kernels(char **argv)
{
    static const char variable[] = "OPENBLAS_CORETYPE";
    const char *kernels = nm_better_blas_kernels();
    char self[PATH_MAX]; /* by its own path, or the process would be called "exe" */
    ssize_t length = kernels ? readlink("/proc/self/exe", self, sizeof self - 1) : 0;

    /* The variable also tells the second start from the first: there is no third. */
    if (length <= 0 || setenv(variable, kernels, 1) != 0)
        return;
    self[length] = '\0';
    (void)execv(self, argv);
    (void)unsetenv(variable);
}
