/* TensorProto: where its elements lie, and what they are. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "io/onnx_model.h"

/* TensorProto field numbers, beside NM_ONNX_..._DATA */
enum { T_DIMS = 1, T_DATA_TYPE = 2, T_NAME = 8, T_EXTERNAL = 13, T_LOCATION = 14 };

/* -- decoding the message ---------------------------------------------------------------- */

/* Appends the extents of one dims field (packed or one number). Anything but a positive extent is
   refused here, before sizes are computed from it. */
static nm_status add_dims(const nm_wire *wire, const nm_field *field, nm_shape *shape, nm_err *err)
{
    nm_wire elements = {wire->file, field->start, field->start + field->n_bytes};

    while (nm_wire_more(&elements)) {
        uint64_t extent;
        nm_status rc = nm_wire_varint(&elements, &extent, err);

        if (rc != NM_OK)
            return rc;
        if (shape->rank == NM_MAX_DIMS)
            return nm_fail(err, NM_E_UNSUPPORTED, "more than %d axes", NM_MAX_DIMS);
        if ((int64_t)extent < 1)
            return nm_fail(err, NM_E_FORMAT, "extent %lld on axis %d, expected at least 1",
                           (long long)extent, shape->rank);
        shape->dim[shape->rank++] = (int64_t)extent;
    }
    return NM_OK;
}

/* StringStringEntryProto: key = 1, value = 2 */
static nm_status decode_external(nm_wire wire, nm_pool *pool, nm_onnx_tensor *out, nm_err *err)
{
    nm_status rc = NM_OK;
    const char *key = "", *value = "";

    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, err));
        if (field.number == 1)
            NM_TRY(nm_onnx_text(&wire, &field, pool, &key, err));
        else if (field.number == 2)
            NM_TRY(nm_onnx_text(&wire, &field, pool, &value, err));
    }
    if (strcmp(key, "location") == 0)
        out->location = value;
    else if (strcmp(key, "offset") == 0)
        out->offset = value;
    else if (strcmp(key, "length") == 0)
        out->length = value;
done:
    return rc;
}

static bool is_data_field(uint32_t number)
{
    return (number >= NM_ONNX_FLOAT_DATA && number <= NM_ONNX_INT64_DATA) ||
           (number >= NM_ONNX_RAW_DATA && number <= NM_ONNX_UINT64_DATA);
}

/* Wire type of single elements; packed ones are bytes. */
static bool fits_data_field(const nm_field *field)
{
    switch (field->number) {
    case NM_ONNX_FLOAT_DATA:
        return field->type == NM_WIRE_BYTES || field->type == NM_WIRE_I32;
    case NM_ONNX_DOUBLE_DATA:
        return field->type == NM_WIRE_BYTES || field->type == NM_WIRE_I64;
    case NM_ONNX_RAW_DATA:
    case NM_ONNX_STRING_DATA:
        return field->type == NM_WIRE_BYTES;
    default:
        return field->type == NM_WIRE_BYTES || field->type == NM_WIRE_VARINT;
    }
}

static nm_status note_data(const nm_field *field, nm_onnx_tensor *out, nm_err *err)
{
    if (!fits_data_field(field))
        return nm_fail(err, NM_E_FORMAT, "byte %zu: tensor data of wire type %d", field->at,
                       (int)field->type);
    if (out->data_field != 0 && out->data_field != field->number)
        return nm_fail(err, NM_E_FORMAT, "byte %zu: data in fields %u and %u, expected one",
                       field->at, out->data_field, field->number);
    if (out->data_field == NM_ONNX_RAW_DATA)
        return nm_fail(err, NM_E_FORMAT, "byte %zu: raw data given twice", field->at);
    out->data_field = field->number;
    return NM_OK;
}

static nm_status decode_field(const nm_wire *wire, const nm_field *field, nm_pool *pool,
                              nm_onnx_tensor *out, nm_err *err)
{
    nm_wire entry;
    int64_t location;
    nm_status rc;

    switch (field->number) {
    case T_DIMS:
        return add_dims(wire, field, &out->shape, err);
    case T_DATA_TYPE:
        return nm_field_int(field, &out->data_type, err);
    case T_EXTERNAL:
        rc = nm_field_message(wire, field, &entry, err);
        return rc == NM_OK ? decode_external(entry, pool, out, err) : rc;
    case T_LOCATION:
        rc = nm_field_int(field, &location, err);
        out->external = rc == NM_OK && location == 1;
        return rc;
    default:
        return is_data_field(field->number) ? note_data(field, out, err) : NM_OK;
    }
}

