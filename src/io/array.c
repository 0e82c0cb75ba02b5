#include "io/array.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

size_t nm_array_dtype_size(nm_array_dtype dtype)
{
    static const size_t sizes[] = {2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1};

    return sizes[dtype];
}

bool nm_array_shape_count(const nm_array_shape *shape, int64_t *count)
{
    *count = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0 || __builtin_mul_overflow(*count, shape->dims[i], count))
            return false;
    return true;
}

const char *nm_array_shape_text(const nm_array_shape *shape, char *text, size_t n_bytes)
{
    size_t used = (size_t)snprintf(text, n_bytes, "[");

    for (int i = 0; i < shape->rank && used < n_bytes; i++)
        used += (size_t)snprintf(text + used, n_bytes - used, "%s%lld", i > 0 ? ", " : "",
                                 (long long)shape->dims[i]);
    if (used < n_bytes)
        (void)snprintf(text + used, n_bytes - used, "]");
    return text;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static double half_to_double(uint16_t bits)
{
    int exponent = (bits >> 10) & 0x1f, fraction = bits & 0x3ff;
    double magnitude;

    if (exponent == 0x1f)
        magnitude = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else
        magnitude = ldexp(fraction | 0x400, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static double bool_to_double(uint8_t byte)
{
    return byte != 0;
}

#define SAME(value) (value)

/* One tight loop for each type: elements may lie at any address, hence the copies. */
#define DECODE(bits, type, swap, convert)                                                          \
    for (size_t i = 0; i < n; i++) {                                                               \
        uint##bits##_t raw;                                                                        \
        type value;                                                                                \
        memcpy(&raw, p + i * sizeof raw, sizeof raw);                                              \
        raw = (uint##bits##_t)swap(raw);                                                           \
        memcpy(&value, &raw, sizeof value);                                                        \
        out[i] = (double)convert(value);                                                           \
    }

#define DECODE_WIDE(bits, type, convert)                                                           \
    if (rows->big_endian) {                                                                        \
        DECODE(bits, type, __builtin_bswap##bits, convert)                                         \
    } else {                                                                                       \
        DECODE(bits, type, SAME, convert)                                                          \
    }

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte order of this machine");

void nm_array_rows_decode(const nm_array_rows *rows, int64_t row, double *out)
{
    const unsigned char *p = rows->data + (size_t)row * rows->stride;
    const size_t n = (size_t)rows->n_cols;

    switch (rows->dtype) {
    case NM_DTYPE_F16:
        DECODE_WIDE(16, uint16_t, half_to_double)
        break;
    case NM_DTYPE_F32:
        DECODE_WIDE(32, float, SAME)
        break;
    case NM_DTYPE_F64:
        DECODE_WIDE(64, double, SAME)
        break;
    case NM_DTYPE_I8:
        DECODE(8, int8_t, SAME, SAME)
        break;
    case NM_DTYPE_I16:
        DECODE_WIDE(16, int16_t, SAME)
        break;
    case NM_DTYPE_I32:
        DECODE_WIDE(32, int32_t, SAME)
        break;
    case NM_DTYPE_I64:
        DECODE_WIDE(64, int64_t, SAME)
        break;
    case NM_DTYPE_U8:
        DECODE(8, uint8_t, SAME, SAME)
        break;
    case NM_DTYPE_U16:
        DECODE_WIDE(16, uint16_t, SAME)
        break;
    case NM_DTYPE_U32:
        DECODE_WIDE(32, uint32_t, SAME)
        break;
    case NM_DTYPE_U64:
        DECODE_WIDE(64, uint64_t, SAME)
        break;
    case NM_DTYPE_BOOL:
        DECODE(8, uint8_t, SAME, bool_to_double)
        break;
    }
}

nm_status nm_array_view_check(nm_array_view *view, size_t n_bytes, nm_err *err)
{
    size_t wanted;
    char shape[128];

    if (!nm_array_shape_count(&view->shape, &view->n_values) ||
        !nm_mul_size((size_t)view->n_values, nm_array_dtype_size(view->dtype), &wanted))
        return nm_fail(err, NM_E_FORMAT, "shape %s is more than any memory holds",
                       nm_array_shape_text(&view->shape, shape, sizeof shape));
    if (n_bytes != wanted)
        return nm_fail(err, NM_E_FORMAT, "%zu bytes of data, expected %zu for shape %s", n_bytes,
                       wanted, nm_array_shape_text(&view->shape, shape, sizeof shape));
    return NM_OK;
}

/* Copies the elements of an array in Fortran order (first index fastest) in C order. */
static nm_status copy_c_order(const nm_array_view *view, unsigned char **out, nm_err *err)
{
    size_t size = nm_array_dtype_size(view->dtype), n = (size_t)view->n_values, from = 0;
    size_t stride[NM_ARRAY_MAX_RANK] = {0}, index[NM_ARRAY_MAX_RANK] = {0};
    nm_status rc = nm_alloc(out, n, size, err);

    if (rc != NM_OK)
        return rc;
    for (int axis = 0; axis < view->shape.rank; axis++)
        stride[axis] = axis == 0 ? size : stride[axis - 1] * (size_t)view->shape.dims[axis - 1];
    for (size_t to = 0; to < n; to++) {
        memcpy(*out + to * size, view->values + from, size);
        /* The next index in C order: the last axis counts, full axes carry. */
        for (int axis = view->shape.rank - 1; axis >= 0; axis--) {
            from += stride[axis];
            if (++index[axis] < (size_t)view->shape.dims[axis])
                break;
            from -= index[axis] * stride[axis];
            index[axis] = 0;
        }
    }
    return NM_OK;
}

nm_status nm_array_view_rows(const nm_array_view *view, unsigned char **copy, nm_array_rows *out,
                             nm_err *err)
{
    const nm_array_shape *shape = &view->shape;

    *copy = NULL;
    memset(out, 0, sizeof *out);
    if (shape->rank == 0)
        return nm_fail(err, NM_E_SHAPE,
                       "a single number, expected a first axis that counts points");
    out->n = shape->dims[0];
    out->shape.rank = shape->rank - 1;
    memcpy(out->shape.dims, shape->dims + 1, sizeof shape->dims - sizeof *shape->dims);
    /* No bytes of data stand behind rows of no numbers, so their count could be anything. */
    if (!nm_array_shape_count(&out->shape, &out->n_cols) || out->n_cols == 0)
        return nm_fail(err, NM_E_SHAPE, "0 numbers per point");
    out->dtype = view->dtype;
    out->big_endian = view->big_endian;
    out->data = view->values;
    out->stride = (size_t)out->n_cols * nm_array_dtype_size(view->dtype);
    if (view->fortran_order) {
        nm_status rc = copy_c_order(view, copy, err);
        if (rc != NM_OK)
            return rc;
        out->data = *copy;
    }
    return NM_OK;
}

nm_status nm_array_convert(const nm_array_view *view, nm_array *out, nm_err *err)
{
    nm_status rc = NM_OK;
    unsigned char *ordered = NULL;

    out->dtype = view->dtype;
    out->shape = view->shape;
    out->n_values = view->n_values;
    NM_TRY(nm_alloc(&out->values, (size_t)view->n_values, sizeof *out->values, err));
    if (view->fortran_order)
        NM_TRY(copy_c_order(view, &ordered, err));
    nm_array_rows_decode(&(nm_array_rows){.n = 1,
                                          .n_cols = view->n_values,
                                          .data = ordered ? ordered : view->values,
                                          .dtype = view->dtype,
                                          .big_endian = view->big_endian},
                         0, out->values);
done:
    nm_free(ordered);
    return rc;
}

void nm_array_free(nm_array *array)
{
    if (!array)
        return;
    nm_free(array->name);
    nm_free(array->values);
    memset(array, 0, sizeof *array);
}
