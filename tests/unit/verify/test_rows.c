/* The kernels over rows side by side against loops in double, at sizes that fill no tile. */
#include "support.h"

#include <math.h>

#include "base/rng.h"
#include "verify/rows.h"

enum { MOST_N = 45, MOST_OUT = 19, MOST_WIDTH = 2 * NM_ROWS_VECTOR, LD = 64 };

static void draw(nm_rng *rng, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)nm_rng_normal(rng);
}

static double entry_of_triangle(const float *p, int64_t i, int64_t j)
{
    return (double)p[i * (i + 1) / 2 + j];
}

static void products_are_added_at_their_places(void **state)
{
    float rows[MOST_OUT][MOST_WIDTH], weights[MOST_OUT][MOST_N], to[MOST_N * MOST_WIDTH];
    const float *row[MOST_OUT], *weight[MOST_OUT];
    int32_t place[MOST_N];
    nm_rng rng = {.seed = 1};

    (void)state;
    for (int64_t n = 1; n <= MOST_N; n += 4)
        for (int v = 1; v <= 2; v++) {
            int64_t width = v * NM_ROWS_VECTOR, n_out = 1 + n % MOST_OUT;
            float old[MOST_N * MOST_WIDTH];

            draw(&rng, &rows[0][0], MOST_OUT * MOST_WIDTH);
            draw(&rng, &weights[0][0], MOST_OUT * MOST_N);
            draw(&rng, old, MOST_N * MOST_WIDTH);
            memcpy(to, old, sizeof to);
            for (int64_t o = 0; o < n_out; o++) {
                row[o] = rows[o];
                weight[o] = weights[o];
            }
            for (int32_t i = 0; i < n; i++)
                place[i] = (int32_t)n - 1 - i;
            nm_rows_best_kernels()->add[v - 1](n, place, n_out, weight, row, to);
            for (int64_t i = 0; i < n; i++)
                for (int64_t r = 0; r < width; r++) {
                    double sum = (double)old[place[i] * width + r];

                    for (int64_t o = 0; o < n_out; o++)
                        sum += (double)weights[o][i] * (double)rows[o][r];
                    assert_true(fabs((double)to[place[i] * width + r] - sum) < 1e-4);
                }
        }
}

static void halves_give_the_quadratic_form(void **state)
{
    float p[MOST_N * (MOST_N + 1) / 2], rows[MOST_N * MOST_WIDTH], to[MOST_N * MOST_WIDTH];
    nm_rng rng = {.seed = 2};

    (void)state;
    for (int64_t n = 1; n <= MOST_N; n++)
        for (int v = 1; v <= 2; v++) {
            int64_t width = v * NM_ROWS_VECTOR;

            draw(&rng, p, MOST_N * (MOST_N + 1) / 2);
            draw(&rng, rows, MOST_N * MOST_WIDTH);
            nm_rows_best_kernels()->halve[v - 1](n, p, rows, to);
            for (int64_t r = 0; r < width; r++) {
                double square = 0, half = 0;

                for (int64_t i = 0; i < n; i++) {
                    half += (double)rows[i * width + r] * (double)to[i * width + r];
                    for (int64_t j = 0; j < n; j++)
                        square += (double)rows[i * width + r] * (double)rows[j * width + r] *
                                  entry_of_triangle(p, i > j ? i : j, i > j ? j : i);
                }
                assert_true(fabs(2 * half - square) < 1e-3);
            }
        }
}

static void grams_fill_the_lower_triangle(void **state)
{
    enum { K = 150 }; /* more than go at once */
    static float s[K * LD], to[LD * LD];
    nm_rng rng = {.seed = 3};

    (void)state;
    for (int64_t n = 1; n <= LD; n += 7) {
        draw(&rng, s, (int64_t)K * LD);
        memset(to, 0, sizeof to);
        for (int64_t k = 0; k < K; k++)
            for (int64_t i = n; i < LD; i++)
                s[k * LD + i] = 0;
        nm_rows_best_kernels()->gram(K, n, LD, s, to);
        for (int64_t i = 0; i < n; i++)
            for (int64_t j = 0; j <= i; j++) {
                double sum = 0;

                for (int64_t k = 0; k < K; k++)
                    sum += (double)s[k * LD + i] * (double)s[k * LD + j];
                assert_true(fabs((double)to[i * LD + j] - sum) < 1e-3);
            }
    }
}

static void weights_count_magnitudes(void **state)
{
    float rows[MOST_N * MOST_WIDTH], by[MOST_N];
    double sum[MOST_WIDTH];
    nm_rng rng = {.seed = 4};

    (void)state;
    draw(&rng, rows, MOST_N * MOST_WIDTH);
    draw(&rng, by, MOST_N);
    rows[3] = -0.0F;
    for (int64_t r = 0; r < MOST_WIDTH; r++)
        sum[r] = 1;
    nm_rows_best_kernels()->weigh(MOST_N, MOST_WIDTH, rows, by, sum);
    for (int64_t r = 0; r < MOST_WIDTH; r++) {
        double want = 1;

        for (int64_t i = 0; i < MOST_N; i++)
            want += fabs((double)rows[i * MOST_WIDTH + r]) * (double)by[i];
        assert_true(fabs(sum[r] - want) < 1e-12);
    }
}

static void only_zeros_are_zero(void **state)
{
    float row[MOST_WIDTH] = {0};

    (void)state;
    row[7] = -0.0F;
    assert_true(nm_rows_are_zero(row, MOST_WIDTH));
    for (int64_t r = 0; r < MOST_WIDTH; r++) {
        row[r] = 0x1p-149F;
        assert_int_equal(nm_rows_are_zero(row, NM_ROWS_VECTOR), r >= NM_ROWS_VECTOR);
        assert_false(nm_rows_are_zero(row, MOST_WIDTH));
        row[r] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_added_at_their_places),
        cmocka_unit_test(halves_give_the_quadratic_form),
        cmocka_unit_test(grams_fill_the_lower_triangle),
        cmocka_unit_test(weights_count_magnitudes),
        cmocka_unit_test(only_zeros_are_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
