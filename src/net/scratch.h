/* Scratch memory of one thread: handed out during one facet, taken back as a whole. */
#ifndef NM_NET_SCRATCH_H
#define NM_NET_SCRATCH_H

#include "base/err.h"

typedef struct nm_scratch {
    struct nm_scratch_block *blocks; /* newest first */
    size_t used;                     /* bytes of the newest block */
    bool failed;                     /* an allocation failed since the last reset */
} nm_scratch;

/** Room of n elements of `size` bytes, 64-byte aligned, not zeroed; NULL when memory ran out. */
void *nm_scratch_take(nm_scratch *scratch, size_t n, size_t size);

/** Takes everything back, keeping one block large enough for what was used.
 *  @return NM_E_NOMEM if a request failed since the last reset */
nm_status nm_scratch_reset(nm_scratch *scratch, nm_err *err);

void nm_scratch_clear(nm_scratch *scratch);

#endif
