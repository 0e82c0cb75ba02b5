/* CSV: one point a line, numbers with '.' as decimal point, separated by ',', ';' or tab, whichever
   the first line of numbers has. A first line of names, or one that begins with '#', is a header.
   Blanks around numbers, CR LF, a UTF-8 byte order mark and empty lines at the end are fine;
   quotes, comments and empty lines elsewhere are not. */
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/number.h"
#include "io/data_format.h"
#include "netmend/data.h"

enum { MAX_SHOWN = 40 }; /* characters of a bad field in a message */

/* A piece of the file: a line or a field. */
typedef struct span {
    const char *begin, *end;
} span;

typedef struct csv {
    const nm_data_query *query;
    const char *p, *end; /* what is left */
    int64_t line;        /* number of the line that begins at p, from 1 */
    char separator;
    int64_t n_fields;
    int label_column; /* -1 = none */
    nm_err *err;
} csv;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static span trim(span s)
{
    while (s.begin < s.end && is_blank(*s.begin))
        s.begin++;
    while (s.begin < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

/* Cuts the text up to the next `stop` off; false when nothing is left. */
static bool take_until(const char **p, const char *end, char stop, span *out)
{
    const char *found;

    if (!*p)
        return false;
    found = memchr(*p, stop, (size_t)(end - *p));
    *out = (span){*p, found ? found : end};
    *p = found ? found + 1 : NULL;
    return true;
}

static bool take_line(csv *c, span *line)
{
    const char *p = c->p < c->end ? c->p : NULL;

    if (!take_until(&p, c->end, '\n', line))
        return false;
    c->p = p ? p : c->end;
    return true;
}

/* "x0", "label"; but not "nan" or "inf", which are bad numbers rather than names, nor anything that
   begins like a number. */
static bool is_name(span field)
{
    static const char *const numbers[] = {"nan", "inf", "infinity"};
    span s = trim(field);
    size_t n = (size_t)(s.end - s.begin);

    if (n == 0 || strchr("+-.0123456789", *s.begin))
        return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (n == strlen(numbers[i]) && strncasecmp(s.begin, numbers[i], n) == 0)
            return false;
    return true;
}

static char find_separator(span line)
{
    size_t n = (size_t)(line.end - line.begin);

    return memchr(line.begin, ';', n) ? ';' : memchr(line.begin, '\t', n) ? '\t' : ',';
}

/* A header has names only: a line with both numbers and text is taken for damaged data. */
static bool is_header(span line)
{
    const char *p = line.begin;
    span field;
    char separator = find_separator(line);

    if (line.begin < line.end && *line.begin == '#')
        return true;
    while (take_until(&p, line.end, separator, &field))
        if (!is_name(field))
            return false;
    return true;
}

static void skip_header(csv *c)
{
    csv ahead = *c;
    span line;

    if (take_line(&ahead, &line) && is_header(line)) {
        *c = ahead;
        c->line++;
    }
}

static void drop_empty_lines_at_end(csv *c)
{
    const char *last = c->end, *newline;

    while (last > c->p && (is_blank(last[-1]) || last[-1] == '\n'))
        last--;
    /* Blanks behind the last number stay: there, a tab may stand before an empty field. */
    newline = memchr(last, '\n', (size_t)(c->end - last));
    if (last == c->p)
        c->end = c->p;
    else if (newline)
        c->end = newline;
}

/* Reads separator, number of fields and place of the label off the first line of numbers. */
static nm_status read_layout(csv *c)
{
    const nm_data_query *query = c->query;
    csv ahead = *c;
    span line, field;
    const char *p;

    if (!take_line(&ahead, &line))
        return nm_fail(c->err, NM_E_SHAPE, "%s: no points, expected lines of numbers", query->path);
    c->separator = find_separator(line);
    for (p = line.begin; take_until(&p, line.end, c->separator, &field);)
        c->n_fields++;
    c->label_column = -1;
    if (query->labels_only && c->n_fields == 1)
        return NM_OK;
    if (query->label_column == NM_LABEL_NONE) {
        if (query->n_in > 0 && c->n_fields == query->n_in + 1 && c->n_fields <= INT32_MAX)
            c->label_column = (int)query->n_in;
        return NM_OK;
    }
    int64_t column = query->label_column + (query->label_column < 0 ? c->n_fields : 0);
    if (column < 0 || column >= c->n_fields)
        return nm_fail(c->err, NM_E_ARG, "%s: label column %d, but there are %lld columns",
                       query->path, query->label_column, (long long)c->n_fields);
    c->label_column = (int)column;
    return NM_OK;
}

static nm_status bad_field(const csv *c, int64_t field, span s)
{
    int n = (int)(s.end - s.begin < MAX_SHOWN ? s.end - s.begin : MAX_SHOWN);

    if (n == 0)
        return nm_fail(c->err, NM_E_FORMAT, "%s:%lld: column %lld is empty, expected a number",
                       c->query->path, (long long)c->line, (long long)field + 1);
    return nm_fail(c->err, NM_E_FORMAT,
                   "%s:%lld: column %lld: '%.*s', expected a finite number and '%s' between "
                   "numbers",
                   c->query->path, (long long)c->line, (long long)field + 1, n, s.begin,
                   c->separator == '\t' ? "tab" : (char[]){c->separator, 0});
}

/* One line; x takes the inputs, y the label if there is one. */
static nm_status read_row(csv *c, span line, double *x, double *y)
{
    const char *p = line.begin;
    int64_t n = 0;
    span field;

    for (; take_until(&p, line.end, c->separator, &field); n++) {
        span s = trim(field);
        if (n >= c->n_fields)
            continue;
        if (!nm_parse_double(s.begin, s.end, n == c->label_column ? y : x++))
            return bad_field(c, n, s);
    }
    if (n != c->n_fields)
        return nm_fail(c->err, NM_E_FORMAT, "%s:%lld: %lld columns, expected %lld as before",
                       c->query->path, (long long)c->line, (long long)n, (long long)c->n_fields);
    return NM_OK;
}

/* Room for every field that could follow: no more than the file has separators and line ends. */
static nm_status allocate(const csv *c, double **x, double **y, nm_err *err)
{
    size_t n_lines = 1, n_fields = 1;
    nm_status rc;

    for (const char *p = c->p; p < c->end; p++) {
        n_lines += *p == '\n';
        n_fields += *p == '\n' || *p == c->separator;
    }
    rc = nm_alloc(x, n_fields, sizeof **x, err);
    return rc == NM_OK ? nm_alloc(y, c->label_column >= 0 ? n_lines : 1, sizeof **y, err) : rc;
}

static nm_status read_rows(csv *c, nm_data_table *out)
{
    nm_status rc;
    span line;
    double *x = NULL, *y = NULL;
    nm_array_rows rows = {.n_cols = c->n_fields - (c->label_column >= 0), .dtype = NM_DTYPE_F64};

    rc = allocate(c, &x, &y, c->err);
    out->unpacked[0] = (unsigned char *)x;
    out->unpacked[1] = (unsigned char *)y;
    for (; rc == NM_OK && take_line(c, &line); c->line++, rows.n++)
        rc = read_row(c, line, x + rows.n * rows.n_cols, y + rows.n * (c->label_column >= 0));
    if (rc != NM_OK)
        return rc;
    rows.stride = (size_t)rows.n_cols * sizeof *x;
    rows.data = out->unpacked[0];
    rows.shape = (nm_array_shape){.rank = 1, .dims = {rows.n_cols}};
    if (rows.n_cols > 0)
        out->inputs = rows;
    if (c->label_column >= 0)
        out->labels = (nm_array_rows){.n = rows.n,
                                      .n_cols = 1,
                                      .data = out->unpacked[1],
                                      .stride = sizeof *y,
                                      .dtype = NM_DTYPE_F64};
    return NM_OK;
}

static nm_status read_csv(const nm_data_query *query, const unsigned char *data, size_t n_bytes,
                          nm_data_table *out, nm_err *err)
{
    const char *text = n_bytes > 0 ? (const char *)data : "";
    size_t mark = n_bytes >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    csv c = {.query = query, .p = text + mark, .end = text + n_bytes, .line = 1, .err = err};
    nm_status rc;

    drop_empty_lines_at_end(&c);
    skip_header(&c);
    rc = read_layout(&c);
    if (rc != NM_OK)
        return rc;
    out->first_line = c.line;
    out->label_column = c.label_column;
    return read_rows(&c, out);
}

/* Text, as far as its beginning tells. */
static bool is_text(const unsigned char *data, size_t n_bytes)
{
    size_t n = n_bytes < 512 ? n_bytes : 512;

    for (size_t i = 0; i < n; i++)
        if (data[i] < 0x20 && data[i] != '\n' && !is_blank((char)data[i]))
            return false;
    return n > 0;
}

const nm_data_format nm_format_csv = {
    .name = "CSV",
    .suffixes = (const char *const[]){".csv", ".tsv", ".txt", NULL},
    .is_likely = is_text,
    .read = read_csv,
};
