#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/gemm.h"
#include "tensor/im2col.h"
#include "tensor/lanes.h"

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

/* Sizes around the borders of tiles, strips and blocks; the products of magnitudes, too. A row or
   column is the same sum whatever stands beside it. */
static void plain_products_hold_at_every_border(void **state)
{
    static const int64_t m[] = {1, 6, 7, 119, 121}, n[] = {1, 2, 8, 17}, k[] = {1, 255, 257, 600};
    enum { M = 121, N = 17, K = 600 };
    double *a = calloc(M * K, sizeof *a), *b = calloc(N * K, sizeof *b), c[M * N], fewer[M * N];
    nm_rng rng = {.seed = 5};

    (void)state;
    for (int i = 0; i < M * K; i++)
        a[i] = nm_rng_normal(&rng);
    for (int i = 0; i < N * K; i++)
        b[i] = nm_rng_normal(&rng);
    for (int at = 0; at < 5 * 4 * 4 * 6; at++) {
        nm_gemm g = {.plain = true,
                     .absolute = at / 80 % 2,
                     .trans_a = at / 160 == 1,
                     .trans_b = at / 160 == 2,
                     .m = m[at % 5],
                     .n = n[at / 5 % 4],
                     .k = k[at / 20 % 4],
                     .lda = at / 160 == 1 ? M : K,
                     .ldb = at / 160 == 2 ? K : N,
                     .ldc = N,
                     .alpha = 1};

        nm_gemm_f64(&g, a, b, c);
        for (int64_t i = 0; i < g.m; i++)
            for (int64_t j = 0; j < g.n; j++) {
                double want = 0;

                for (int64_t p = 0; p < g.k; p++) {
                    double term = (g.trans_a ? a[p * M + i] : a[i * K + p]) *
                                  (g.trans_b ? b[j * K + p] : b[p * N + j]);

                    want += g.absolute ? fabs(term) : term;
                }
                nm_assert_close(&c[i * N + j], &want, 1, 1e-12, 1e-12);
            }
        if (g.n < 3 || g.m < 3)
            continue;
        g.m -= 2;
        g.n -= 1;
        nm_gemm_f64(&g, a, b, fewer);
        for (int64_t i = 0; i < g.m; i++)
            assert_memory_equal(c + i * N, fewer + i * N, (size_t)(g.n > 1 ? g.n : 0) * sizeof *c);
    }
    free(a);
    free(b);
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

/* An image of two channels for each lane, and the same side by side. */
static void draw_lanes(nm_rng *rng, int64_t lanes, int64_t size, double *images, double *together)
{
    for (int64_t i = 0; i < lanes * size; i++)
        images[i] = nm_rng_normal(rng);
    nm_lanes_gather_f64(lanes, size, images, size, together);
}

static void columns_hold_what_the_windows_see(void **state)
{
    enum { MAX_LANES = 6 };
    static double images[MAX_LANES * ROOM], together[MAX_LANES * ROOM], back[MAX_LANES * ROOM];
    static double col[MAX_LANES << 18], other[MAX_LANES << 18];

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        nm_rng rng = {.seed = seed};
        nm_window w = random_window(&rng);
        int64_t lanes = 1 + (int64_t)nm_rng_below(&rng, MAX_LANES);
        int64_t taps = nm_window_volume(w.kernel), pixels = nm_window_volume(w.in);
        int64_t all = nm_window_volume(w.out);
        int64_t from = (int64_t)nm_rng_below(&rng, (uint64_t)all);
        int64_t n = 1 + (int64_t)nm_rng_below(&rng, (uint64_t)(all - from));
        double left = 0, right = 0;

        draw_lanes(&rng, lanes, 2 * pixels, images, together);
        nm_im2col_f64(&w, 2, lanes, together, from, n, col);
        memset(back, 0, sizeof back);
        for (int64_t i = 0; i < 2 * taps * n * lanes; i++) {
            int64_t lane = i % lanes, row = i / lanes / n, position = from + i / lanes % n;
            double want = seen(&w, images + (2 * lane + row / taps) * pixels, position, row % taps);

            nm_assert_close(&col[i], &want, 1, 0, 0);
            other[i] = nm_rng_normal(&rng);
            left += other[i] * want;
        }
        nm_col2im_f64(&w, 2, lanes, other, from, n, back);
        for (int64_t i = 0; i < 2 * pixels * lanes; i++)
            right += back[i] * together[i];
        nm_assert_close(&right, &left, 1, 1e-12, 1e-10);
    }
}

static void lanes_come_apart_as_they_went_together(void **state)
{
    enum { MAX_LANES = 9, MAX_N = 70, STRIDE = MAX_N + 3 };
    double apart[MAX_LANES * STRIDE], together[MAX_LANES * MAX_N], back[MAX_LANES * STRIDE];

    (void)state;
    for (int64_t lanes = 1; lanes <= MAX_LANES; lanes++)
        for (int64_t n = 0; n <= MAX_N; n += 7)
            for (int add = 0; add < 2; add++) {
                for (int64_t i = 0; i < MAX_LANES * STRIDE; i++) {
                    apart[i] = (double)i;
                    back[i] = 1000;
                }
                nm_lanes_gather_f64(lanes, n, apart, STRIDE, together);
                nm_lanes_scatter_f64(lanes, n, together, 0.5, add != 0, back, STRIDE);
                for (int64_t i = 0; i < MAX_LANES * STRIDE; i++) {
                    bool inside = i % STRIDE < n && i / STRIDE < lanes;
                    double want = !inside ? 1000 : apart[i] + 0.5 + (add ? 1000 : 0);

                    nm_assert_close(&back[i], &want, 1, 0, 0);
                }
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_their_definition),
        cmocka_unit_test(plain_products_hold_at_every_border),
        cmocka_unit_test(columns_hold_what_the_windows_see),
        cmocka_unit_test(lanes_come_apart_as_they_went_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
