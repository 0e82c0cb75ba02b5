#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Counts down to the allocation that a test wants to fail. */
static atomic_long fail_countdown;

void nm_mem_fail_at(long n)
{
    atomic_store(&fail_countdown, n);
}

static bool must_fail(void)
{
    return atomic_load_explicit(&fail_countdown, memory_order_relaxed) > 0 &&
           atomic_fetch_sub(&fail_countdown, 1) == 1;
}

bool nm_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static nm_status out_of_memory(nm_err *err, size_t n, size_t size)
{
    return nm_fail(err, NM_E_NOMEM, "out of memory: %zu elements of %zu bytes", n, size);
}

nm_status nm_alloc(void *out, size_t n, size_t size, nm_err *err)
{
    size_t bytes;
    void *p = NULL;

    if (nm_mul_size(n, size, &bytes) && bytes < PTRDIFF_MAX && !must_fail())
        p = calloc(bytes ? bytes : 1, 1);
    memcpy(out, &p, sizeof p);
    return p ? NM_OK : out_of_memory(err, n, size);
}

nm_status nm_realloc(void *inout, size_t n, size_t size, nm_err *err)
{
    size_t bytes;
    void *p;

    memcpy(&p, inout, sizeof p);
    if (!nm_mul_size(n, size, &bytes) || bytes >= PTRDIFF_MAX || must_fail())
        return out_of_memory(err, n, size);
    p = realloc(p, bytes ? bytes : 1);
    if (!p)
        return out_of_memory(err, n, size);
    memcpy(inout, &p, sizeof p);
    return NM_OK;
}

nm_status nm_memdup(void *out, const void *from, size_t n, size_t size, nm_err *err)
{
    void *p;
    nm_status rc = nm_alloc(&p, n, size, err);

    if (rc == NM_OK && n * size > 0)
        memcpy(p, from, n * size);
    memcpy(out, &p, sizeof p);
    return rc;
}

nm_status nm_strdup(char **out, const char *text, nm_err *err)
{
    return nm_memdup(out, text, strlen(text) + 1, 1, err);
}

void nm_free(void *p)
{
    free(p);
}
