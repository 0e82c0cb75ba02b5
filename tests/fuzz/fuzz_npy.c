#include "fuzz/fuzz_points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_err err = {0};
    nm_array array;

    fuzz_points(&nm_format_npy, data, size);
    if (nm_npy_parse(data, size, &array, &err) == NM_OK && array.n_values > (int64_t)size)
        abort();
    nm_array_free(&array);
    return 0;
}
