/* CIFAR-10 binary: records of one label byte and 3 x 32 x 32 pixel bytes (red, green, blue plane),
   without any header. Source: A. Krizhevsky, the CIFAR-10 web page, "binary version". */
#include "io/data_format.h"

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS, N_CLASSES = 10 };

static nm_status check_labels(const nm_data_query *query, const unsigned char *data, size_t n,
                              nm_err *err)
{
    for (size_t i = 0; i < n; i++)
        if (data[i * RECORD] >= N_CLASSES)
            return nm_fail(err, NM_E_FORMAT, "%s: record %zu (byte %zu): label %d, expected 0 to 9",
                           query->path, i, i * RECORD, data[i * RECORD]);
    return NM_OK;
}

static nm_status read_cifar(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                            nm_data_table *out, nm_err *err)
{
    size_t n = n_bytes / RECORD;
    const nm_array_rows column = {.n = (int64_t)n, .stride = RECORD, .dtype = NM_DTYPE_U8};

    if (n_bytes % RECORD != 0)
        return nm_fail(err, NM_E_FORMAT,
                       "%s: record %zu (byte %zu) is cut off after %zu bytes, expected CIFAR-10 "
                       "records of %d",
                       query->path, n, n * RECORD, n_bytes % RECORD, RECORD);
    out->labels = column;
    out->labels.n_cols = 1;
    out->labels.data = data;
    out->inputs = column;
    out->inputs.shape = (nm_array_shape){.rank = 3, .dims = {3, 32, 32}};
    out->inputs.n_cols = PIXELS;
    out->inputs.data = data + 1;
    return check_labels(query, data, n, err);
}

const nm_data_format nm_format_cifar = {
    .name = "CIFAR-10 binary",
    .suffixes = (const char *const[]){".bin", NULL},
    .read = read_cifar,
};
