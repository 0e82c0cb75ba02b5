#include "io/preprocess.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

static nm_status check_values(const nm_data_opts *opts, nm_err *err)
{
    if (!isfinite(opts->scale) || opts->scale < 0)
        return nm_fail(err, NM_E_ARG, "scale is %g, expected a number above 0", opts->scale);
    if ((opts->mean || opts->std) && opts->n_channels < 1)
        return nm_fail(err, NM_E_ARG, "mean and std of %d channels, expected at least 1",
                       opts->n_channels);
    for (int c = 0; c < opts->n_channels; c++) {
        if (opts->mean && !isfinite(opts->mean[c]))
            return nm_fail(err, NM_E_ARG, "mean of channel %d is %g, expected a finite number", c,
                           opts->mean[c]);
        if (opts->std && !(isfinite(opts->std[c]) && opts->std[c] > 0))
            return nm_fail(err, NM_E_ARG, "std of channel %d is %g, expected a number above 0", c,
                           opts->std[c]);
    }
    return NM_OK;
}

/* Columns in a run of one channel, and of all channels together. */
static nm_status find_channels(int n_channels, const nm_array_shape *point, int64_t n_cols,
                               int64_t *run, nm_err *err)
{
    char shape[128];

    *run = 1;
    if (n_channels == 1 || (point->rank > 0 && point->dims[0] == n_channels))
        *run = n_cols / n_channels;
    else if (point->rank == 0 || point->dims[point->rank - 1] != n_channels)
        return nm_fail(err, NM_E_SHAPE,
                       "mean and std have %d entries, but a point has shape %s, expected 1 entry "
                       "or as many as its first or last axis",
                       n_channels, nm_array_shape_text(point, shape, sizeof shape));
    return NM_OK;
}

nm_status nm_preprocess_init(nm_preprocess *out, const nm_data_opts *opts,
                             const nm_array_rows *rows, nm_err *err)
{
    nm_status rc = check_values(opts, err);
    int64_t run = 1;
    size_t n = (size_t)rows->n_cols;

    memset(out, 0, sizeof *out);
    out->scale = opts->scale > 0 ? opts->scale : rows->dtype == NM_DTYPE_U8 ? 255 : 1;
    out->n_cols = rows->n_cols;
    if (rc != NM_OK || (!opts->mean && !opts->std))
        return rc;
    NM_TRY(find_channels(opts->n_channels, &rows->shape, rows->n_cols, &run, err));
    NM_TRY(nm_alloc(&out->mean, n, sizeof *out->mean, err));
    NM_TRY(nm_alloc(&out->std, n, sizeof *out->std, err));
    for (size_t i = 0; i < n; i++) {
        size_t channel = i / (size_t)run % (size_t)opts->n_channels;
        out->mean[i] = opts->mean ? opts->mean[channel] : 0;
        out->std[i] = opts->std ? opts->std[channel] : 1;
    }
done:
    if (rc != NM_OK)
        nm_preprocess_free(out);
    return rc;
}

void nm_preprocess_free(nm_preprocess *p)
{
    nm_free(p->mean);
    nm_free(p->std);
    memset(p, 0, sizeof *p);
}

int64_t nm_preprocess_row(const nm_preprocess *p, double *row, float *out)
{
    bool finite = true;

    if (p->scale != 1)
        for (int64_t i = 0; i < p->n_cols; i++)
            row[i] /= p->scale;
    if (p->mean)
        for (int64_t i = 0; i < p->n_cols; i++)
            row[i] = (row[i] - p->mean[i]) / p->std[i];
    for (int64_t i = 0; i < p->n_cols; i++) {
        out[i] = (float)row[i];
        finite &= fabsf(out[i]) <= FLT_MAX;
    }
    for (int64_t i = 0; !finite && i < p->n_cols; i++)
        if (!isfinite(out[i]))
            return i;
    return -1;
}
