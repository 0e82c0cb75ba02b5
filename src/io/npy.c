/* .npy: a magic string, a version, the length of a header, the header (the text of a Python
   dictionary with three keys), and the elements without gaps. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/data_format.h"

enum { MAGIC_BYTES = 6, MAX_DTYPE_TEXT = 16 };

static const unsigned char magic[MAGIC_BYTES] = {0x93, 'N', 'U', 'M', 'P', 'Y'};

/* The header text that is left, and where it is, for messages. */
typedef struct scanner {
    const unsigned char *start, *p, *end;
    nm_err *err;
} scanner;

static nm_status header_fail(const scanner *s, const char *expected)
{
    return nm_fail(s->err, NM_E_FORMAT, "header (byte %td): expected %s", s->p - s->start,
                   expected);
}

static bool accept(scanner *s, char c)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t'))
        s->p++;
    if (s->p == s->end || *s->p != (unsigned char)c)
        return false;
    s->p++;
    return true;
}

static bool accept_word(scanner *s, const char *word)
{
    size_t n = strlen(word);

    (void)accept(s, ' '); /* skips blanks */
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A string in single or double quotes, without escapes: none of ours needs any. */
static nm_status read_string(scanner *s, char text[MAX_DTYPE_TEXT], const char *expected)
{
    char quote = accept(s, '\'') ? '\'' : '"';
    size_t n = 0;

    if (quote == '"' && !accept(s, '"'))
        return header_fail(s, expected);
    while (s->p < s->end && *s->p != (unsigned char)quote && n < MAX_DTYPE_TEXT - 1)
        text[n++] = (char)*s->p++;
    text[n] = 0;
    if (s->p == s->end || *s->p != (unsigned char)quote)
        return header_fail(s, expected);
    s->p++;
    return NM_OK;
}

static nm_status read_descr(scanner *s, nm_array_view *out)
{
    static const struct {
        char text[3];
        nm_array_dtype dtype;
    } known[] = {{"f2", NM_DTYPE_F16}, {"f4", NM_DTYPE_F32}, {"f8", NM_DTYPE_F64},
                 {"i1", NM_DTYPE_I8},  {"i2", NM_DTYPE_I16}, {"i4", NM_DTYPE_I32},
                 {"i8", NM_DTYPE_I64}, {"u1", NM_DTYPE_U8},  {"u2", NM_DTYPE_U16},
                 {"u4", NM_DTYPE_U32}, {"u8", NM_DTYPE_U64}, {"b1", NM_DTYPE_BOOL}};
    char text[MAX_DTYPE_TEXT] = "";
    nm_status rc;

    if (accept(s, '['))
        return nm_fail(s->err, NM_E_UNSUPPORTED,
                       "records of several fields, expected plain numbers");
    rc = read_string(s, text, "the element type, such as '<f4'");
    if (rc != NM_OK)
        return rc;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (text[0] == 0 || strcmp(text + 1, known[i].text) != 0)
            continue;
        out->dtype = known[i].dtype;
        out->big_endian = text[0] == '>';
        if (text[0] == '<' || text[0] == '>' ||
            (text[0] == '|' && nm_array_dtype_size(out->dtype) == 1))
            return NM_OK;
    }
    return nm_fail(
        s->err, NM_E_UNSUPPORTED,
        "element type '%s', expected f2, f4, f8, i1 to i8, u1 to u8 or b1 after '<', '>' "
        "or '|'",
        text);
}

static nm_status read_order(scanner *s, nm_array_view *out)
{
    out->fortran_order = accept_word(s, "True");
    if (!out->fortran_order && !accept_word(s, "False"))
        return header_fail(s, "True or False for fortran_order");
    return NM_OK;
}

static nm_status read_size(scanner *s, int64_t *size)
{
    const unsigned char *first = s->p;

    *size = 0;
    for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
        if (__builtin_mul_overflow(*size, 10, size) ||
            __builtin_add_overflow(*size, *s->p - '0', size))
            return header_fail(s, "a size below 2^63");
    return s->p > first ? NM_OK : header_fail(s, "a size >= 0 in shape");
}

/* "()", "(3,)", "(2, 3)", "(2, 3,)"; "(3)" would be a number in Python, not a shape. */
static nm_status read_shape(scanner *s, nm_array_view *out)
{
    nm_status rc = NM_OK;
    bool comma = true;

    if (!accept(s, '('))
        return header_fail(s, "'(' before the shape");
    for (out->shape.rank = 0; !accept(s, ')'); out->shape.rank++) {
        if (!comma)
            return header_fail(s, "',' or ')' in shape");
        if (out->shape.rank == NM_ARRAY_MAX_RANK)
            return nm_fail(s->err, NM_E_UNSUPPORTED, "more than %d axes", NM_ARRAY_MAX_RANK);
        rc = read_size(s, &out->shape.dims[out->shape.rank]);
        if (rc != NM_OK)
            return rc;
        comma = accept(s, ',');
    }
    return out->shape.rank == 1 && !comma ? header_fail(s, "',' after the only size") : NM_OK;
}

