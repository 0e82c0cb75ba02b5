#include "base/hash.h"

#include <errno.h>
#include <sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

static void finish(SHA2_CTX *state, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256Final(digest, state);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[NM_SHA256_TEXT - 1] = '\0';
}

void nm_sha256(const void *data, size_t n_bytes, char hex[static NM_SHA256_TEXT])
{
    SHA2_CTX state;

    SHA256Init(&state);
    SHA256Update(&state, data, n_bytes);
    finish(&state, hex);
}

nm_status nm_sha256_file(const char *path, char hex[static NM_SHA256_TEXT], int64_t *n_bytes,
                         nm_err *err)
{
    enum { PIECE = 1 << 16 };
    nm_status rc = NM_OK;
    SHA2_CTX state;
    struct stat info;
    uint8_t *piece = NULL;
    size_t n;
    FILE *f = fopen(path, "rb");

    *n_bytes = 0;
    if (!f)
        return nm_fail(err, NM_E_IO, "%s: cannot open: %s", path, strerror(errno));
    if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode))
        NM_THROW(err, NM_E_IO, "%s: not a regular file", path);
    NM_TRY(nm_alloc(&piece, PIECE, 1, err));
    SHA256Init(&state);
    while ((n = fread(piece, 1, PIECE, f)) > 0) {
        SHA256Update(&state, piece, n);
        *n_bytes += (int64_t)n;
    }
    if (ferror(f))
        NM_THROW(err, NM_E_IO, "%s: cannot read: %s", path, strerror(errno));
    finish(&state, hex);
done:
    nm_free(piece);
    (void)fclose(f);
    return rc;
}
