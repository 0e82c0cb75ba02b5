#include "fuzz/fuzz_points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_points(&nm_format_idx, data, size);
    return 0;
}
