/* IDX, the format of MNIST: two zero bytes, the element type, the number of axes, their sizes as
   big-endian 32-bit numbers, and the elements, big-endian too.
   Source: Y. LeCun, C. Cortes, C. Burges, the MNIST web page, "FILE FORMATS". */
#include "io/data_format.h"

static const size_t magic_bytes = 4, size_bytes = 4;

/* Signed bytes (0x09) are left out on purpose: no image data use them, and whether -128..127 means
   0..255 is anybody's guess. */
static bool find_dtype(unsigned char code, nm_array_dtype *dtype)
{
    static const struct {
        unsigned char code;
        nm_array_dtype dtype;
    } known[] = {{0x08, NM_DTYPE_U8},
                 {0x0B, NM_DTYPE_I16},
                 {0x0C, NM_DTYPE_I32},
                 {0x0D, NM_DTYPE_F32},
                 {0x0E, NM_DTYPE_F64}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code) {
            *dtype = known[i].dtype;
            return true;
        }
    return false;
}

static bool has_magic(const unsigned char *data, size_t n_bytes)
{
    nm_array_dtype dtype;

    return n_bytes >= magic_bytes && data[0] == 0 && data[1] == 0 && find_dtype(data[2], &dtype) &&
           data[3] >= 1 && data[3] <= NM_ARRAY_MAX_RANK;
}

static nm_status check_magic(const char *path, const unsigned char *data, size_t n_bytes,
                             nm_err *err)
{
    if (n_bytes < magic_bytes)
        return nm_fail(err, NM_E_FORMAT, "%s: %zu bytes, expected an IDX header", path, n_bytes);
    if (!has_magic(data, n_bytes))
        return nm_fail(err, NM_E_FORMAT,
                       "%s: magic 0x%02x%02x%02x%02x, expected 0x000008 (unsigned bytes; or 0b, "
                       "0c, 0d, 0e) and 1 to %d axes",
                       path, data[0], data[1], data[2], data[3], NM_ARRAY_MAX_RANK);
    if (n_bytes < magic_bytes + size_bytes * (size_t)data[3])
        return nm_fail(err, NM_E_FORMAT, "%s: ends within the sizes of its %d axes", path, data[3]);
    return NM_OK;
}

static int64_t read_size(const unsigned char *p)
{
    return (int64_t)p[0] << 24 | (int64_t)p[1] << 16 | (int64_t)p[2] << 8 | (int64_t)p[3];
}

static nm_status read_idx(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                          nm_data_table *out, nm_err *err)
{
    nm_array_view view = {.big_endian = true};
    nm_status rc = check_magic(query->path, data, n_bytes, err);

    if (rc != NM_OK)
        return rc;
    (void)find_dtype(data[2], &view.dtype);
    view.shape.rank = data[3];
    for (int i = 0; i < view.shape.rank; i++)
        view.shape.dims[i] = read_size(data + magic_bytes + size_bytes * (size_t)i);
    view.values = data + magic_bytes + size_bytes * (size_t)view.shape.rank;
    rc = nm_array_view_check(&view, (size_t)(data + n_bytes - view.values), err);
    if (rc == NM_OK)
        rc = nm_array_view_rows(&view, &out->unpacked[0], &out->inputs, err);
    nm_err_prefix(err, "%s: ", query->path);
    return rc;
}

const nm_data_format nm_format_idx = {
    .name = "IDX",
    .suffixes = (const char *const[]){"-ubyte", ".idx", ".idx1", ".idx3", NULL},
    .is_likely = has_magic,
    .read = read_idx,
};
