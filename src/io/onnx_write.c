/* A net read from ONNX goes back as the bytes it came from, but for edited constants. */
#include "io/onnx_write.h"

#include <string.h>

#include "base/mem.h"
#include "io/onnx_model.h"
#include "io/source.h"

static void put_little_endian(unsigned char *at, uint64_t bits, size_t n_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        at[i] = (unsigned char)(bits >> (8 * i));
}

static uint64_t bits_of(const nm_tensor *tensor, int64_t i)
{
    uint32_t narrow;
    uint64_t wide;

    if (tensor->dtype == NM_F64) {
        memcpy(&wide, &tensor->f64[i], sizeof wide);
        return wide;
    }
    memcpy(&narrow, &tensor->f32[i], sizeof narrow);
    return narrow;
}

/* Writes all elements over the old ones: unchanged values give unchanged bytes. */
static void patch_constant(const nm_tensor *tensor, const nm_stored *stored, nm_buffer *file)
{
    size_t width = tensor->dtype == NM_F64 ? 8 : 4;
    nm_wire rest = {file->data, stored->start, stored->end};
    nm_field run;
    int64_t n = 0;

    while (nm_onnx_next_run(&rest, stored->field, &run))
        for (size_t i = 0; i + width <= run.n_bytes && n < tensor->size; i += width)
            put_little_endian(file->data + run.start + i, bits_of(tensor, n++), width);
}

nm_status nm_onnx_patch(const nm_net *net, nm_buffer *out, nm_err *err)
{
    const nm_file_source *source = nm_net_source(net, NM_FORMAT_ONNX);
    nm_status rc;

    memset(out, 0, sizeof *out);
    if (source->external)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network keeps tensors outside its file, and such are not written; "
                       "expected one with all its data inside");
    rc = nm_memdup(&out->data, source->file.data, source->file.n_bytes + 1, 1, err);
    if (rc != NM_OK)
        return rc;
    out->n_bytes = source->file.n_bytes;
    for (size_t i = 0; i < source->n_stored; i++)
        patch_constant(net->values[source->stored[i].value].constant, &source->stored[i], out);
    return NM_OK;
}
