/* Tensor data outside the model file.
 *
 * A model must not make its reader open files elsewhere: the location is a relative path without
 * "..", and what it resolves to (links followed) must lie inside the model's folder. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/onnx_model.h"

static bool climbs(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return true;
    }
    return false;
}

static bool lies_inside(const char *real, const char *real_folder)
{
    size_t n = strlen(real_folder);

    if (n > 0 && real_folder[n - 1] == '/') /* the root folder */
        n--;
    return strncmp(real, real_folder, n) == 0 && real[n] == '/';
}

/* Opens folder/location if that really lies inside the folder. */
static nm_status open_inside(const char *folder, const char *location, FILE **out, nm_err *err)
{
    nm_status rc = NM_OK;
    char *real = NULL, *real_folder = realpath(folder, NULL);
    char path[PATH_MAX];
    struct stat info;

    *out = NULL;
    if (snprintf(path, sizeof path, "%s/%s", folder, location) >= (int)sizeof path)
        NM_THROW(err, NM_E_FORMAT, "the path of its external data is too long");
    real = realpath(path, NULL);
    if (!real || !real_folder)
        NM_THROW(err, NM_E_IO, "cannot open its external data " NM_NAME ": %s", location,
                 strerror(errno));
    if (!lies_inside(real, real_folder))
        NM_THROW(err, NM_E_FORMAT, "external data " NM_NAME " lies outside the model's folder",
                 location);
    if (stat(real, &info) != 0 || !S_ISREG(info.st_mode))
        NM_THROW(err, NM_E_IO, "external data " NM_NAME " is not a regular file", location);
    *out = fopen(real, "rb");
    if (!*out)
        rc = nm_fail(err, NM_E_IO, "cannot open its external data " NM_NAME ": %s", location,
                     strerror(errno));
done:
    free(real);
    free(real_folder);
    return rc;
}

static nm_status parse_number(const char *text, const char *what, uint64_t *out, nm_err *err)
{
    uint64_t value = 0;

    if (*text == 0)
        return nm_fail(err, NM_E_FORMAT, "the %s of its external data is empty", what);
    for (const char *c = text; *c; c++)
        if (*c < '0' || *c > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value))
            return nm_fail(err, NM_E_FORMAT,
                           "the %s of its external data is " NM_NAME ", expected a number below "
                           "2^64",
                           what, text);
    *out = value;
    return NM_OK;
}

static nm_status check_range(FILE *f, uint64_t offset, size_t n_bytes, const char *location,
                             nm_err *err)
{
    struct stat info;

    if (fstat(fileno(f), &info) != 0)
        return nm_fail(err, NM_E_IO, "external data " NM_NAME ": %s", location, strerror(errno));
    if (offset > (uint64_t)info.st_size || n_bytes > (uint64_t)info.st_size - offset)
        return nm_fail(err, NM_E_FORMAT,
                       "external data " NM_NAME " has %lld bytes, expected %zu from byte %llu on",
                       location, (long long)info.st_size, n_bytes, (unsigned long long)offset);
    return NM_OK;
}

static nm_status check_location(const nm_onnx_tensor *tensor, const char *folder, nm_err *err)
{
    if (!tensor->location || *tensor->location == 0)
        return nm_fail(err, NM_E_FORMAT, "its data is external, but no location is given");
    if (tensor->location[0] == '/' || climbs(tensor->location))
        return nm_fail(err, NM_E_FORMAT,
                       "external data " NM_NAME " lies outside the model's folder",
                       tensor->location);
    if (!folder)
        return nm_fail(err, NM_E_UNSUPPORTED, "its data is external to a model without a folder");
    return NM_OK;
}

nm_status nm_onnx_read_external(const nm_onnx_tensor *tensor, const char *folder, size_t n_bytes,
                                unsigned char **out, nm_err *err)
{
    nm_status rc = NM_OK;
    FILE *f = NULL;
    uint64_t offset = 0, length = n_bytes;

    *out = NULL;
    NM_TRY(check_location(tensor, folder, err));
    if (tensor->offset)
        NM_TRY(parse_number(tensor->offset, "offset", &offset, err));
    if (tensor->length)
        NM_TRY(parse_number(tensor->length, "length", &length, err));
    if (length != n_bytes)
        NM_THROW(err, NM_E_FORMAT, "its external data has length %llu, expected %zu",
                 (unsigned long long)length, n_bytes);
    NM_TRY(open_inside(folder, tensor->location, &f, err));
    NM_TRY(check_range(f, offset, n_bytes, tensor->location, err));
    NM_TRY(nm_alloc(out, n_bytes, 1, err));
    if (fseeko(f, (off_t)offset, SEEK_SET) != 0 || fread(*out, 1, n_bytes, f) != n_bytes)
        NM_THROW(err, NM_E_IO, "cannot read all of external data " NM_NAME, tensor->location);
done:
    if (f)
        (void)fclose(f);
    if (rc != NM_OK) {
        nm_free(*out);
        *out = NULL;
    }
    return rc;
}
