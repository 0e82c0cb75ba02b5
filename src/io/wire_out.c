#include "io/wire_out.h"

#include <string.h>

#include "base/mem.h"
#include "io/wire.h"

/* Room for n more bytes; NULL (and a status in out->rc) when there is none. */
static unsigned char *extend(nm_wire_out *out, size_t n)
{
    unsigned char *at;

    if (out->rc != NM_OK)
        return NULL;
    if (n > out->room - out->n_bytes) {
        size_t room = 2 * out->room > out->n_bytes + n ? 2 * out->room : out->n_bytes + n + 64;

        out->rc = nm_realloc(&out->data, room, 1, out->err);
        if (out->rc != NM_OK)
            return NULL;
        out->room = room;
    }
    at = out->data + out->n_bytes;
    out->n_bytes += n;
    return at;
}

static size_t encode_varint(uint64_t value, unsigned char bytes[static 10])
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        bytes[n++] = (unsigned char)(value | 0x80);
    bytes[n++] = (unsigned char)value;
    return n;
}

static void put_varint(nm_wire_out *out, uint64_t value)
{
    unsigned char bytes[10];
    size_t n = encode_varint(value, bytes);
    unsigned char *at = extend(out, n);

    if (at)
        memcpy(at, bytes, n);
}

static void put_tag(nm_wire_out *out, uint32_t field, nm_wire_type type)
{
    put_varint(out, (uint64_t)field << 3 | (uint64_t)type);
}

static void put_float(nm_wire_out *out, float value)
{
    unsigned char *at = extend(out, 4);
    uint32_t bits;

    memcpy(&bits, &value, 4);
    for (int i = 0; at && i < 4; i++)
        at[i] = (unsigned char)(bits >> (8 * i));
}

void nm_out_int(nm_wire_out *out, uint32_t field, int64_t value)
{
    put_tag(out, field, NM_WIRE_VARINT);
    put_varint(out, (uint64_t)value);
}

void nm_out_float(nm_wire_out *out, uint32_t field, float value)
{
    put_tag(out, field, NM_WIRE_I32);
    put_float(out, value);
}

void nm_out_bytes(nm_wire_out *out, uint32_t field, const void *data, size_t n_bytes)
{
    unsigned char *at;

    put_tag(out, field, NM_WIRE_BYTES);
    put_varint(out, n_bytes);
    at = extend(out, n_bytes);
    if (at && n_bytes > 0)
        memcpy(at, data, n_bytes);
}

void nm_out_text(nm_wire_out *out, uint32_t field, const char *text)
{
    nm_out_bytes(out, field, text, strlen(text));
}

void nm_out_packed_ints(nm_wire_out *out, uint32_t field, const int64_t *values, size_t n)
{
    size_t mark = nm_out_begin(out, field);

    for (size_t i = 0; i < n; i++)
        put_varint(out, (uint64_t)values[i]);
    nm_out_end(out, mark);
}

void nm_out_packed_floats(nm_wire_out *out, uint32_t field, const float *values, size_t n)
{
    size_t mark = nm_out_begin(out, field);

    for (size_t i = 0; i < n; i++)
        put_float(out, values[i]);
    nm_out_end(out, mark);
}

size_t nm_out_begin(nm_wire_out *out, uint32_t field)
{
    put_tag(out, field, NM_WIRE_BYTES);
    return out->n_bytes;
}

/* The length stands before the content, but is known only now: the content moves up for it. */
void nm_out_end(nm_wire_out *out, size_t mark)
{
    unsigned char bytes[10];
    size_t n_content = out->n_bytes - mark;
    size_t n = encode_varint(n_content, bytes);

    if (!extend(out, n))
        return;
    memmove(out->data + mark + n, out->data + mark, n_content);
    memcpy(out->data + mark, bytes, n);
}
