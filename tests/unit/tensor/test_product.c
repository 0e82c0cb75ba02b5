/* Products for evaluation: against the sum in double, for all instruction sets, and the same bits
   whatever the neighbours. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/product.h"

struct matrix {
    float *x; /* [columns x k] */
    int64_t k;
};

static void fetch(const void *user, int64_t first, int64_t count, int64_t from, int64_t n,
                  int64_t step, float *to)
{
    const struct matrix *b = user;

    for (int64_t t = 0; t < n; t++)
        for (int64_t c = 0; c < step; c++)
            to[t * step + c] = c < count ? b->x[(first + c) * b->k + from + t] : 0;
    to[n * step + NM_PRODUCT_SLACK - 1] = NAN; /* allowed */
}

static float *numbers(uint64_t seed, int64_t n)
{
    nm_rng rng = {.seed = seed};
    float *x = calloc((size_t)n, sizeof *x);

    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)nm_rng_normal(&rng);
    return x;
}

/* c: [n x m] */
static float *product(const float *w, bool transposed, const float *x, int64_t m, int64_t k,
                      int64_t n)
{
    struct matrix b = {(float *)(uintptr_t)x, k};
    nm_product p = {.m = m,
                    .k = k,
                    .n = n,
                    .w = w,
                    .row = transposed ? 1 : k,
                    .term = transposed ? m : 1,
                    .fetch = fetch,
                    .user = &b};
    int64_t strip = nm_product_strip(n), rows = nm_product_rows(m);
    float *room = aligned_alloc(64, ((size_t)nm_product_room(m, n) * sizeof *room + 63) / 64 * 64);
    float *c = calloc((size_t)(m * n), sizeof *c);
    const float *sums;

    assert_non_null(room);
    assert_non_null(c);
    sums = nm_product_run(&p, room);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++)
            c[j * m + i] = sums[(j / strip * rows + i) * strip + j % strip];
    free(room);
    return c;
}

static void check(int64_t m, int64_t k, int64_t n)
{
    float *w = numbers(1, m * k), *turned = calloc((size_t)(m * k), sizeof *turned);
    float *x = numbers(2, n * k), *c, *again;

    assert_non_null(turned);
    for (int64_t i = 0; i < m; i++)
        for (int64_t t = 0; t < k; t++)
            turned[t * m + i] = w[i * k + t];
    c = product(w, false, x, m, k, n);
    again = product(turned, true, x, m, k, n);
    assert_memory_equal(c, again, (size_t)(m * n) * sizeof *c);
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            double sum = 0, got = (double)c[j * m + i];

            for (int64_t t = 0; t < k; t++)
                sum += (double)w[i * k + t] * (double)x[j * k + t];
            nm_assert_close(&got, &sum, 1, 0, 1e-6 * (double)(k + 1));
        }
    free(again);
    for (int64_t j = 0; j < n; j += 7) { /* a column alone, and with all behind it */
        again = product(w, false, x + j * k, m, k, 1);
        assert_memory_equal(c + j * m, again, (size_t)m * sizeof *c);
        free(again);
        again = product(w, false, x + j * k, m, k, n - j);
        assert_memory_equal(c + j * m, again, (size_t)(m * (n - j)) * sizeof *c);
        free(again);
    }
    free(c);
    free(w);
    free(turned);
    free(x);
}

static void products_are_right_and_columns_are_alone(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1},    {3, 5, 4},     {8, 192, 48},  {9, 193, 49},
                                       {17, 27, 16}, {10, 400, 17}, {24, 70, 100}, {5, 384, 47}};

    (void)state;
    for (int left_out = 0; left_out < 3; left_out++) {
        nm_product_leave_out(left_out);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            check(sizes[i][0], sizes[i][1], sizes[i][2]);
    }
    nm_product_leave_out(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_are_right_and_columns_are_alone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
