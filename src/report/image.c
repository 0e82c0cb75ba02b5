#include "report/image.h"

#include <math.h>

#include "base/mem.h"
#include "report/png.h"

enum { LEAST_SIDE = 14, MAX_RANK = 8 };

static bool is_channels(int64_t n)
{
    return n == 1 || n == 3;
}

static nm_image_shape flat_shape(int64_t n)
{
    int64_t side = llround(sqrt((double)n));

    if (side < LEAST_SIDE || side * side != n)
        return (nm_image_shape){0};
    return (nm_image_shape){.width = side, .height = side, .n_channels = 1};
}

nm_image_shape nm_image_shape_of(const nm_net *net)
{
    int64_t shape[MAX_RANK], *d = shape;
    int rank = nm_net_in_shape(net, shape);

    for (; rank > 1 && *d == 1; d++) /* the batch, a single channel */
        rank--;
    if (rank == 3 && is_channels(d[0]))
        return (nm_image_shape){.height = d[1], .width = d[2], .n_channels = (int)d[0]};
    if (rank == 3 && is_channels(d[2]))
        return (nm_image_shape){
            .height = d[0], .width = d[1], .n_channels = (int)d[2], .channels_last = true};
    if (rank == 2 && d[0] >= LEAST_SIDE && d[1] >= LEAST_SIDE)
        return (nm_image_shape){.height = d[0], .width = d[1], .n_channels = 1};
    return rank == 1 ? flat_shape(d[0]) : (nm_image_shape){0};
}

static void find_range(const float *x, int64_t n, double *lo, double *hi)
{
    *lo = 0;
    *hi = 1;
    for (int64_t i = 0; i < n; i++)
        if (isfinite(x[i])) {
            *lo = fmin(*lo, (double)x[i]);
            *hi = fmax(*hi, (double)x[i]);
        }
}

nm_status nm_image_png(const nm_image_shape *shape, const float *x, nm_buffer *out, nm_err *err)
{
    int64_t plane = shape->width * shape->height;
    unsigned char *pixels = NULL, *at;
    double lo, hi;
    nm_status rc = nm_alloc(&pixels, (size_t)plane, (size_t)shape->n_channels, err);

    *out = (nm_buffer){0};
    if (rc != NM_OK)
        return rc;
    find_range(x, plane * shape->n_channels, &lo, &hi);
    at = pixels;
    for (int64_t i = 0; i < plane; i++)
        for (int c = 0; c < shape->n_channels; c++) {
            double v =
                (double)(shape->channels_last ? x[i * shape->n_channels + c] : x[c * plane + i]);

            *at++ = isfinite(v) ? (unsigned char)lround(255 * (v - lo) / (hi - lo)) : 0;
        }
    rc = nm_png_pack(pixels, shape->width, shape->height, shape->n_channels, out, err);
    nm_free(pixels);
    return rc;
}
