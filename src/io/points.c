#include "io/points.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "io/preprocess.h"

enum { ROWS_BETWEEN_CHECKS = 1024, MAX_PLACE = 512 };

/* A parsed file and what messages call it. */
typedef struct source {
    const char *path;
    nm_data_table table;
} source;

static nm_status open_source(const nm_data_bytes *bytes, nm_data_query query, source *out,
                             nm_err *err)
{
    const nm_data_format *format = bytes->format;
    nm_status rc = NM_OK;

    out->path = query.path = bytes->path;
    out->table.label_column = -1;
    if (!format)
        rc = nm_data_format_find(bytes->path, bytes->data, bytes->n_bytes, &format, err);
    return rc == NM_OK ? format->read(&query, bytes->data, bytes->n_bytes, &out->table, err) : rc;
}

/* "x.csv:12" or "x.npy: row 11". */
static const char *place(const source *s, int64_t row, char text[MAX_PLACE])
{
    if (s->table.first_line > 0)
        (void)snprintf(text, MAX_PLACE, "%s:%lld", s->path, (long long)s->table.first_line + row);
    else
        (void)snprintf(text, MAX_PLACE, "%s: row %lld", s->path, (long long)row);
    return text;
}

/* Columns of text are counted from 1 and include the label, as an editor shows them. */
static int64_t column_number(const source *s, int64_t column)
{
    if (s->table.first_line == 0)
        return column;
    return column + 1 + (s->table.label_column >= 0 && column >= s->table.label_column);
}

static nm_status read_opts(const nm_data_opts *opts, nm_data_opts *out, nm_err *err)
{
    *out = (nm_data_opts)NM_DATA_OPTS_INIT;
    if (!opts)
        return NM_OK;
    if (opts->size == 0 || opts->size > sizeof *out)
        return nm_fail(err, NM_E_ARG, "nm_data_opts of %zu bytes, expected NM_DATA_OPTS_INIT",
                       opts->size);
    memcpy(out, opts, opts->size);
    return NM_OK;
}

static nm_status check_inputs(const source *s, const nm_data_opts *opts, nm_err *err)
{
    const nm_array_rows *rows = &s->table.inputs;

    if (!rows->data)
        return nm_fail(err, NM_E_FORMAT, "%s: holds labels only, expected inputs", s->path);
    if (opts->n_in > 0 && rows->n_cols != opts->n_in)
        return nm_fail(err, NM_E_SHAPE, "%s: %lld number%s per point, the network takes %lld",
                       s->path, (long long)rows->n_cols, rows->n_cols == 1 ? "" : "s",
                       (long long)opts->n_in);
    if (rows->n == 0)
        return nm_fail(err, NM_E_SHAPE, "%s: no points", s->path);
    return NM_OK;
}

/* The labels that go with the inputs: those of the label file if there is one. */
static nm_status find_labels(const source *inputs, const source *labels, const nm_array_rows **out,
                             nm_err *err)
{
    const nm_array_rows *rows =
        labels->table.labels.data ? &labels->table.labels : &labels->table.inputs;

    if (labels == inputs)
        rows = &inputs->table.labels;
    *out = rows->data ? rows : NULL;
    if (!rows->data)
        return NM_OK;
    if (rows->n_cols != 1)
        return nm_fail(err, NM_E_SHAPE, "%s: %lld numbers per label, expected 1", labels->path,
                       (long long)rows->n_cols);
    if (rows->n != inputs->table.inputs.n)
        return nm_fail(err, NM_E_SHAPE, "%s: %lld labels, but %s has %lld points", labels->path,
                       (long long)rows->n, inputs->path, (long long)inputs->table.inputs.n);
    return NM_OK;
}

