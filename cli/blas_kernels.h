/* The matrix kernels that OpenBLAS uses.
 *
 * OpenBLAS chooses its kernels when it is loaded, and takes those of 2004 ("Prescott", four numbers
 * at a time) for processors that are younger than itself: a quarter of the speed. OPENBLAS_CORETYPE
 * in the environment names others; whoever has set it keeps his choice. */
#ifndef NM_CLI_BLAS_KERNELS_H
#define NM_CLI_BLAS_KERNELS_H

/* The name of kernels that this processor can run and that are better than those in use; NULL if
 * there are none, or if the user has chosen. */
const char *nm_better_blas_kernels(void);

/* Starts the program anew with better kernels if there are any. `argv` is main's. Returns, having
 * done nothing, where there is nothing to gain or the new start fails. */
void nm_use_better_blas_kernels(char **argv);

#endif