static nm_status read_header(scanner *s, nm_array_view *out)
{
    static const struct {
        const char *name;
        nm_status (*read)(scanner *, nm_array_view *);
    } keys[] = {{"descr", read_descr}, {"fortran_order", read_order}, {"shape", read_shape}};
    enum { N_KEYS = sizeof keys / sizeof *keys };
    bool seen[N_KEYS] = {false}, comma = true;

    if (!accept(s, '{'))
        return header_fail(s, "'{'");
    while (!accept(s, '}')) {
        char name[MAX_DTYPE_TEXT];
        int key = 0;
        nm_status rc =
            comma ? read_string(s, name, "a key in quotes, or '}'") : header_fail(s, "',' or '}'");
        if (rc != NM_OK)
            return rc;
        while (key < N_KEYS && strcmp(name, keys[key].name) != 0)
            key++;
        if (key == N_KEYS || seen[key])
            return nm_fail(s->err, NM_E_FORMAT, "header: key '%s' %s", name,
                           key < N_KEYS ? "stands twice"
                                        : "expected descr, fortran_order and shape only");
        if (!accept(s, ':'))
            return header_fail(s, "':'");
        rc = keys[key].read(s, out);
        if (rc != NM_OK)
            return rc;
        seen[key] = true;
        comma = accept(s, ',');
    }
    for (int key = 0; key < N_KEYS; key++)
        if (!seen[key])
            return nm_fail(s->err, NM_E_FORMAT, "header: key '%s' is missing", keys[key].name);
    (void)accept(s, ' ');
    return s->p == s->end ? NM_OK : header_fail(s, "nothing after '}'");
}

/* Finds the header text. Version 1.0 has a length of two bytes, 2.0 and 3.0 of four. */
static nm_status find_header(const unsigned char *data, size_t n_bytes, scanner *s)
{
    size_t length = 0, n_length;

    if (n_bytes < MAGIC_BYTES || memcmp(data, magic, MAGIC_BYTES) != 0)
        return nm_fail(s->err, NM_E_FORMAT,
                       "not an .npy file, expected it to begin with "
                       "'\\x93NUMPY'");
    if (n_bytes < MAGIC_BYTES + 2)
        return nm_fail(s->err, NM_E_FORMAT, "ends before its header");
    if (data[MAGIC_BYTES] < 1 || data[MAGIC_BYTES] > 3 || data[MAGIC_BYTES + 1] != 0)
        return nm_fail(s->err, NM_E_UNSUPPORTED, ".npy format version %d.%d, expected 1.0 to 3.0",
                       data[MAGIC_BYTES], data[MAGIC_BYTES + 1]);
    n_length = data[MAGIC_BYTES] == 1 ? 2 : 4;
    s->start = data;
    s->p = data + MAGIC_BYTES + 2 + n_length;
    if (n_bytes < MAGIC_BYTES + 2 + n_length)
        return nm_fail(s->err, NM_E_FORMAT, "ends before its header");
    for (size_t i = 0; i < n_length; i++)
        length |= (size_t)data[MAGIC_BYTES + 2 + i] << (8 * i);
    if (length > n_bytes - (size_t)(s->p - data))
        return nm_fail(s->err, NM_E_FORMAT, "header of %zu bytes, but %td are left", length,
                       data + n_bytes - s->p);
    s->end = s->p + length;
    return NM_OK;
}

nm_status nm_npy_view(const unsigned char *data, size_t n_bytes, nm_array_view *out, nm_err *err)
{
    scanner s = {.err = err};
    nm_status rc = find_header(data, n_bytes, &s);

    memset(out, 0, sizeof *out);
    if (rc == NM_OK)
        rc = read_header(&s, out);
    if (rc != NM_OK)
        return rc;
    out->values = s.end;
    return nm_array_view_check(out, (size_t)(data + n_bytes - s.end), err);
}

nm_status nm_npy_parse(const unsigned char *data, size_t n_bytes, nm_array *out, nm_err *err)
{
    nm_array_view view;
    nm_status rc = nm_npy_view(data, n_bytes, &view, err);

    memset(out, 0, sizeof *out);
    if (rc == NM_OK)
        rc = nm_array_convert(&view, out, err);
    if (rc != NM_OK)
        nm_array_free(out);
    return rc;
}

static bool is_npy(const unsigned char *data, size_t n_bytes)
{
    return n_bytes >= MAGIC_BYTES && memcmp(data, magic, MAGIC_BYTES) == 0;
}

static nm_status read_npy(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                          nm_data_table *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_array_view view;

    NM_TRY(nm_npy_view(data, n_bytes, &view, err));
    NM_TRY(nm_array_view_rows(&view, &out->unpacked[0], &out->inputs, err));
done:
    nm_err_prefix(err, "%s: ", query->path);
    return rc;
}

const nm_data_format nm_format_npy = {
    .name = "npy",
    .suffixes = (const char *const[]){".npy", NULL},
    .is_certain = is_npy,
    .read = read_npy,
};
