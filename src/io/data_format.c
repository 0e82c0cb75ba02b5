#include "io/data_format.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"

/* Likely content is tried in this order: IDX before the readers that take nearly anything. */
static const nm_data_format *const formats[] = {&nm_format_npy,   &nm_format_npz, &nm_format_idx,
                                                &nm_format_cifar, &nm_format_csv, NULL};

static bool ends_with(const char *text, size_t n, const char *suffix)
{
    size_t m = strlen(suffix);

    return n > m && strncasecmp(text + n - m, suffix, m) == 0;
}

static bool has_suffix(const nm_data_format *format, const char *path)
{
    size_t n = strlen(path);

    if (ends_with(path, n, ".gz"))
        n -= 3;
    for (const char *const *suffix = format->suffixes; *suffix; suffix++)
        if (ends_with(path, n, *suffix))
            return true;
    return false;
}

nm_status nm_data_format_find(const char *path, const unsigned char *data, size_t n_bytes,
                              const nm_data_format **out, nm_err *err)
{
    const nm_data_format *const *f;

    for (f = formats; *f && !((*f)->is_certain && (*f)->is_certain(data, n_bytes)); f++)
        ;
    if (!*f)
        for (f = formats; *f && !has_suffix(*f, path); f++)
            ;
    if (!*f)
        for (f = formats; *f && !((*f)->is_likely && (*f)->is_likely(data, n_bytes)); f++)
            ;
    *out = *f;
    return *f ? NM_OK
              : nm_fail(err, NM_E_UNSUPPORTED,
                        "%s: unknown format, expected .npy, .npz, .csv, IDX or CIFAR-10 .bin",
                        path);
}

void nm_data_table_free(nm_data_table *table)
{
    for (size_t i = 0; i < sizeof table->unpacked / sizeof *table->unpacked; i++)
        nm_free(table->unpacked[i]);
    memset(table, 0, sizeof *table);
}
