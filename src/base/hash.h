/* SHA-256 (FIPS 180-4) of bytes and files, as lower-case hexadecimal text. */
#ifndef NM_BASE_HASH_H
#define NM_BASE_HASH_H

#include "base/err.h"

enum { NM_SHA256_TEXT = 65 }; /* 64 digits and the final 0 */

void nm_sha256(const void *data, size_t n_bytes, char hex[static NM_SHA256_TEXT]);

/** Of a regular file of any size, read in pieces. @param n_bytes  receives its length */
nm_status nm_sha256_file(const char *path, char hex[static NM_SHA256_TEXT], int64_t *n_bytes,
                         nm_err *err);

#endif
