#include "report/png.h"

#include <inttypes.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"

enum { MAX_SIDE = 65535, CHUNK_FRAME = 12, HEADER_BYTES = 13 };

static const unsigned char SIGNATURE[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static unsigned char *put_u32(unsigned char *to, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *to++ = (unsigned char)(v >> shift);
    return to;
}

/* Length, type, data, and the checksum of type and data. @return the end */
static unsigned char *put_chunk(unsigned char *to, const char type[4], const unsigned char *data,
                                uint32_t n)
{
    unsigned char *covered;

    to = covered = put_u32(to, n);
    memcpy(to, type, 4);
    if (n > 0)
        memcpy(to + 4, data, n);
    return put_u32(to + 4 + n, (uint32_t)crc32(0, covered, (uInt)n + 4));
}

/* Rows as they stand: filter 0 before each. */
static void put_rows(unsigned char *to, const unsigned char *pixels, size_t row_bytes,
                     int64_t height)
{
    for (int64_t y = 0; y < height; y++, pixels += row_bytes) {
        *to++ = 0;
        memcpy(to, pixels, row_bytes);
        to += row_bytes;
    }
}

static nm_status assemble(const unsigned char header[HEADER_BYTES], const unsigned char *packed,
                          size_t n_packed, nm_buffer *out, nm_err *err)
{
    size_t n = sizeof SIGNATURE + 3 * CHUNK_FRAME + HEADER_BYTES + n_packed;
    nm_status rc = nm_alloc(&out->data, n + 1, 1, err);
    unsigned char *at = out->data;

    if (rc != NM_OK)
        return rc;
    out->n_bytes = n;
    memcpy(at, SIGNATURE, sizeof SIGNATURE);
    at = put_chunk(at + sizeof SIGNATURE, "IHDR", header, HEADER_BYTES);
    at = put_chunk(at, "IDAT", packed, (uint32_t)n_packed);
    (void)put_chunk(at, "IEND", NULL, 0);
    return NM_OK;
}

nm_status nm_png_pack(const unsigned char *pixels, int64_t width, int64_t height, int n_channels,
                      nm_buffer *out, nm_err *err)
{
    unsigned char header[HEADER_BYTES] = {0}, *rows = NULL, *packed = NULL;
    size_t row_bytes, n_raw;
    uLongf n_packed;
    nm_status rc = NM_OK;

    *out = (nm_buffer){0};
    if (width < 1 || height < 1 || width > MAX_SIDE || height > MAX_SIDE ||
        (n_channels != 1 && n_channels != 3))
        return nm_fail(err, NM_E_ARG,
                       "image of %" PRId64 " x %" PRId64 " pixels and %d channels: expected 1 to "
                       "%d pixels a side, 1 or 3 channels",
                       width, height, n_channels, MAX_SIDE);
    row_bytes = (size_t)width * (size_t)n_channels;
    n_raw = (row_bytes + 1) * (size_t)height;
    if (n_raw > UINT32_MAX / 2)
        return nm_fail(err, NM_E_ARG, "image of %" PRId64 " x %" PRId64 " pixels: too large", width,
                       height);
    n_packed = compressBound((uLong)n_raw);
    NM_TRY(nm_alloc(&rows, n_raw, 1, err));
    NM_TRY(nm_alloc(&packed, n_packed, 1, err));
    put_rows(rows, pixels, row_bytes, height);
    if (compress2(packed, &n_packed, rows, (uLong)n_raw, Z_BEST_COMPRESSION) != Z_OK)
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    (void)put_u32(put_u32(header, (uint32_t)width), (uint32_t)height);
    header[8] = 8;                       /* bits a channel */
    header[9] = n_channels == 3 ? 2 : 0; /* colour type */
    NM_TRY(assemble(header, packed, n_packed, out, err));
done:
    nm_free(rows);
    nm_free(packed);
    return rc;
}