nm_status nm_onnx_decode_tensor(nm_wire message, nm_pool *pool, nm_onnx_tensor *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_wire wire = message;

    out->name = "";
    out->at = message.pos;
    out->message = message;
    NM_TRY(nm_onnx_find_text(message, T_NAME, pool, &out->name, err));
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, err));
        NM_TRY(decode_field(&wire, &field, pool, out, err));
    }
done:
    if (rc != NM_OK)
        nm_err_prefix(err, "tensor " NM_NAME " (byte %zu): ", out->name, out->at);
    return rc;
}

bool nm_onnx_next_run(nm_wire *rest, uint32_t data_field, nm_field *run)
{
    while (nm_wire_more(rest))
        if (nm_wire_next(rest, run, NULL) != NM_OK)
            return false;
        else if (run->number == data_field)
            return true;
    return false;
}

/* -- elements ---------------------------------------------------------------------------- */

/* How the elements of one data type are stored. */
typedef struct type_info {
    int64_t data_type;
    nm_dtype dtype;
    uint32_t typed_field; /* where they are if not in raw_data ... */
    size_t typed_bytes;   /* ... bytes of each there, 0 = varint */
    size_t raw_bytes;     /* bytes of each in raw_data */
} type_info;

static const type_info types[] = {
    {NM_ONNX_FLOAT, NM_F32, NM_ONNX_FLOAT_DATA, 4, 4},
    {NM_ONNX_DOUBLE, NM_F64, NM_ONNX_DOUBLE_DATA, 8, 8},
    {NM_ONNX_INT64, NM_I64, NM_ONNX_INT64_DATA, 0, 8},
    {NM_ONNX_INT32, NM_I64, NM_ONNX_INT32_DATA, 0, 4},
    {NM_ONNX_BOOL, NM_BOOL, NM_ONNX_INT32_DATA, 0, 1},
};

static const type_info *find_type(int64_t data_type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].data_type == data_type)
            return &types[i];
    return NULL;
}

static nm_status refuse_type(int64_t data_type, nm_err *err)
{
    static const char *const names[] = {"undefined",  "float32", "uint8",  "int8",   "uint16",
                                        "int16",      "int32",   "int64",  "string", "bool",
                                        "float16",    "float64", "uint32", "uint64", "complex64",
                                        "complex128", "bfloat16"};
    const char *name = data_type >= 0 && data_type < (int64_t)(sizeof names / sizeof *names)
                           ? names[data_type]
                           : "unknown";

    return nm_fail(err, NM_E_UNSUPPORTED,
                   "data type %lld (%s), expected float32, float64, int32, int64 or bool",
                   (long long)data_type, name);
}

/* A converter stores one element; integers beyond 2^53 ("to the end" in a Slice) stay beyond any
   extent when held as a double. */
typedef struct element_sink {
    nm_tensor *tensor;
    int64_t n; /* stored so far */
    nm_err *err;
} element_sink;

static nm_status store(element_sink *sink, double value, size_t at)
{
    nm_tensor *tensor = sink->tensor;
    float narrow = (float)value;

    if (!isfinite(narrow))
        return nm_fail(sink->err, NM_E_FORMAT,
                       "element %lld (byte %zu) is %g, expected a finite float32",
                       (long long)sink->n, at, value);
    tensor->f64[sink->n] = value;
    tensor->f32[sink->n++] = narrow;
    return NM_OK;
}

static double int_to_double(int64_t value)
{
    const int64_t limit = INT64_C(1) << 53;

    return (double)(value > limit ? limit : value < -limit ? -limit : value);
}

static double fixed_to_double(const type_info *type, const unsigned char *bytes, size_t n_bytes)
{
    uint64_t bits = 0;
    uint32_t low;
    float narrow;
    double wide;

    for (size_t i = 0; i < n_bytes; i++)
        bits |= (uint64_t)bytes[i] << (8 * i);
    low = (uint32_t)bits;
    switch (type->data_type) {
    case NM_ONNX_FLOAT:
        memcpy(&narrow, &low, sizeof narrow);
        return (double)narrow;
    case NM_ONNX_DOUBLE:
        memcpy(&wide, &bits, sizeof wide);
        return wide;
    case NM_ONNX_INT32:
        return (double)(int32_t)low;
    default:
        return int_to_double((int64_t)bits);
    }
}

static nm_status store_fixed(element_sink *sink, const type_info *type, const unsigned char *bytes,
                             size_t n_bytes, size_t width, size_t at)
{
    nm_status rc = NM_OK;

    for (size_t i = 0; i < n_bytes && rc == NM_OK; i += width)
        rc = store(sink, fixed_to_double(type, bytes + i, width), at + i);
    return rc;
}

