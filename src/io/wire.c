#include "io/wire.h"

#include <string.h>

enum { MAX_VARINT_BYTES = 10 };

nm_status nm_wire_varint(nm_wire *wire, uint64_t *value, nm_err *err)
{
    size_t start = wire->pos;
    uint64_t bits = 0;

    *value = 0;
    for (int i = 0; i < MAX_VARINT_BYTES; i++) {
        unsigned char byte;

        if (wire->pos == wire->end)
            return nm_fail(err, NM_E_FORMAT, "byte %zu: a number is cut off at byte %zu", start,
                           wire->end);
        byte = wire->file[wire->pos++];
        bits |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = bits;
            return NM_OK;
        }
    }
    return nm_fail(err, NM_E_FORMAT, "byte %zu: a number runs past %d bytes", start,
                   MAX_VARINT_BYTES);
}

static nm_status read_fixed(nm_wire *wire, nm_field *field, size_t n_bytes, nm_err *err)
{
    if (wire->end - wire->pos < n_bytes)
        return nm_fail(err, NM_E_FORMAT, "byte %zu: field %u is cut off, expected %zu more bytes",
                       field->at, field->number, n_bytes);
    field->start = wire->pos;
    field->n_bytes = n_bytes;
    for (size_t i = 0; i < n_bytes; i++) /* little endian whatever the machine */
        field->value |= (uint64_t)wire->file[wire->pos + i] << (8 * i);
    wire->pos += n_bytes;
    return NM_OK;
}

static nm_status read_varint(nm_wire *wire, nm_field *field, nm_err *err)
{
    nm_status rc;

    field->start = wire->pos;
    rc = nm_wire_varint(wire, &field->value, err);
    field->n_bytes = wire->pos - field->start;
    return rc;
}

static nm_status read_bytes(nm_wire *wire, nm_field *field, nm_err *err)
{
    uint64_t n_bytes;
    nm_status rc = nm_wire_varint(wire, &n_bytes, err);

    if (rc != NM_OK)
        return rc;
    if (n_bytes > wire->end - wire->pos)
        return nm_fail(err, NM_E_FORMAT,
                       "byte %zu: field %u claims %llu bytes, but only %zu are left", field->at,
                       field->number, (unsigned long long)n_bytes, wire->end - wire->pos);
    field->start = wire->pos;
    field->n_bytes = (size_t)n_bytes;
    wire->pos += field->n_bytes;
    return NM_OK;
}

nm_status nm_wire_next(nm_wire *wire, nm_field *field, nm_err *err)
{
    uint64_t tag;
    nm_status rc;

    memset(field, 0, sizeof *field);
    field->at = wire->pos;
    rc = nm_wire_varint(wire, &tag, err);
    if (rc != NM_OK)
        return rc;
    if (tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1)
        return nm_fail(err, NM_E_FORMAT, "byte %zu: no protobuf field starts here", field->at);
    field->number = (uint32_t)(tag >> 3);
    field->type = (nm_wire_type)(tag & 7);
    switch (field->type) {
    case NM_WIRE_VARINT:
        return read_varint(wire, field, err);
    case NM_WIRE_BYTES:
        return read_bytes(wire, field, err);
    case NM_WIRE_I32:
        return read_fixed(wire, field, 4, err);
    case NM_WIRE_I64:
        return read_fixed(wire, field, 8, err);
    }
    return nm_fail(err, NM_E_FORMAT, "byte %zu: field %u has wire type %u, expected 0, 1, 2 or 5",
                   field->at, field->number, (unsigned)(tag & 7));
}

static nm_status wrong_type(const nm_field *field, const char *expected, nm_err *err)
{
    return nm_fail(err, NM_E_FORMAT, "byte %zu: field %u has wire type %d, expected %s", field->at,
                   field->number, (int)field->type, expected);
}

nm_status nm_field_message(const nm_wire *wire, const nm_field *field, nm_wire *out, nm_err *err)
{
    if (field->type != NM_WIRE_BYTES)
        return wrong_type(field, "2 (bytes)", err);
    out->file = wire->file;
    out->pos = field->start;
    out->end = field->start + field->n_bytes;
    return NM_OK;
}

nm_status nm_field_int(const nm_field *field, int64_t *out, nm_err *err)
{
    if (field->type != NM_WIRE_VARINT)
        return wrong_type(field, "0 (number)", err);
    *out = (int64_t)field->value;
    return NM_OK;
}

nm_status nm_wire_count(nm_wire wire, size_t counts[static NM_WIRE_COUNTED], nm_err *err)
{
    memset(counts, 0, NM_WIRE_COUNTED * sizeof *counts);
    while (nm_wire_more(&wire)) {
        nm_field field;
        nm_status rc = nm_wire_next(&wire, &field, err);

        if (rc != NM_OK)
            return rc;
        if (field.number < NM_WIRE_COUNTED)
            counts[field.number]++;
    }
    return NM_OK;
}
