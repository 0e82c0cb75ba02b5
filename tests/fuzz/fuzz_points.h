/* Shared by the fuzz targets of data readers: bytes as one format, through the whole way to points.
   What is accepted must keep the promises of nm_points. */
#ifndef NM_TESTS_FUZZ_POINTS_H
#define NM_TESTS_FUZZ_POINTS_H

#include <math.h>
#include <stdlib.h>

#include "io/points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void check_points(const nm_points *p, const nm_data_opts *opts)
{
    if (p->n < 1 || p->n_in < 1 || !p->x || !p->rows)
        abort();
    for (int64_t i = 0; i < p->n * p->n_in; i++)
        if (!isfinite(p->x[i]))
            abort();
    for (int64_t i = 0; p->labels && i < p->n; i++)
        if (p->labels[i] < 0 || (opts->n_classes > 0 && p->labels[i] >= opts->n_classes))
            abort();
}

static inline void fuzz_points_with(nm_ctx *ctx, const nm_data_bytes *inputs,
                                    const nm_data_bytes *labels, const nm_data_opts *opts)
{
    nm_err err = {0};
    nm_points points;
    nm_status rc = nm_points_parse(ctx, inputs, labels, opts, &points, &err);

    if (rc == NM_OK)
        check_points(&points, opts);
    else if (err.code != rc || err.text[0] == 0 || rc == NM_E_INTERNAL || points.x)
        abort();
    nm_points_free(&points);
}

/** Reads the bytes plainly, with all preprocessing, and as a label file of their own. */
static inline void fuzz_points(const nm_data_format *format, const uint8_t *data, size_t size)
{
    static const double mean[] = {0.5, 0.25, 1}, std[] = {2, 0.5, 0.25};
    const nm_data_bytes bytes = {.path = "f", .format = format, .data = data, .n_bytes = size};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_ctx *ctx;

    if (nm_ctx_new(&ctx, &err) != NM_OK)
        abort();
    fuzz_points_with(ctx, &bytes, NULL, &opts);
    opts.first = 1;
    opts.mean = mean;
    opts.std = std;
    opts.n_channels = 3;
    opts.label_column = -1;
    opts.n_classes = 10;
    fuzz_points_with(ctx, &bytes, &bytes, &opts);
    nm_ctx_free(ctx);
}

#endif