static nm_status store_varints(element_sink *sink, const unsigned char *file, const nm_field *run)
{
    nm_status rc = NM_OK;
    nm_wire elements = {file, run->start, run->start + run->n_bytes};

    while (nm_wire_more(&elements) && rc == NM_OK) {
        size_t at = elements.pos;
        uint64_t value;

        rc = nm_wire_varint(&elements, &value, sink->err);
        if (rc == NM_OK)
            rc = store(sink, int_to_double((int64_t)value), at);
    }
    return rc;
}

/* Number of elements in the file, without trusting dims. */
static nm_status count_elements(const nm_onnx_tensor *tensor, size_t width, int64_t *n, nm_err *err)
{
    nm_wire rest = tensor->message;
    nm_field run;

    *n = 0;
    while (nm_onnx_next_run(&rest, tensor->data_field, &run)) {
        if (width > 0 && run.n_bytes % width != 0)
            return nm_fail(err, NM_E_FORMAT,
                           "%zu bytes of data at byte %zu, expected a multiple of %zu", run.n_bytes,
                           run.start, width);
        if (width > 0)
            *n += (int64_t)(run.n_bytes / width);
        for (size_t i = 0; width == 0 && i < run.n_bytes; i++)
            *n += tensor->message.file[run.start + i] < 0x80;
    }
    return NM_OK;
}

static nm_status load_inside(const nm_onnx_tensor *tensor, const type_info *type, size_t width,
                             element_sink *sink)
{
    nm_status rc = NM_OK;
    nm_wire rest = tensor->message;
    nm_field run;

    while (rc == NM_OK && nm_onnx_next_run(&rest, tensor->data_field, &run))
        rc = width == 0
                 ? store_varints(sink, rest.file, &run)
                 : store_fixed(sink, type, rest.file + run.start, run.n_bytes, width, run.start);
    return rc;
}

/* The number of elements must be what the dims say, and that is checked before anything of that
   size is allocated. */
static nm_status check_count(const nm_onnx_tensor *tensor, const type_info *type, size_t width,
                             nm_err *err)
{
    char text[96];
    int64_t n;
    nm_status rc;

    if (tensor->data_field != 0 && tensor->data_field != NM_ONNX_RAW_DATA &&
        tensor->data_field != type->typed_field)
        return nm_fail(err, NM_E_FORMAT, "its data is in field %u, expected field %u or %u",
                       tensor->data_field, type->typed_field, NM_ONNX_RAW_DATA);
    rc = count_elements(tensor, width, &n, err);
    if (rc == NM_OK && n != nm_shape_size(&tensor->shape))
        rc = nm_fail(err, NM_E_FORMAT, "holds %lld elements, expected %lld (%s)", (long long)n,
                     (long long)nm_shape_size(&tensor->shape), nm_shape_text(&tensor->shape, text));
    return rc;
}

static nm_status load(const nm_onnx_tensor *tensor, const char *folder, nm_tensor **out,
                      nm_err *err)
{
    nm_status rc = NM_OK;
    const type_info *type = find_type(tensor->data_type);
    element_sink sink = {.err = err};
    unsigned char *bytes = NULL;
    size_t width, n_raw;

    if (!type)
        return refuse_type(tensor->data_type, err);
    NM_TRY(nm_shape_check(&tensor->shape, "the tensor", err));
    width = tensor->data_field == NM_ONNX_RAW_DATA ? type->raw_bytes : type->typed_bytes;
    n_raw = (size_t)nm_shape_size(&tensor->shape) * type->raw_bytes;
    NM_TRY(tensor->external ? nm_onnx_read_external(tensor, folder, n_raw, &bytes, err)
                            : check_count(tensor, type, width, err));
    NM_TRY(nm_tensor_new(&sink.tensor, &tensor->shape, type->dtype, err));
    NM_TRY(tensor->external ? store_fixed(&sink, type, bytes, n_raw, type->raw_bytes, 0)
                            : load_inside(tensor, type, width, &sink));
    *out = sink.tensor;
    sink.tensor = NULL;
done:
    nm_free(bytes);
    nm_tensor_unref(sink.tensor);
    return rc;
}

nm_status nm_onnx_load_tensor(const nm_onnx_tensor *tensor, const char *folder, nm_tensor **out,
                              nm_err *err)
{
    nm_status rc;

    *out = NULL;
    rc = load(tensor, folder, out, err);
    if (rc != NM_OK)
        nm_err_prefix(err, "tensor " NM_NAME " (byte %zu): ", tensor->name, tensor->at);
    return rc;
}
