/* Reading protobuf's wire format, one field at a time.
 *
 * Nothing is allocated and nothing recurses: a nested message is a sub-range of the file that the
 * caller may open or leave alone, so hostile nesting costs nothing. Every length is checked against
 * the bytes that are there.
 * Source: protobuf.dev, "Encoding". */
#ifndef NM_IO_WIRE_H
#define NM_IO_WIRE_H

#include "base/err.h"

/** One message inside a file, and how far it has been read. */
typedef struct nm_wire {
    const unsigned char *file; /* first byte of the file, so that positions are file positions */
    size_t pos, end;           /* what is left of the message: file[pos .. end) */
} nm_wire;

typedef enum nm_wire_type {
    NM_WIRE_VARINT = 0,
    NM_WIRE_I64 = 1,
    NM_WIRE_BYTES = 2,
    NM_WIRE_I32 = 5
} nm_wire_type;

typedef struct nm_field {
    uint32_t number;
    nm_wire_type type;
    size_t at;             /* file position of the field's tag */
    size_t start, n_bytes; /* its content: file[start .. start + n_bytes) */
    uint64_t value;        /* of a varint or fixed-width field */
} nm_field;

static inline bool nm_wire_more(const nm_wire *wire)
{
    return wire->pos < wire->end;
}

/** Reads the next field; nm_wire_more() must be true. NM_E_FORMAT with the byte position if the
 *  bytes are no field. Groups (obsolete) are refused. */
nm_status nm_wire_next(nm_wire *wire, nm_field *field, nm_err *err);

/** Reads one bare varint (element of a packed field). */
nm_status nm_wire_varint(nm_wire *wire, uint64_t *value, nm_err *err);

/** Content of a length-delimited field as a message of its own. */
nm_status nm_field_message(const nm_wire *wire, const nm_field *field, nm_wire *out, nm_err *err);

/** Value of a varint field as a signed number. */
nm_status nm_field_int(const nm_field *field, int64_t *out, nm_err *err);

enum { NM_WIRE_COUNTED = 16 };

/** How many fields of each number below NM_WIRE_COUNTED a message holds, to size arrays before
 *  filling them. */
nm_status nm_wire_count(nm_wire wire, size_t counts[static NM_WIRE_COUNTED], nm_err *err);

#endif
