/* Prints the kernels of OpenBLAS that tests should ask for, nothing if the default ones are good.
 */
#include <stdio.h>

#include "netmend/base.h"

int main(void)
{
    const char *kernels = nm_better_blas_kernels();

    return kernels && fputs(kernels, stdout) < 0;
}
