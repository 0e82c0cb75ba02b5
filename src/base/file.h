/* Whole-file reading with a bound, and writing that never leaves a half file. */
#ifndef NM_BASE_FILE_H
#define NM_BASE_FILE_H

#include <stdio.h>

#include "base/err.h"

/** A file's bytes. Owned by whoever loaded it; free with nm_buffer_free(). */
typedef struct nm_buffer {
    unsigned char *data; /* n_bytes, followed by a 0 that is not counted */
    size_t n_bytes;
} nm_buffer;

/** Reads a regular file of at most max_bytes; messages name the path. */
nm_status nm_file_read(const char *path, size_t max_bytes, nm_buffer *out, nm_err *err);

/** What n packed bytes may inflate to: 16 MiB, or 256 times their number if that is more. Denser
 *  data are a trap rather than data, and memory has to stay in proportion to the file. */
size_t nm_inflate_bound(size_t n_packed);

/** Reads a file; gzip content (by magic, not name) is inflated, up to max_bytes in all and up to
 *  nm_inflate_bound(). */
nm_status nm_file_read_gz(const char *path, size_t max_bytes, nm_buffer *out, nm_err *err);

void nm_buffer_free(nm_buffer *buffer);

/** Writing: bytes go to a temporary file beside `path`; commit renames it over `path`.
 *  After nm_writer_open() succeeds, exactly one of commit and abort must follow. */
typedef struct nm_writer {
    FILE *stream;
    char *path, *temp_path;
} nm_writer;

nm_status nm_writer_open(nm_writer *w, const char *path, nm_err *err);

/** Flushes, checks every write (disk full shows here), syncs, renames. On failure nothing stays. */
nm_status nm_writer_commit(nm_writer *w, nm_err *err);
void nm_writer_abort(nm_writer *w);

/** open + write + commit. */
nm_status nm_file_write(const char *path, const void *data, size_t n_bytes, nm_err *err);

#endif