/* Resolves first and last against the number of rows there are. */
static nm_status find_range(const source *s, const nm_data_opts *opts, int64_t *first, int64_t *n,
                            nm_err *err)
{
    const int64_t n_rows = s->table.inputs.n, last = opts->last < 0 ? n_rows : opts->last;

    if (opts->first < 0 || opts->first > n_rows || last > n_rows)
        return nm_fail(err, NM_E_ARG, "%s: rows %lld:%lld are asked for, the file has %lld rows",
                       s->path, (long long)opts->first, (long long)last, (long long)n_rows);
    if (opts->first >= last)
        return nm_fail(err, NM_E_SHAPE, "%s: no points in rows %lld:%lld", s->path,
                       (long long)opts->first, (long long)last);
    *first = opts->first;
    *n = last - opts->first;
    return NM_OK;
}

static nm_status allocate(int64_t n, int64_t n_in, bool with_labels, nm_points *out, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t n_values;

    memset(out, 0, sizeof *out);
    if (!nm_mul_size((size_t)n, (size_t)n_in, &n_values))
        return nm_fail(err, NM_E_NOMEM, "out of memory: %lld points of %lld numbers", (long long)n,
                       (long long)n_in);
    NM_TRY(nm_alloc(&out->x, n_values, sizeof *out->x, err));
    NM_TRY(nm_alloc(&out->rows, (size_t)n, sizeof *out->rows, err));
    if (with_labels)
        NM_TRY(nm_alloc(&out->labels, (size_t)n, sizeof *out->labels, err));
    out->n = n;
    out->n_in = n_in;
done:
    if (rc != NM_OK)
        nm_points_free(out);
    return rc;
}

static nm_status fill_inputs(nm_ctx *ctx, const source *s, const nm_data_opts *opts, nm_points *out,
                             nm_err *err)
{
    nm_status rc = NM_OK;
    const nm_array_rows *rows = &s->table.inputs;
    nm_preprocess preprocess = {0};
    double *row = NULL;
    char where[MAX_PLACE];

    rc = nm_preprocess_init(&preprocess, opts, rows, err);
    nm_err_prefix(err, "%s: ", s->path);
    if (rc == NM_OK)
        rc = nm_alloc(&row, (size_t)rows->n_cols, sizeof *row, err);
    for (int64_t i = 0; rc == NM_OK && i < out->n; i++) {
        if (i % ROWS_BETWEEN_CHECKS == 0)
            NM_TRY(nm_ctx_check(ctx, err));
        nm_array_rows_decode(rows, out->rows[i], row);
        int64_t bad = nm_preprocess_row(&preprocess, row, out->x + i * out->n_in);
        if (bad >= 0)
            NM_THROW(err, NM_E_FORMAT, "%s, column %lld: %g, expected a finite float32",
                     place(s, out->rows[i], where), (long long)column_number(s, bad), row[bad]);
    }
done:
    nm_free(row);
    nm_preprocess_free(&preprocess);
    return rc;
}

static nm_status fill_labels(const source *s, const nm_array_rows *rows, int64_t n_classes,
                             nm_points *out, nm_err *err)
{
    const double end = n_classes > 0 ? (double)n_classes : (double)INT32_MAX;
    char where[MAX_PLACE];
    double label;

    for (int64_t i = 0; i < out->n; i++) {
        nm_array_rows_decode(rows, out->rows[i], &label);
        if (!(label >= 0 && label < end && label == floor(label)))
            return nm_fail(err, NM_E_FORMAT, "%s: label %g, expected an integer from 0 to %.0f",
                           place(s, out->rows[i], where), label, end - 1);
        out->labels[i] = (int64_t)label;
    }
    return NM_OK;
}

