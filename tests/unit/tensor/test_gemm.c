#include "support.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/gemm.h"
#include "tensor/im2col.h"

enum { ROOM = 4096 };

static void draw(nm_rng *rng, double *x, float *x32)
{
    for (int i = 0; i < ROOM; i++) {
        x32[i] = (float)nm_rng_normal(rng);
        x[i] = (double)x32[i];
    }
}

/* One entry of alpha op(A) op(B) + beta C. */
static double entry(const nm_gemm *g, const double *a, const double *b, const double *c, int64_t i,
                    int64_t j)
{
    double sum = 0;

    for (int64_t k = 0; k < g->k; k++)
        sum += (g->trans_a ? a[k * g->lda + i] : a[i * g->lda + k]) *
               (g->trans_b ? b[j * g->ldb + k] : b[k * g->ldb + j]);
    return g->alpha * sum + (g->beta == 0 ? 0 : g->beta * c[i * g->ldc + j]);
}

static nm_gemm random_product(nm_rng *rng, int form)
{
    nm_gemm g = {.trans_a = form == 1,
                 .trans_b = form == 2,
                 .m = 1 + (int64_t)nm_rng_below(rng, 20),
                 .n = 1 + (int64_t)nm_rng_below(rng, 20),
                 .k = 1 + (int64_t)nm_rng_below(rng, 40),
                 .alpha = nm_rng_below(rng, 2) ? 1 : -0.5,
                 .beta = (double)nm_rng_below(rng, 3)};

    g.lda = (g.trans_a ? g.m : g.k) + (int64_t)nm_rng_below(rng, 3);
    g.ldb = (g.trans_b ? g.k : g.n) + (int64_t)nm_rng_below(rng, 3);
    g.ldc = g.n + (int64_t)nm_rng_below(rng, 3);
    return g;
}

static void products_match_their_definition(void **state)
{
    static double a[ROOM], b[ROOM], c[ROOM], got[ROOM], want[ROOM];
    static float a32[ROOM], b32[ROOM], c32[ROOM];

    (void)state;
    for (uint64_t seed = 0; seed < 120; seed++) {
        nm_rng rng = {.seed = seed};
        nm_gemm g = random_product(&rng, (int)(seed % 3));

        g.plain = seed % 2;
        draw(&rng, a, a32);
        draw(&rng, b, b32);
        draw(&rng, c, c32);
        if (g.beta == 0) /* then C must not be read */
            for (int i = 0; i < ROOM; i++)
                c32[i] = NAN, c[i] = (double)NAN;
        memcpy(got, c, sizeof got);
        nm_gemm_f64(&g, a, b, got);
        nm_gemm_f32(&g, a32, b32, c32);
        for (int64_t i = 0; i < g.m; i++)
            for (int64_t j = 0; j < g.n; j++) {
                int64_t at = i * g.ldc + j;

                want[at] = entry(&g, a, b, c, i, j);
                nm_assert_close(&got[at], &want[at], 1, 1e-13, 1e-13);
                nm_assert_close(&(double){(double)c32[at]}, &want[at], 1, 1e-5, 1e-4);
            }
        for (int64_t i = 0; g.beta != 0 && i + 1 < g.m; i++) /* nothing between the rows */
            for (int64_t at = i * g.ldc + g.n; at < (i + 1) * g.ldc; at++)
                assert_true(got[at] == c[at]);
    }
}

static nm_window random_window(nm_rng *rng)
{
    nm_window w;

    for (int a = 0; a < NM_WINDOW_AXES; a++) {
        w.in[a] = 3 + (int64_t)nm_rng_below(rng, 4);
        w.kernel[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        w.stride[a] = 1 + (int64_t)nm_rng_below(rng, 3);
        w.dilation[a] = 1 + (int64_t)nm_rng_below(rng, 2);
        w.pad[a] = 2 + (int64_t)nm_rng_below(rng, 2);
        w.pad_end[a] = (int64_t)nm_rng_below(rng, 3);
        w.out[a] = (w.in[a] + w.pad[a] + w.pad_end[a] - (w.kernel[a] - 1) * w.dilation[a] - 1) /
                       w.stride[a] +
                   1;
    }
    return w;
}

/* What tap k of the window at output position p sees; 0 in the padding. */
static double seen(const nm_window *w, const double *image, int64_t p, int64_t k)
{
    int64_t o[] = {p / (w->out[1] * w->out[2]), p / w->out[2] % w->out[1], p % w->out[2]};
    int64_t t[] = {k / (w->kernel[1] * w->kernel[2]), k / w->kernel[2] % w->kernel[1],
                   k % w->kernel[2]};
    int64_t at = 0;

    for (int a = 0; a < NM_WINDOW_AXES; a++) {
        int64_t x = o[a] * w->stride[a] - w->pad[a] + t[a] * w->dilation[a];

        if (x < 0 || x >= w->in[a])
            return 0;
        at = at * w->in[a] + x;
    }
    return image[at];
}

static void columns_hold_what_the_windows_see(void **state)
{
    static double image[ROOM], col[1 << 18], other[1 << 18], back[ROOM];
    static float image32[ROOM];

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        nm_rng rng = {.seed = seed};
        nm_window w = random_window(&rng);
        int64_t taps = nm_window_volume(w.kernel), pixels = nm_window_volume(w.in);
        int64_t all = nm_window_volume(w.out), ld, n;
        int64_t from = (int64_t)nm_rng_below(&rng, (uint64_t)all);
        double left = 0, right = 0;

        n = 1 + (int64_t)nm_rng_below(&rng, (uint64_t)(all - from));
        ld = n + 1;
        draw(&rng, image, image32);
        nm_im2col_f64(&w, 2, image, from, n, col, ld);
        memset(back, 0, sizeof back);
        for (int64_t row = 0; row < 2 * taps; row++)
            for (int64_t i = 0; i < n; i++) {
                double want = seen(&w, image + row / taps * pixels, from + i, row % taps);

                nm_assert_close(&col[row * ld + i], &want, 1, 0, 0);
                other[row * ld + i] = nm_rng_normal(&rng);
                left += other[row * ld + i] * want;
            }
        nm_col2im_f64(&w, 2, other, ld, from, n, back);
        for (int64_t i = 0; i < 2 * pixels; i++)
            right += back[i] * image[i];
        nm_assert_close(&right, &left, 1, 1e-12, 1e-10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_their_definition),
        cmocka_unit_test(columns_hold_what_the_windows_see),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
