/* .npz: a zip archive of .npy files. An archive may promise more than memory holds, so what it
   claims to inflate to is held against its own size before anything is allocated. */
#include <stdio.h>
#include <string.h>
#include <zip.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/data_format.h"

/* An open archive; `left` is what its members may still inflate to. */
typedef struct archive {
    const char *path;
    zip_t *zip;
    size_t left;
} archive;

static nm_status open_archive(const char *path, const unsigned char *data, size_t n_bytes,
                              size_t max_unpacked, archive *out, nm_err *err)
{
    nm_status rc = NM_OK;
    zip_error_t why;
    zip_source_t *source;

    *out = (archive){.path = path, .left = max_unpacked};
    zip_error_init(&why);
    source = zip_source_buffer_create(data, n_bytes, 0, &why);
    if (source)
        out->zip = zip_open_from_source(source, ZIP_RDONLY, &why);
    if (!out->zip) {
        rc = zip_error_code_zip(&why) == ZIP_ER_MEMORY ? NM_E_NOMEM : NM_E_FORMAT;
        (void)nm_fail(err, rc, "%s: not a sound zip archive: %s", path, zip_error_strerror(&why));
        zip_source_free(source);
    }
    zip_error_fini(&why);
    return rc;
}

static void close_archive(archive *a)
{
    if (a->zip)
        zip_discard(a->zip);
}

static const char *member_name(const archive *a, int64_t member)
{
    const char *name = zip_get_name(a->zip, (zip_uint64_t)member, 0);

    return name ? name : "";
}

/* Length of a member's name without ".npy"; 0 if it is not an array. */
static size_t array_name_length(const archive *a, int64_t member)
{
    const char *name = member_name(a, member);
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".npy") == 0 ? n - 4 : 0;
}

static nm_status member_fail(archive *a, zip_file_t *file, nm_err *err)
{
    return nm_fail(err, NM_E_FORMAT, "damaged: %s",
                   file ? zip_file_strerror(file) : zip_strerror(a->zip));
}

/* Reads exactly what the directory promises; the read past the end makes libzip check the CRC. */
static nm_status inflate_member(archive *a, int64_t member, nm_buffer *out, nm_err *err)
{
    nm_status rc = NM_OK;
    zip_stat_t info;
    zip_file_t *file = NULL;
    char past_the_end;

    if (zip_stat_index(a->zip, (zip_uint64_t)member, 0, &info) != 0 ||
        !(info.valid & ZIP_STAT_SIZE))
        NM_THROW(err, NM_E_FORMAT, "its size is missing");
    if (info.size > a->left)
        NM_THROW(err, NM_E_FORMAT, "inflates to %llu bytes, expected at most %zu",
                 (unsigned long long)info.size, a->left);
    a->left -= info.size;
    file = zip_fopen_index(a->zip, (zip_uint64_t)member, 0);
    if (!file) {
        rc = member_fail(a, NULL, err);
        goto done;
    }
    NM_TRY(nm_alloc(&out->data, info.size + 1, 1, err));
    out->n_bytes = info.size;
    if (zip_fread(file, out->data, info.size) != (zip_int64_t)info.size ||
        zip_fread(file, &past_the_end, 1) != 0)
        rc = member_fail(a, file, err);
done:
    if (file)
        (void)zip_fclose(file);
    return rc;
}

static nm_status load_array(archive *a, int64_t member, nm_array *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer bytes = {0};

    NM_TRY(inflate_member(a, member, &bytes, err));
    NM_TRY(nm_npy_parse(bytes.data, bytes.n_bytes, out, err));
    NM_TRY(nm_strdup(&out->name, member_name(a, member), err));
    out->name[array_name_length(a, member)] = 0;
done:
    nm_err_prefix(err, "%s: array '%s': ", a->path, member_name(a, member));
    nm_buffer_free(&bytes);
    if (rc != NM_OK)
        nm_array_free(out);
    return rc;
}

