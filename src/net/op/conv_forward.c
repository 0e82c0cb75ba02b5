/* Convolutions in float32, for evaluation: the columns of tensor/product.h are fetched right from
 * the images. Around an image with its padding, each tap of each channel looks at the same distance
 * from where the window stands. */
#include <string.h>

#include "net/op/conv_core.h"
#include "net/op/facet.h"
#include "tensor/product.h"

enum { RUN = 8 }; /* numbers copied at once: more than needed, which the next ones overwrite */

struct images {
    const float *x;            /* [n x size] with their padding */
    int64_t size;              /* of one group of an image */
    int64_t pixels, positions; /* of a channel with its padding, of its output */
    int64_t padded[NM_WINDOW_AXES];
    const int64_t *stand; /* [positions] where windows stand */
    const int64_t *tap;   /* [channels x taps] where they look from there */
};

/* Columns that lie side by side in the images. */
struct run {
    int64_t from, column, end;
};

static int find_runs(const struct images *g, int64_t first, int64_t count, struct run *runs)
{
    int n = 0;

    for (int64_t c = 0; c < count; c++) {
        int64_t image = (first + c) / g->positions;
        int64_t at = image * g->size + g->stand[(first + c) % g->positions];

        if (n > 0 && at == runs[n - 1].from + (c - runs[n - 1].column))
            runs[n - 1].end = c + 1;
        else
            runs[n++] = (struct run){at, c, c + 1};
    }
    return n;
}

static void fetch(const void *user, int64_t first, int64_t count, int64_t from, int64_t n,
                  int64_t step, float *to)
{
    const struct images *g = user;
    struct run runs[NM_PRODUCT_COLUMNS];
    int n_runs = find_runs(g, first, count, runs);

    for (int64_t t = 0; t < n; t++, to += step) {
        const float *x = g->x + g->tap[from + t];

        for (int r = 0; n_runs == count && r < n_runs; r++) /* strides: no neighbours */
            to[r] = x[runs[r].from];
        for (int r = 0; n_runs < count && r < n_runs; r++) {
            const float *source = x + runs[r].from;

            for (int64_t c = runs[r].column; c < runs[r].end; c += RUN, source += RUN)
                memcpy(to + c, source, RUN * sizeof *to);
        }
        if (count < step)
            memset(to + count, 0, (size_t)(step - count) * sizeof *to);
    }
}

/* Places of windows and taps; everything along three axes. */
static void find_places(const nm_conv *c, const struct images *g, int64_t *stand, int64_t *tap)
{
    const nm_window *w = &c->window;
    int64_t taps = nm_window_volume(w->kernel), line = g->padded[2], plane = g->padded[1] * line;

    for (int64_t p = 0; p < g->positions; p++)
        stand[p] = p / (w->out[1] * w->out[2]) * w->stride[0] * plane +
                   p / w->out[2] % w->out[1] * w->stride[1] * line + p % w->out[2] * w->stride[2];
    for (int64_t k = 0; k < c->image_channels * taps; k++) {
        int64_t t = k % taps;

        tap[k] = k / taps * g->pixels + t / (w->kernel[1] * w->kernel[2]) * w->dilation[0] * plane +
                 t / w->kernel[2] % w->kernel[1] * w->dilation[1] * line +
                 t % w->kernel[2] * w->dilation[2];
    }
}

/* One group of an image, with zeros around each channel. */
static void pad_image(const nm_conv *c, const struct images *g, const float *image, float *to)
{
    const nm_window *w = &c->window;
    size_t line = (size_t)w->in[2] * sizeof *to;

    memset(to, 0, (size_t)g->size * sizeof *to);
    for (int64_t k = 0; k < c->image_channels; k++)
        for (int64_t z = 0; z < w->in[0]; z++)
            for (int64_t y = 0; y < w->in[1]; y++, image += w->in[2])
                memcpy(to + k * g->pixels +
                           ((z + w->pad[0]) * g->padded[1] + y + w->pad[1]) * g->padded[2] +
                           w->pad[2],
                       image, line);
}

/* The product, where it belongs: [image x channel x position]. */
static void store(const struct images *g, const float *sums, int64_t n, int64_t channels,
                  const float *bias, int64_t image_step, float *rows)
{
    int64_t strip = nm_product_strip(n), height = nm_product_rows(channels);

    for (int64_t first = 0; first < n; first += strip, sums += height * strip) {
        int64_t end = first + strip < n ? first + strip : n;

        for (int64_t j = first; j < end;) {
            int64_t image = j / g->positions, position = j % g->positions;
            int64_t left = g->positions - position;
            int64_t count = left < end - j ? left : end - j;
            float *to = rows + image * image_step + position;

            for (int64_t k = 0; k < channels; k++)
                for (int64_t i = 0; i < count; i++)
                    to[k * g->positions + i] =
                        sums[k * strip + (j - first) + i] + (bias ? bias[k] : 0);
            j += count;
        }
    }
}

/* Images whose outputs are made at once. */
static int64_t images_at_once(const nm_conv *c, int64_t positions)
{
    const int64_t most = 1 << 18; /* numbers of the product: they fit the cache */
    int64_t n = most / (nm_product_rows(c->row_channels) * positions) + 1;

    return n < c->images ? n : c->images;
}

void nm_conv_forward(const nm_exec *ex, const nm_conv *c, const float *image, const float *weights,
                     const float *bias, float *rows)
{
    const nm_window *w = &c->window;
    int64_t depth = c->image_channels * nm_window_volume(w->kernel);
    int64_t image_step = c->image_channels * nm_window_volume(w->in);
    struct images g = {.positions = nm_window_volume(w->out)};
    int64_t at_once = images_at_once(c, g.positions);
    int64_t *places = nm_scratch(ex, (size_t)(g.positions + depth), sizeof *places);
    float *room = nm_scratch(ex, (size_t)nm_product_room(c->row_channels, at_once * g.positions),
                             sizeof *room);
    float *padded;

    for (int a = 0; a < NM_WINDOW_AXES; a++)
        g.padded[a] = w->in[a] + w->pad[a] + w->pad_end[a];
    g.pixels = nm_window_volume(g.padded);
    g.size = c->image_channels * g.pixels;
    padded = nm_scratch(ex, (size_t)(at_once * g.size + RUN), sizeof *padded);
    if (!places || !room || !padded)
        return;
    g.x = padded;
    g.stand = places;
    g.tap = places + g.positions;
    find_places(c, &g, places, places + g.positions);
    memset(padded + at_once * g.size, 0, RUN * sizeof *padded);
    for (int64_t k = 0; k < c->groups; k++)
        for (int64_t first = 0; first < c->images; first += at_once) {
            int64_t n = c->images - first < at_once ? c->images - first : at_once;
            nm_product p = {.m = c->row_channels,
                            .k = depth,
                            .n = n * g.positions,
                            .w = weights + k * c->row_channels * depth,
                            .row = depth,
                            .term = 1,
                            .fetch = fetch,
                            .user = &g};

            for (int64_t i = 0; i < n; i++)
                pad_image(c, &g, image + ((first + i) * c->groups + k) * image_step,
                          padded + i * g.size);
            store(&g, nm_product_run(&p, room), p.n, c->row_channels,
                  bias ? bias + k * c->row_channels : NULL,
                  c->groups * c->row_channels * g.positions,
                  rows + (first * c->groups + k) * c->row_channels * g.positions);
        }
}
