#include "fuzz/fuzz_points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { MAX_UNPACKED = 1 << 20 };
    nm_err err = {0};
    int64_t n_values = 0;
    nm_npz npz;

    fuzz_points(&nm_format_npz, data, size);
    (void)nm_npz_parse_all("f", data, size, MAX_UNPACKED, &npz, &err);
    for (int i = 0; i < npz.n_arrays; i++)
        n_values += npz.arrays[i].n_values;
    if (n_values > MAX_UNPACKED)
        abort();
    nm_npz_free(&npz);
    return 0;
}
