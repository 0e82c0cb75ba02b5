#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "netmend/data.h"

/* Writes an array byte for byte as numpy.save() does: header padded with blanks so that the data
   begin at a multiple of 64 bytes. Elements are little-endian, as this machine's. */
static nm_status write_array(const char *path, const char *descr, const char *shape,
                             const void *data, size_t size, size_t n, nm_err *err)
{
    enum { ALIGN = 64, BEFORE_HEADER = 10 };
    char header[2 * ALIGN];
    nm_writer w;
    nm_status rc;
    int used = snprintf(header, sizeof header,
                        "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape);
    int length = (BEFORE_HEADER + used + 1 + ALIGN - 1) / ALIGN * ALIGN - BEFORE_HEADER;

    rc = nm_writer_open(&w, path, err);
    if (rc != NM_OK)
        return rc;
    /* Short writes leave the stream's error flag set, which commit looks at. */
    (void)fwrite("\x93NUMPY\x01\x00", 1, 8, w.stream);
    (void)fputc(length & 0xff, w.stream);
    (void)fputc(length >> 8, w.stream);
    (void)fprintf(w.stream, "%-*s\n", length - 1, header);
    (void)fwrite(data, size, n, w.stream);
    return nm_writer_commit(&w, err);
}

nm_status nm_npy_write_f32(const char *path, const float *x, int64_t n, int64_t n_cols, nm_err *err)
{
    char shape[48];

    (void)snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)n, (long long)n_cols);
    return write_array(path, "<f4", shape, x, sizeof *x, (size_t)n * (size_t)n_cols, err);
}

nm_status nm_npy_write_i64(const char *path, const int64_t *x, int64_t n, nm_err *err)
{
    char shape[48];

    (void)snprintf(shape, sizeof shape, "(%lld,)", (long long)n);
    return write_array(path, "<i8", shape, x, sizeof *x, (size_t)n, err);
}
