#ifdef NM_REAL

void NM_TYPED(nm_im2col)(const nm_window *w, int64_t channels, const NM_REAL *image, int64_t from,
                         int64_t n, NM_REAL *col, int64_t ld)
{
    int64_t taps = nm_window_volume(w->kernel), pixels = nm_window_volume(w->in);

    for (int64_t row = 0; row < channels * taps; row++) {
        const NM_REAL *channel = image + row / taps * pixels;
        NM_REAL *to = col + row * ld;
        stretch s;

        for (int64_t done = 0; done < n; done += s.n) {
            s = stretch_at(w, row % taps, from + done, n - done);
            memset(to + done, 0, (size_t)s.lo * sizeof *to);
            if (w->stride[2] == 1 && s.lo < s.hi)
                memcpy(to + done + s.lo, channel + s.first, (size_t)(s.hi - s.lo) * sizeof *to);
            else
                for (int64_t i = s.lo; i < s.hi; i++)
                    to[done + i] = channel[s.first + (i - s.lo) * w->stride[2]];
            memset(to + done + s.hi, 0, (size_t)(s.n - s.hi) * sizeof *to);
        }
    }
}

void NM_TYPED(nm_col2im)(const nm_window *w, int64_t channels, const NM_REAL *col, int64_t ld,
                         int64_t from, int64_t n, NM_REAL *image)
{
    int64_t taps = nm_window_volume(w->kernel), pixels = nm_window_volume(w->in);

    for (int64_t row = 0; row < channels * taps; row++) {
        NM_REAL *channel = image + row / taps * pixels;
        const NM_REAL *source = col + row * ld;
        stretch s;

        for (int64_t done = 0; done < n; done += s.n) {
            s = stretch_at(w, row % taps, from + done, n - done);
            for (int64_t i = s.lo; i < s.hi; i++)
                channel[s.first + (i - s.lo) * w->stride[2]] += source[done + i];
        }
    }
}

#else

#include "tensor/im2col.h"

#include <string.h>

/* Consecutive output positions of one output row, seen through one tap. */
typedef struct stretch {
    int64_t n;      /* positions */
    int64_t lo, hi; /* those of them, lo <= i < hi, that look inside the image */
    int64_t first;  /* index in the channel that position lo looks at */
} stretch;

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static stretch stretch_at(const nm_window *w, int64_t tap, int64_t position, int64_t n_left)
{
    int64_t column = position % w->out[2], line = position / w->out[2];
    int64_t at[NM_WINDOW_AXES] = {line / w->out[1], line % w->out[1], column};
    int64_t k[NM_WINDOW_AXES] = {tap / (w->kernel[1] * w->kernel[2]),
                                 tap / w->kernel[2] % w->kernel[1], tap % w->kernel[2]};
    stretch s = {.n = w->out[2] - column < n_left ? w->out[2] - column : n_left};

    for (int a = 0; a < NM_WINDOW_AXES; a++)
        at[a] = at[a] * w->stride[a] - w->pad[a] + k[a] * w->dilation[a];
    if (at[0] < 0 || at[0] >= w->in[0] || at[1] < 0 || at[1] >= w->in[1])
        return (stretch){.n = s.n};
    if (at[2] < 0)
        s.lo = clamp((w->stride[2] - 1 - at[2]) / w->stride[2], 0, s.n);
    if (at[2] < w->in[2])
        s.hi = clamp((w->in[2] - 1 - at[2]) / w->stride[2] + 1, s.lo, s.n);
    else
        s.hi = s.lo;
    s.first = (at[0] * w->in[1] + at[1]) * w->in[2] + at[2] + s.lo * w->stride[2];
    return s;
}

bool nm_window_is_identity(const nm_window *w)
{
    for (int a = 0; a < NM_WINDOW_AXES; a++)
        if (w->kernel[a] != 1 || w->stride[a] != 1 || w->pad[a] != 0 || w->in[a] != w->out[a])
            return false;
    return true;
}

#define NM_SELF "tensor/im2col.c"
#include "tensor/typed.h"
#endif
