/* The matrix kernels that OpenBLAS uses (nm_better_blas_kernels). */
#ifndef NM_CLI_BLAS_KERNELS_H
#define NM_CLI_BLAS_KERNELS_H

/* Starts the program anew with better kernels if there are any. `argv` is main's. Returns, having
 * done nothing, where there is nothing to gain or the new start fails. */
void nm_use_better_blas_kernels(char **argv);

#endif
