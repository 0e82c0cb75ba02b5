#include "choose/sample.h"

#include <string.h>

#include "base/mem.h"

nm_status nm_sample_take(const nm_points *points, const int64_t *labels, int64_t first,
                         int64_t step, int64_t most, nm_sample *out, nm_err *err)
{
    int64_t room = first < points->n ? (points->n - first + step - 1) / step : 0;
    int64_t n = room < most ? room : most;
    size_t width = (size_t)points->n_in;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&out->x, (size_t)n, width * sizeof *out->x, err));
    if (labels)
        NM_TRY(nm_alloc(&out->labels, (size_t)n, sizeof *out->labels, err));
    out->n = n;
    for (int64_t i = 0; i < n; i++) {
        int64_t from = first + step * (i * room / n);

        memcpy(out->x + (size_t)i * width, points->x + (size_t)from * width,
               width * sizeof *out->x);
        if (labels)
            out->labels[i] = labels[from];
    }
done:
    if (rc != NM_OK)
        nm_sample_clear(out);
    return rc;
}

static bool is_among(const nm_points *points, const float *x)
{
    size_t width = (size_t)points->n_in;

    for (int64_t p = 0; p < points->n; p++)
        if (memcmp(points->x + (size_t)p * width, x, width * sizeof *x) == 0)
            return true;
    return false;
}

void nm_sample_drop(nm_sample *sample, const nm_points *points)
{
    size_t width = (size_t)points->n_in;
    int64_t kept = 0;

    for (int64_t i = 0; i < sample->n; i++) {
        float *x = sample->x + (size_t)i * width;

        if (is_among(points, x))
            continue;
        memmove(sample->x + (size_t)kept * width, x, width * sizeof *x);
        if (sample->labels)
            sample->labels[kept] = sample->labels[i];
        kept++;
    }
    sample->n = kept;
}

void nm_sample_clear(nm_sample *sample)
{
    nm_free(sample->x);
    nm_free(sample->labels);
    *sample = (nm_sample){0};
}
