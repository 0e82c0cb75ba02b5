/* Room for many large records: in memory up to a limit, beyond it in pages of an unlinked temporary
 * file, which count as the process's memory only while they are in use. Records stay where they
 * are, pointers into them included. */
#ifndef NM_BASE_STORE_H
#define NM_BASE_STORE_H

#include "base/err.h"

typedef struct nm_store nm_store;

/** @param most_bytes  that may lie in memory all the time */
nm_status nm_store_open(size_t most_bytes, nm_store **out, nm_err *err);

/** All rooms go with it. */
void nm_store_close(nm_store *store);

/** Room of n_bytes, valid until the store is closed; NULL where neither memory nor file has any.
 *  The file lies in $TMPDIR, else /var/tmp, else /tmp. May be called from several threads. */
void *nm_store_take(nm_store *store, size_t n_bytes);

/** The room is not needed for now: if it lies in the file, its pages leave the memory until they
 *  are touched again. */
void nm_store_rest(nm_store *store, const void *room);

/** Bytes that were taken in the file. */
size_t nm_store_in_file(const nm_store *store);

#endif
