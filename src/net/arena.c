#include "net/arena.h"

#include <string.h>

#include "base/mem.h"
#include "net/op.h"

enum { ALIGN = 64, FIRST_BYTES = 1 << 16 };

struct nm_arena_block {
    struct nm_arena_block *next;
    size_t n_bytes;
    unsigned char *room; /* [n_bytes + ALIGN] */
    bool lent;
};

static void free_block(struct nm_arena_block *block)
{
    if (!block->lent)
        nm_free(block->room);
    nm_free(block);
}

static bool add_block(nm_arena *arena, size_t n_bytes)
{
    struct nm_arena_block *block;
    nm_status rc = nm_alloc(&block, 1, sizeof *block, NULL);

    if (rc == NM_OK && nm_alloc(&block->room, n_bytes + ALIGN, 1, NULL) != NM_OK) {
        nm_free(block);
        rc = NM_E_NOMEM;
    }
    if (rc != NM_OK)
        return false;
    block->n_bytes = n_bytes;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
    return true;
}

static unsigned char *aligned_room(const struct nm_arena_block *block)
{
    return block->room + (ALIGN - (uintptr_t)block->room % ALIGN);
}

void *nm_arena_take(nm_arena *arena, size_t n, size_t size)
{
    size_t bytes;

    if (!nm_mul_size(n, size, &bytes) || bytes > PTRDIFF_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    if (!arena->blocks || arena->blocks->n_bytes - arena->used < bytes) {
        size_t old = arena->blocks ? arena->blocks->n_bytes : FIRST_BYTES / 2;

        if (!add_block(arena, bytes > 2 * old ? bytes : 2 * old)) {
            arena->failed = true;
            return NULL;
        }
    }
    arena->used += bytes;
    arena->taken += bytes;
    return aligned_room(arena->blocks) + arena->used - bytes;
}

void *nm_arena_zeroed(nm_arena *arena, size_t n, size_t size)
{
    void *room = nm_arena_take(arena, n, size);

    if (room)
        memset(room, 0, n * size);
    return room;
}

void *nm_scratch(const nm_exec *ex, size_t n, size_t size)
{
    return nm_arena_take(ex->arena, n, size);
}

nm_status nm_arena_reset(nm_arena *arena, nm_err *err)
{
    bool failed = arena->failed;

    arena->used = arena->taken = 0;
    arena->failed = false;
    /* The newest block is the largest: blocks grow by doubling. */
    while (arena->blocks && arena->blocks->next) {
        struct nm_arena_block *older = arena->blocks->next;

        arena->blocks->next = older->next;
        free_block(older);
    }
    return failed ? nm_fail(err, NM_E_NOMEM, "out of memory in an operator") : NM_OK;
}

void nm_arena_clear(nm_arena *arena)
{
    while (arena->blocks) {
        struct nm_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free_block(block);
    }
    *arena = (nm_arena){0};
}

size_t nm_arena_room(const nm_arena *arena)
{
    return arena->taken + ALIGN;
}

bool nm_arena_lend(nm_arena *arena, void *room, size_t n_bytes)
{
    struct nm_arena_block *block;

    if (n_bytes < ALIGN || nm_alloc(&block, 1, sizeof *block, NULL) != NM_OK)
        return false;
    *block = (struct nm_arena_block){
        .next = arena->blocks, .n_bytes = n_bytes - ALIGN, .room = room, .lent = true};
    arena->blocks = block;
    arena->used = 0;
    return true;
}
