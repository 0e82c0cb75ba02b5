#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

static nm_status io_fail(nm_err *err, const char *path, const char *what)
{
    return nm_fail(err, NM_E_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

nm_status nm_file_read(const char *path, size_t max_bytes, nm_buffer *out, nm_err *err)
{
    nm_status rc = NM_OK;
    struct stat info;
    FILE *f = fopen(path, "rb");

    memset(out, 0, sizeof *out);
    if (!f)
        return io_fail(err, path, "open");
    if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode))
        NM_THROW(err, NM_E_IO, "%s: not a regular file", path);
    if ((uintmax_t)info.st_size > max_bytes)
        NM_THROW(err, NM_E_FORMAT, "%s: %jd bytes, expected at most %zu", path,
                 (intmax_t)info.st_size, max_bytes);
    out->n_bytes = (size_t)info.st_size;
    NM_TRY(nm_alloc(&out->data, out->n_bytes + 1, 1, err));
    if (fread(out->data, 1, out->n_bytes, f) != out->n_bytes)
        rc = io_fail(err, path, "read all of it");
done:
    (void)fclose(f);
    if (rc != NM_OK)
        nm_buffer_free(out);
    return rc;
}

/* Inflates `packed` into `out`, growing it by doubling: the size written in a gzip file is no
 * promise. */
static nm_status inflate_all(const char *path, const nm_buffer *packed, size_t max_bytes,
                             nm_buffer *out, nm_err *err)
{
    nm_status rc = NM_OK;
    z_stream z = {0};
    size_t room = packed->n_bytes < 1u << 20 ? 1u << 16 : 4 * packed->n_bytes;
    int end = Z_OK;

    memset(out, 0, sizeof *out);
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return nm_fail(err, NM_E_NOMEM, "%s: cannot start to inflate", path);
    z.next_in = packed->data;
    z.avail_in = (uInt)packed->n_bytes;
    while (end != Z_STREAM_END) {
        room = room < max_bytes ? room : max_bytes;
        NM_TRY(nm_realloc(&out->data, room + 1, 1, err));
        z.next_out = out->data + out->n_bytes;
        z.avail_out = (uInt)(room - out->n_bytes);
        end = inflate(&z, Z_NO_FLUSH);
        out->n_bytes = (size_t)(z.next_out - out->data);
        if (end != Z_OK && end != Z_STREAM_END)
            NM_THROW(err, NM_E_FORMAT, "%s: damaged or truncated gzip data", path);
        if (end == Z_OK && z.avail_out > 0)
            NM_THROW(err, NM_E_FORMAT, "%s: gzip data ends early", path);
        if (end == Z_OK && room == max_bytes)
            NM_THROW(err, NM_E_FORMAT, "%s: inflates to more than %zu bytes", path, max_bytes);
        room *= 2;
    }
    if (z.avail_in > 0)
        NM_THROW(err, NM_E_FORMAT, "%s: %u bytes after the end of the gzip data", path, z.avail_in);
    out->data[out->n_bytes] = 0;
done:
    (void)inflateEnd(&z);
    if (rc != NM_OK)
        nm_buffer_free(out);
    return rc;
}

size_t nm_inflate_bound(size_t n_packed)
{
    const size_t least = (size_t)16 << 20, ratio = 256;

    if (n_packed <= least / ratio)
        return least;
    return n_packed <= SIZE_MAX / ratio ? n_packed * ratio : SIZE_MAX;
}

nm_status nm_file_read_gz(const char *path, size_t max_bytes, nm_buffer *out, nm_err *err)
{
    nm_buffer packed;
    size_t bound = max_bytes < UINT32_MAX ? max_bytes : UINT32_MAX;
    nm_status rc = nm_file_read(path, bound, &packed, err);

    memset(out, 0, sizeof *out);
    if (rc != NM_OK)
        return rc;
    if (packed.n_bytes < 2 || packed.data[0] != 0x1f || packed.data[1] != 0x8b) {
        *out = packed;
        return NM_OK;
    }
    if (bound > nm_inflate_bound(packed.n_bytes))
        bound = nm_inflate_bound(packed.n_bytes);
    rc = inflate_all(path, &packed, bound, out, err);
    nm_buffer_free(&packed);
    return rc;
}

void nm_buffer_free(nm_buffer *buffer)
{
    nm_free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

/* Opens a new file beside the wanted one: rename() is atomic only within one file system. */
static nm_status open_temp(nm_writer *w, nm_err *err)
{
    static const mode_t mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
    size_t room = strlen(w->path) + 32;
    nm_status rc = nm_alloc(&w->temp_path, room, 1, err);

    if (rc != NM_OK)
        return rc;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(w->temp_path, room, "%s.%ld-%d.tmp", w->path, (long)getpid(), i);
        int fd = open(w->temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd >= 0) {
            w->stream = fdopen(fd, "wb");
            return w->stream ? NM_OK : io_fail(err, w->path, "write");
        }
        if (errno != EEXIST)
            break;
    }
    return io_fail(err, w->path, "write");
}

static void writer_clear(nm_writer *w)
{
    nm_free(w->path);
    nm_free(w->temp_path);
    memset(w, 0, sizeof *w);
}

/* Devices and pipes are written in place: renaming a file over them would replace them. */
static bool is_special(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && !S_ISREG(info.st_mode);
}

static nm_status open_in_place(nm_writer *w, nm_err *err)
{
    w->stream = fopen(w->path, "wb");
    return w->stream ? NM_OK : io_fail(err, w->path, "write");
}

/* A link keeps pointing at the file it names: the rename happens where that file is. */
static nm_status resolve_path(char **out, const char *path, nm_err *err)
{
    char *real = realpath(path, NULL);
    nm_status rc = nm_strdup(out, real ? real : path, err);

    free(real);
    return rc;
}

nm_status nm_writer_open(nm_writer *w, const char *path, nm_err *err)
{
    nm_status rc;

    memset(w, 0, sizeof *w);
    rc = resolve_path(&w->path, path, err);
    if (rc == NM_OK)
        rc = is_special(path) ? open_in_place(w, err) : open_temp(w, err);
    if (rc != NM_OK)
        writer_clear(w);
    return rc;
}

nm_status nm_writer_commit(nm_writer *w, nm_err *err)
{
    nm_status rc = NM_OK;
    bool failed = fflush(w->stream) != 0 || ferror(w->stream) ||
                  (w->temp_path && fsync(fileno(w->stream)) != 0);

    if (failed)
        rc = io_fail(err, w->path, "write");
    if (fclose(w->stream) != 0 && rc == NM_OK)
        rc = io_fail(err, w->path, "write");
    if (rc == NM_OK && w->temp_path && rename(w->temp_path, w->path) != 0)
        rc = io_fail(err, w->path, "write");
    if (rc != NM_OK && w->temp_path)
        (void)unlink(w->temp_path);
    writer_clear(w);
    return rc;
}

void nm_writer_abort(nm_writer *w)
{
    if (!w->stream)
        return;
    (void)fclose(w->stream);
    if (w->temp_path)
        (void)unlink(w->temp_path);
    writer_clear(w);
}

nm_status nm_file_write(const char *path, const void *data, size_t n_bytes, nm_err *err)
{
    nm_writer w;
    nm_status rc = nm_writer_open(&w, path, err);

    if (rc != NM_OK)
        return rc;
    /* A short write leaves the stream's error flag set, which commit looks at. */
    (void)fwrite(data, 1, n_bytes, w.stream);
    return nm_writer_commit(&w, err);
}
