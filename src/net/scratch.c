#include "net/scratch.h"

#include "base/mem.h"
#include "net/op.h"

enum { ALIGN = 64, FIRST_BYTES = 1 << 16 };

struct nm_scratch_block {
    struct nm_scratch_block *next;
    size_t n_bytes;
    unsigned char *room; /* [n_bytes + ALIGN] */
};

static bool add_block(nm_scratch *scratch, size_t n_bytes)
{
    struct nm_scratch_block *block;
    nm_status rc = nm_alloc(&block, 1, sizeof *block, NULL);

    if (rc == NM_OK && nm_alloc(&block->room, n_bytes + ALIGN, 1, NULL) != NM_OK) {
        nm_free(block);
        rc = NM_E_NOMEM;
    }
    if (rc != NM_OK)
        return false;
    block->n_bytes = n_bytes;
    block->next = scratch->blocks;
    scratch->blocks = block;
    scratch->used = 0;
    return true;
}

static unsigned char *aligned_room(const struct nm_scratch_block *block)
{
    return block->room + (ALIGN - (uintptr_t)block->room % ALIGN);
}

void *nm_scratch_take(nm_scratch *scratch, size_t n, size_t size)
{
    size_t bytes;

    if (!nm_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX / 2) {
        scratch->failed = true;
        return NULL;
    }
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!scratch->blocks || scratch->blocks->n_bytes - scratch->used < bytes) {
        size_t old = scratch->blocks ? scratch->blocks->n_bytes : FIRST_BYTES / 2;

        if (!add_block(scratch, bytes > 2 * old ? bytes : 2 * old)) {
            scratch->failed = true;
            return NULL;
        }
    }
    scratch->used += bytes;
    return aligned_room(scratch->blocks) + scratch->used - bytes;
}

void *nm_scratch(const nm_exec *ex, size_t n, size_t size)
{
    return nm_scratch_take(ex->scratch, n, size);
}

nm_status nm_scratch_reset(nm_scratch *scratch, nm_err *err)
{
    bool failed = scratch->failed;

    scratch->used = 0;
    scratch->failed = false;
    /* The newest block is the largest: blocks grow by doubling. */
    while (scratch->blocks && scratch->blocks->next) {
        struct nm_scratch_block *older = scratch->blocks->next;

        scratch->blocks->next = older->next;
        nm_free(older->room);
        nm_free(older);
    }
    return failed ? nm_fail(err, NM_E_NOMEM, "out of memory in an operator") : NM_OK;
}

void nm_scratch_clear(nm_scratch *scratch)
{
    while (scratch->blocks) {
        struct nm_scratch_block *block = scratch->blocks;

        scratch->blocks = block->next;
        nm_free(block->room);
        nm_free(block);
    }
    *scratch = (nm_scratch){0};
}
