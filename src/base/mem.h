/* Overflow-checked allocation. Every allocation of the library goes through here,
   so that a test can make the n-th one fail. */
#ifndef NM_BASE_MEM_H
#define NM_BASE_MEM_H

#include "base/err.h"

/** Room for n elements of `size` bytes, zeroed; *out = NULL on failure. n = 0 gives a valid
 * pointer. */
nm_status nm_alloc(void *out, size_t n, size_t size, nm_err *err);

/** Grows or shrinks *inout to n elements; the old block stays valid on failure. New room is not
 * zeroed. */
nm_status nm_realloc(void *inout, size_t n, size_t size, nm_err *err);

/** Copy of a string. */
nm_status nm_strdup(char **out, const char *text, nm_err *err);

/** Copy of n elements. */
nm_status nm_memdup(void *out, const void *from, size_t n, size_t size, nm_err *err);

void nm_free(void *p);

/** *out = a * b; false if it overflows. */
bool nm_mul_size(size_t a, size_t b, size_t *out);

/** Test hook: let the n-th allocation from now fail (1 = the next); 0 switches it off. */
void nm_mem_fail_at(long n);

#endif
