/* Memory for the many small things one file is taken apart into; freed all at once. */
#ifndef NM_IO_POOL_H
#define NM_IO_POOL_H

#include "base/err.h"

/** Start from {0}. Pointers stay valid until nm_pool_free(). */
typedef struct nm_pool {
    struct nm_pool_block *newest;
} nm_pool;

/** Room for n elements of `size` bytes, zeroed and aligned for any type. */
nm_status nm_pool_alloc(nm_pool *pool, void *out, size_t n, size_t size, nm_err *err);

void nm_pool_free(nm_pool *pool);

#endif
