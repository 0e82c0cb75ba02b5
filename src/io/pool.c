#include "io/pool.h"

#include <string.h>

#include "base/mem.h"

enum { MIN_BLOCK = 4096 };

typedef struct nm_pool_block {
    struct nm_pool_block *older;
    size_t used, room;
    max_align_t bytes[];
} nm_pool_block;

static nm_status new_block(nm_pool *pool, size_t room, nm_err *err)
{
    nm_pool_block *block;
    nm_status rc = nm_alloc(&block, sizeof *block + room, 1, err);

    if (rc != NM_OK)
        return rc;
    block->older = pool->newest;
    block->room = room;
    pool->newest = block;
    return NM_OK;
}

nm_status nm_pool_alloc(nm_pool *pool, void *out, size_t n, size_t size, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_pool_block *block = pool->newest;
    size_t bytes;
    void *p;

    if (!nm_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX / 2)
        return nm_fail(err, NM_E_NOMEM, "out of memory: %zu elements of %zu bytes", n, size);
    bytes = (bytes + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!block || block->room - block->used < bytes)
        rc = new_block(pool, bytes > MIN_BLOCK ? bytes : MIN_BLOCK, err);
    if (rc != NM_OK)
        return rc;
    block = pool->newest;
    p = (char *)block->bytes + block->used;
    block->used += bytes;
    memcpy(out, &p, sizeof p);
    return NM_OK;
}

void nm_pool_free(nm_pool *pool)
{
    while (pool->newest) {
        nm_pool_block *older = pool->newest->older;

        nm_free(pool->newest);
        pool->newest = older;
    }
}
