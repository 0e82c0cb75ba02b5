#include "problem/augment.h"

enum { CHANNELS = 3, LEAST_SIDE = 8, SHARE_MOVED = 8 };

bool nm_augment_fits(const nm_shape *shape)
{
    int n = shape->rank;

    return n >= 3 && nm_shape_size(shape) == CHANNELS * shape->dim[n - 2] * shape->dim[n - 1] &&
           shape->dim[n - 3] == CHANNELS && shape->dim[n - 2] >= LEAST_SIDE &&
           shape->dim[n - 1] >= LEAST_SIDE;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* Which pixel is seen at (row, column) of the copy. */
typedef struct view {
    int64_t height, width, down, right;
    bool mirrored;
} view;

static view draw_view(int64_t height, int64_t width, nm_rng *rng)
{
    int64_t down = height / SHARE_MOVED, right = width / SHARE_MOVED;

    return (view){.height = height,
                  .width = width,
                  .mirrored = nm_rng_below(rng, 2) == 1,
                  .down = (int64_t)nm_rng_below(rng, (uint64_t)(2 * down + 1)) - down,
                  .right = (int64_t)nm_rng_below(rng, (uint64_t)(2 * right + 1)) - right};
}

static void copy_plane(const view *v, const float *plane, float *copy)
{
    for (int64_t i = 0; i < v->height; i++) {
        const float *row = plane + clamp(i - v->down, v->height) * v->width;

        for (int64_t j = 0; j < v->width; j++) {
            int64_t seen = clamp(j - v->right, v->width);

            *copy++ = row[v->mirrored ? v->width - 1 - seen : seen];
        }
    }
}

void nm_augment(const nm_shape *shape, const float *x, int64_t n, uint64_t seed, uint64_t round,
                float *copy)
{
    int64_t height = shape->dim[shape->rank - 2], width = shape->dim[shape->rank - 1];
    int64_t plane = height * width;

    for (int64_t p = 0; p < n; p++) {
        nm_rng rng = {.seed = seed, .stream = round, .index = 4 * (uint64_t)p};
        view v = draw_view(height, width, &rng);

        for (int64_t c = p * CHANNELS; c < (p + 1) * CHANNELS; c++)
            copy_plane(&v, x + c * plane, copy + c * plane);
    }
}