nm_status nm_points_parse(nm_ctx *ctx, const nm_data_bytes *inputs, const nm_data_bytes *labels,
                          const nm_data_opts *opts, nm_points *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_data_opts o;
    source x = {0}, y = {0};
    const source *label_source = labels ? &y : &x;
    const nm_array_rows *label_rows = NULL;
    int64_t first = 0, n = 0;

    memset(out, 0, sizeof *out);
    NM_TRY(read_opts(opts, &o, err));
    NM_TRY(open_source(inputs, (nm_data_query){.label_column = o.label_column, .n_in = o.n_in}, &x,
                       err));
    NM_TRY(check_inputs(&x, &o, err));
    if (labels)
        NM_TRY(open_source(
            labels, (nm_data_query){.label_column = o.label_column, .labels_only = true}, &y, err));
    NM_TRY(find_labels(&x, label_source, &label_rows, err));
    NM_TRY(find_range(&x, &o, &first, &n, err));
    NM_TRY(allocate(n, x.table.inputs.n_cols, label_rows != NULL, out, err));
    for (int64_t i = 0; i < n; i++)
        out->rows[i] = first + i;
    NM_TRY(fill_inputs(ctx, &x, &o, out, err));
    if (label_rows)
        NM_TRY(fill_labels(label_source, label_rows, o.n_classes, out, err));
done:
    nm_data_table_free(&x.table);
    nm_data_table_free(&y.table);
    if (rc != NM_OK)
        nm_points_free(out);
    return rc;
}

nm_status nm_points_load(nm_ctx *ctx, const char *path, const char *labels_path,
                         const nm_data_opts *opts, nm_points *out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_buffer x = {0}, y = {0};

    memset(out, 0, sizeof *out);
    NM_TRY(nm_file_read_gz(path, NM_DATA_MAX_BYTES, &x, err));
    if (labels_path)
        NM_TRY(nm_file_read_gz(labels_path, NM_DATA_MAX_BYTES, &y, err));
    NM_TRY(nm_points_parse(
        ctx, &(nm_data_bytes){.path = path, .data = x.data, .n_bytes = x.n_bytes},
        labels_path ? &(nm_data_bytes){.path = labels_path, .data = y.data, .n_bytes = y.n_bytes}
                    : NULL,
        opts, out, err));
done:
    nm_buffer_free(&x);
    nm_buffer_free(&y);
    return rc;
}

nm_status nm_points_subset(const nm_points *points, const int64_t *indices, int64_t n,
                           nm_points *out, nm_err *err)
{
    const size_t n_in = (size_t)points->n_in;
    nm_status rc;

    memset(out, 0, sizeof *out);
    for (int64_t i = 0; i < n; i++)
        if (indices[i] < 0 || indices[i] >= points->n)
            return nm_fail(err, NM_E_ARG, "index %lld, but there are %lld points",
                           (long long)indices[i], (long long)points->n);
    rc = allocate(n, points->n_in, points->labels != NULL, out, err);
    for (size_t i = 0; rc == NM_OK && i < (size_t)n; i++) {
        memcpy(out->x + i * n_in, points->x + (size_t)indices[i] * n_in, n_in * sizeof *out->x);
        out->rows[i] = points->rows ? points->rows[indices[i]] : indices[i];
        if (points->labels)
            out->labels[i] = points->labels[indices[i]];
    }
    return rc;
}

nm_status nm_points_from_arrays(const float *x, int64_t n, int64_t n_in, const int64_t *labels,
                                nm_points *out, nm_err *err)
{
    nm_status rc;

    memset(out, 0, sizeof *out);
    if (n < 0 || n_in < 1)
        return nm_fail(err, NM_E_ARG, "%lld points of %lld numbers, expected >= 0 of >= 1",
                       (long long)n, (long long)n_in);
    rc = allocate(n, n_in, labels != NULL, out, err);
    if (rc != NM_OK)
        return rc;
    memcpy(out->x, x, (size_t)n * (size_t)n_in * sizeof *x);
    for (int64_t i = 0; i < n; i++)
        out->rows[i] = i;
    if (labels)
        memcpy(out->labels, labels, (size_t)n * sizeof *labels);
    return NM_OK;
}

void nm_points_free(nm_points *points)
{
    if (!points)
        return;
    nm_free(points->x);
    nm_free(points->labels);
    nm_free(points->rows);
    memset(points, 0, sizeof *points);
}