nm_status nm_npz_parse_all(const char *path, const unsigned char *data, size_t n_bytes,
                           size_t max_unpacked, nm_npz *out, nm_err *err)
{
    nm_status rc = NM_OK;
    archive a = {0};
    int64_t n_members;

    memset(out, 0, sizeof *out);
    NM_TRY(open_archive(path, data, n_bytes, max_unpacked, &a, err));
    n_members = zip_get_num_entries(a.zip, 0);
    NM_TRY(nm_alloc(&out->arrays, (size_t)n_members, sizeof *out->arrays, err));
    for (int64_t i = 0; i < n_members; i++) {
        if (array_name_length(&a, i) == 0)
            continue;
        NM_TRY(load_array(&a, i, &out->arrays[out->n_arrays], err));
        out->n_arrays++;
    }
done:
    close_archive(&a);
    if (rc != NM_OK)
        nm_npz_free(out);
    return rc;
}

nm_status nm_npz_load_all(const char *path, size_t max_unpacked, nm_npz *out, nm_err *err)
{
    nm_buffer file;
    nm_status rc = nm_file_read(path, NM_DATA_MAX_BYTES, &file, err);

    memset(out, 0, sizeof *out);
    if (rc != NM_OK)
        return rc;
    rc = nm_npz_parse_all(path, file.data, file.n_bytes, max_unpacked, out, err);
    nm_buffer_free(&file);
    return rc;
}

const nm_array *nm_npz_find(const nm_npz *npz, const char *name)
{
    for (int i = 0; i < npz->n_arrays; i++)
        if (strcmp(npz->arrays[i].name, name) == 0)
            return &npz->arrays[i];
    return NULL;
}

void nm_npz_free(nm_npz *npz)
{
    if (!npz)
        return;
    for (int i = 0; i < npz->n_arrays; i++)
        nm_array_free(&npz->arrays[i]);
    nm_free(npz->arrays);
    memset(npz, 0, sizeof *npz);
}

/* Index of the member NAME.npy, -1 if there is none. */
static int64_t find_array(const archive *a, const char *name)
{
    for (int64_t i = 0; i < zip_get_num_entries(a->zip, 0); i++)
        if (array_name_length(a, i) == strlen(name) &&
            strncmp(member_name(a, i), name, strlen(name)) == 0)
            return i;
    return -1;
}

/* The inputs are called x, or arr_0 when savez() was given no names; else the first array that is
   not the labels. */
static int64_t find_inputs(const archive *a, int64_t labels)
{
    int64_t found = find_array(a, "x");

    if (found < 0)
        found = find_array(a, "arr_0");
    for (int64_t i = 0; found < 0 && i < zip_get_num_entries(a->zip, 0); i++)
        if (i != labels && array_name_length(a, i) > 0)
            found = i;
    return found;
}

/* Rows of one array; owned[0] and owned[1] receive what they lie in. member < 0: there are none. */
static nm_status read_rows(archive *a, int64_t member, unsigned char **owned, nm_array_rows *out,
                           nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer bytes = {0};
    nm_array_view view;

    if (member < 0)
        return NM_OK;
    rc = inflate_member(a, member, &bytes, err);
    owned[0] = bytes.data;
    if (rc == NM_OK)
        rc = nm_npy_view(bytes.data, bytes.n_bytes, &view, err);
    if (rc == NM_OK)
        rc = nm_array_view_rows(&view, &owned[1], out, err);
    nm_err_prefix(err, "%s: array '%s': ", a->path, member_name(a, member));
    return rc;
}

static bool is_zip(const unsigned char *data, size_t n_bytes)
{
    return n_bytes >= 4 && (memcmp(data, "PK\3\4", 4) == 0 || memcmp(data, "PK\5\6", 4) == 0);
}

static nm_status read_npz(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                          nm_data_table *out, nm_err *err)
{
    nm_status rc = NM_OK;
    archive a = {0};
    int64_t inputs, labels;

    NM_TRY(open_archive(query->path, data, n_bytes, nm_inflate_bound(n_bytes), &a, err));
    labels = find_array(&a, "y");
    inputs = find_inputs(&a, labels);
    if (inputs < 0 && labels < 0)
        NM_THROW(err, NM_E_FORMAT, "%s: no arrays, expected x and perhaps y", query->path);
    NM_TRY(read_rows(&a, inputs, &out->unpacked[0], &out->inputs, err));
    NM_TRY(read_rows(&a, labels, &out->unpacked[2], &out->labels, err));
done:
    close_archive(&a);
    return rc;
}

const nm_data_format nm_format_npz = {
    .name = "npz",
    .suffixes = (const char *const[]){".npz", NULL},
    .is_certain = is_zip,
    .read = read_npz,
};
