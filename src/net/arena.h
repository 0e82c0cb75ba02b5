/* Scratch memory of one thread: handed out during one facet, taken back as a whole. */
#ifndef NM_NET_ARENA_H
#define NM_NET_ARENA_H

#include "base/err.h"

typedef struct nm_arena {
    struct nm_arena_block *blocks; /* newest first */
    size_t used;                   /* bytes of the newest block */
    size_t taken;                  /* bytes handed out since the last reset */
    bool failed;                   /* an allocation failed since the last reset */
} nm_arena;

/** Room of n elements of `size` bytes, 64-byte aligned, not zeroed; NULL when memory ran out. */
void *nm_arena_take(nm_arena *arena, size_t n, size_t size);

/** The same, zeroed. */
void *nm_arena_zeroed(nm_arena *arena, size_t n, size_t size);

/** Takes everything back, keeping one block large enough for what was used.
 *  @return NM_E_NOMEM if a request failed since the last reset */
nm_status nm_arena_reset(nm_arena *arena, nm_err *err);

void nm_arena_clear(nm_arena *arena);

/** Bytes of a room for nm_arena_lend() in which all that was taken since the last reset fits. */
size_t nm_arena_room(const nm_arena *arena);

/** An empty arena takes from `room` first; that stays the caller's, and has to outlive the arena.
 */
bool nm_arena_lend(nm_arena *arena, void *room, size_t n_bytes);

#endif
