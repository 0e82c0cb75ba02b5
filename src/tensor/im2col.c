#ifdef NM_REAL

/* to[i * lanes ...] = from[i * stride * lanes ...] for i < n, all lanes of each. */
static void NM_TYPED(copy)(int64_t n, int64_t lanes, const NM_REAL *from, int64_t stride,
                           NM_REAL *to)
{
    if (stride == 1)
        memcpy(to, from, (size_t)(n * lanes) * sizeof *to);
    else if (lanes == 1)
        for (int64_t i = 0; i < n; i++)
            to[i] = from[i * stride];
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(to + i * lanes, from + i * stride * lanes, (size_t)lanes * sizeof *to);
}

/* The adjoint: to[i * stride * lanes ...] += from[i * lanes ...]. */
static void NM_TYPED(add)(int64_t n, int64_t lanes, const NM_REAL *from, int64_t stride,
                          NM_REAL *to)
{
    if (stride == 1) {
        for (int64_t i = 0; i < n * lanes; i++)
            to[i] += from[i];
        return;
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t l = 0; l < lanes; l++)
            to[i * stride * lanes + l] += from[i * lanes + l];
}

/* What one tap sees of one channel, in the order of the output positions. */
static void NM_TYPED(look)(const nm_window *w, const tap *t, cursor at, int64_t lanes,
                           const NM_REAL *channel, NM_REAL *to)
{
    for (stretch s; next_stretch(w, t, &at, &s); to += s.n * lanes) {
        memset(to, 0, (size_t)(s.lo * lanes) * sizeof *to);
        NM_TYPED(copy)
        (s.hi - s.lo, lanes, channel + s.first * lanes, w->stride[2], to + s.lo * lanes);
        memset(to + s.hi * lanes, 0, (size_t)((s.n - s.hi) * lanes) * sizeof *to);
    }
}

static void NM_TYPED(put_back)(const nm_window *w, const tap *t, cursor at, int64_t lanes,
                               const NM_REAL *source, NM_REAL *channel)
{
    for (stretch s; next_stretch(w, t, &at, &s); source += s.n * lanes)
        NM_TYPED(add)
    (s.hi - s.lo, lanes, source + s.lo * lanes, w->stride[2], channel + s.first * lanes);
}

void NM_TYPED(nm_im2col)(const nm_window *w, int64_t channels, int64_t lanes, const NM_REAL *image,
                         int64_t from, int64_t n, NM_REAL *col)
{
    int64_t taps = nm_window_volume(w->kernel), pixels = nm_window_volume(w->in);
    cursor start = cursor_at(w, from, n);

    for (int64_t k = 0; k < taps; k++) {
        tap t = tap_at(w, k);

        for (int64_t c = 0; c < channels; c++)
            NM_TYPED(look)
        (w, &t, start, lanes, image + c * pixels * lanes, col + (c * taps + k) * n * lanes);
    }
}

void NM_TYPED(nm_col2im)(const nm_window *w, int64_t channels, int64_t lanes, const NM_REAL *col,
                         int64_t from, int64_t n, NM_REAL *image)
{
    int64_t taps = nm_window_volume(w->kernel), pixels = nm_window_volume(w->in);
    cursor start = cursor_at(w, from, n);

    for (int64_t k = 0; k < taps; k++) {
        tap t = tap_at(w, k);

        for (int64_t c = 0; c < channels; c++)
            NM_TYPED(put_back)
        (w, &t, start, lanes, col + (c * taps + k) * n * lanes, image + c * pixels * lanes);
    }
}

/* to[i, l] = max(to[i, l], from[i * stride, l]); the old one where neither is larger (NaN). */
static void NM_TYPED(raise)(int64_t n, int64_t lanes, const NM_REAL *from, int64_t stride,
                            NM_REAL *to)
{
    for (int64_t i = 0; i < n; i++) {
        const NM_REAL *x = from + i * stride * lanes;
        NM_REAL *best = to + i * lanes;

        for (int64_t l = 0; l < lanes; l++)
            best[l] = x[l] > best[l] ? x[l] : best[l];
    }
}

void NM_TYPED(nm_window_max)(const nm_window *w, int64_t lanes, const NM_REAL *image, NM_REAL *out)
{
    int64_t taps = nm_window_volume(w->kernel);
    cursor start = cursor_at(w, 0, nm_window_volume(w->out));

    for (int64_t k = 0; k < taps; k++) {
        tap t = tap_at(w, k);
        cursor at = start;
        NM_REAL *to = out;

        for (stretch s; next_stretch(w, &t, &at, &s); to += s.n * lanes)
            NM_TYPED(raise)
        (s.hi - s.lo, lanes, image + s.first * lanes, w->stride[2], to + s.lo * lanes);
    }
}

#else

#include "tensor/im2col.h"

#include <string.h>

/* Output positions still to visit: one row of the output after the other. */
typedef struct cursor {
    int64_t z, y, x, n_left;
} cursor;

/* One tap of the kernel: where it looks at output position 0, and for which columns of the output
   it looks between the left and right edge of the image. */
typedef struct tap {
    int64_t at[NM_WINDOW_AXES];
    int64_t first_column, end_column;
} tap;

/* Consecutive positions of one output row, seen through one tap. */
typedef struct stretch {
    int64_t n;      /* positions */
    int64_t lo, hi; /* those of them, lo <= i < hi, that look inside the image */
    int64_t first;  /* index in the channel that position lo looks at (0 if there is none) */
} stretch;

static int64_t clamp(int64_t x, int64_t lo, int64_t hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

static cursor cursor_at(const nm_window *w, int64_t position, int64_t n)
{
    int64_t line = position / w->out[2];

    return (cursor){line / w->out[1], line % w->out[1], position % w->out[2], n};
}

static tap tap_at(const nm_window *w, int64_t k)
{
    tap t = {.at = {k / (w->kernel[1] * w->kernel[2]), k / w->kernel[2] % w->kernel[1],
                    k % w->kernel[2]}};

    for (int a = 0; a < NM_WINDOW_AXES; a++)
        t.at[a] = t.at[a] * w->dilation[a] - w->pad[a];
    if (t.at[2] < 0)
        t.first_column = (w->stride[2] - 1 - t.at[2]) / w->stride[2];
    if (t.at[2] < w->in[2])
        t.end_column = (w->in[2] - 1 - t.at[2]) / w->stride[2] + 1;
    return t;
}

/* False when all positions are visited. */
static inline bool next_stretch(const nm_window *w, const tap *t, cursor *c, stretch *s)
{
    int64_t z = c->z * w->stride[0] + t->at[0], y = c->y * w->stride[1] + t->at[1];
    int64_t room = w->out[2] - c->x;

    *s = (stretch){.n = room < c->n_left ? room : c->n_left};
    if (z >= 0 && z < w->in[0] && y >= 0 && y < w->in[1]) {
        s->lo = clamp(t->first_column - c->x, 0, s->n);
        s->hi = clamp(t->end_column - c->x, s->lo, s->n);
    }
    if (s->lo < s->hi)
        s->first = (z * w->in[1] + y) * w->in[2] + (c->x + s->lo) * w->stride[2] + t->at[2];
    c->n_left -= s->n;
    c->x = 0;
    if (++c->y == w->out[1]) {
        c->y = 0;
        c->z++;
    }
    return s->n > 0;
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
