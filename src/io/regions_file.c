/* Regions from .npy files. */
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/mem.h"
#include "io/array.h"
#include "netmend/regions.h"

/* Inflated. 2^27 numbers of eight bytes. */
#define MOST_BYTES ((size_t)1 << 30)

static nm_status check_shape(const nm_array *array, bool boxes, int64_t n_in, nm_err *err)
{
    const char *expected = boxes ? "[boxes, inputs, 2]" : "[regions, vertices, inputs]";
    const nm_array_shape *shape = &array->shape;
    char text[128];
    bool fits = shape->rank == 3 && array->n_values > 0 && (!boxes || shape->dims[2] == 2);
    int64_t inputs = fits ? shape->dims[boxes ? 1 : 2] : 0;

    (void)nm_array_shape_text(shape, text, sizeof text);
    if (!fits)
        return nm_fail(err, NM_E_SHAPE, "an array of shape %s, expected %s", text, expected);
    if (n_in > 0 && inputs != n_in)
        return nm_fail(err, NM_E_SHAPE, "%lld inputs (shape %s), expected %lld as the network has",
                       (long long)inputs, text, (long long)n_in);
    return NM_OK;
}

static nm_status from_array(const nm_array *array, bool boxes, nm_regions *out, nm_err *err)
{
    const int64_t *dims = array->shape.dims;
    double *ends = NULL;
    nm_status rc = NM_OK;

    if (!boxes)
        return nm_regions_from_vertices(array->values, dims[0], dims[1], dims[2], out, err);
    int64_t n = dims[0] * dims[1];

    NM_TRY(nm_alloc(&ends, (size_t)n, 2 * sizeof *ends, err));
    for (int64_t i = 0; i < n; i++) {
        ends[i] = array->values[2 * i];
        ends[n + i] = array->values[2 * i + 1];
    }
    NM_TRY(nm_regions_from_boxes(ends, ends + n, dims[0], dims[1], out, err));
done:
    nm_free(ends);
    return rc;
}

nm_status nm_regions_load(nm_ctx *ctx, const char *path, bool boxes, int64_t n_in, nm_regions *out,
                          nm_err *err)
{
    nm_buffer file = {0};
    nm_array array = {0};
    nm_status rc = NM_OK;

    *out = (nm_regions){0};
    NM_TRY(nm_ctx_check(ctx, err));
    NM_TRY(nm_file_read_gz(path, MOST_BYTES, &file, err));
    rc = nm_npy_parse(file.data, file.n_bytes, &array, err);
    if (rc == NM_OK)
        rc = check_shape(&array, boxes, n_in, err);
    if (rc == NM_OK)
        rc = from_array(&array, boxes, out, err);
    if (rc == NM_E_ARG) /* what the file says, not what the caller asked */
        rc = err->code = NM_E_FORMAT;
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
done:
    nm_array_free(&array);
    nm_buffer_free(&file);
    return rc;
}
