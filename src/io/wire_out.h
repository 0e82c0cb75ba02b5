/* Writing protobuf's wire format into a growing buffer.
 *
 * The first failure (out of memory) sticks in `rc`; later calls do nothing, so a writer checks once
 * at the end. */
#ifndef NM_IO_WIRE_OUT_H
#define NM_IO_WIRE_OUT_H

#include "base/err.h"

typedef struct nm_wire_out {
    unsigned char *data;
    size_t n_bytes, room;
    nm_status rc;
    nm_err *err;
} nm_wire_out;

void nm_out_int(nm_wire_out *out, uint32_t field, int64_t value);
void nm_out_float(nm_wire_out *out, uint32_t field, float value);
void nm_out_bytes(nm_wire_out *out, uint32_t field, const void *data, size_t n_bytes);
void nm_out_text(nm_wire_out *out, uint32_t field, const char *text);

/** Numbers in one packed field. */
void nm_out_packed_ints(nm_wire_out *out, uint32_t field, const int64_t *values, size_t n);

/** float32 numbers, little endian, as one length-delimited field (raw_data, packed float_data). */
void nm_out_packed_floats(nm_wire_out *out, uint32_t field, const float *values, size_t n);

/** Opens a nested message; what is written until nm_out_end(out, mark) is its content. */
size_t nm_out_begin(nm_wire_out *out, uint32_t field);
void nm_out_end(nm_wire_out *out, size_t mark);

#endif
