/* Copies of images: whole views of them, alike in all channels, drawn from the seed alone. */
#include <stdlib.h>

#include "support.h"

#include "problem/augment.h"

enum { HEIGHT = 16, WIDTH = 24, PLANE = HEIGHT * WIDTH, SIZE = 3 * PLANE, IMAGES = 200 };

static const nm_shape image = {.rank = 4, .dim = {1, 3, HEIGHT, WIDTH}};

/* A pixel tells its channel and its place. */
static float *numbered_images(void)
{
    float *x = malloc(IMAGES * SIZE * sizeof *x);

    assert_non_null(x);
    for (int i = 0; i < IMAGES * SIZE; i++)
        x[i] = (float)(i % SIZE);
    return x;
}

static int clamp(int i, int n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static bool is_view(const float *copy, int down, int right, bool mirrored)
{
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < HEIGHT; i++)
            for (int j = 0; j < WIDTH; j++) {
                int column = clamp(j - right, WIDTH);

                column = mirrored ? WIDTH - 1 - column : column;
                if (copy[c * PLANE + i * WIDTH + j] !=
                    (float)(c * PLANE + clamp(i - down, HEIGHT) * WIDTH + column))
                    return false;
            }
    return true;
}

static void every_copy_is_a_view_and_all_views_occur(void **state)
{
    float *x = numbered_images(), *copy = malloc(IMAGES * SIZE * sizeof *copy);
    bool down[5] = {false}, right[7] = {false}, mirrored[2] = {false};
    int found = 0;

    (void)state;
    assert_non_null(copy);
    nm_augment(&image, x, IMAGES, 5, 1, copy);
    for (int p = 0; p < IMAGES; p++)
        for (int d = -2; d <= 2; d++)
            for (int r = -3; r <= 3; r++)
                for (int m = 0; m < 2; m++)
                    if (is_view(copy + p * SIZE, d, r, m)) {
                        down[d + 2] = right[r + 3] = mirrored[m] = true;
                        found++;
                    }
    assert_int_equal(found, IMAGES);
    for (int i = 0; i < 7; i++)
        assert_true(right[i] && (i >= 5 || down[i]) && (i >= 2 || mirrored[i]));
    free(x);
    free(copy);
}

static void copies_depend_on_seed_round_and_place(void **state)
{
    float *x = numbered_images(), *copy[4];

    (void)state;
    for (int k = 0; k < 4; k++) {
        copy[k] = malloc(IMAGES * SIZE * sizeof *copy[k]);
        assert_non_null(copy[k]);
    }
    nm_augment(&image, x, IMAGES, 5, 1, copy[0]);
    nm_augment(&image, x, IMAGES / 2, 5, 1, copy[1]); /* the first ones alone */
    nm_augment(&image, x, IMAGES, 6, 1, copy[2]);
    nm_augment(&image, x, IMAGES, 5, 2, copy[3]);
    assert_memory_equal(copy[0], copy[1], IMAGES / 2 * SIZE * sizeof **copy);
    assert_memory_not_equal(copy[0], copy[2], IMAGES * SIZE * sizeof **copy);
    assert_memory_not_equal(copy[0], copy[3], IMAGES * SIZE * sizeof **copy);
    for (int k = 0; k < 4; k++)
        free(copy[k]);
    free(x);
}

static void only_colour_images_fit(void **state)
{
    (void)state;
    assert_true(nm_augment_fits(&image));
    assert_true(nm_augment_fits(&(nm_shape){.rank = 3, .dim = {3, 8, 8}}));
    assert_false(nm_augment_fits(&(nm_shape){.rank = 4, .dim = {1, 1, 28, 28}}));
    assert_false(nm_augment_fits(&(nm_shape){.rank = 4, .dim = {2, 3, 32, 32}}));
    assert_false(nm_augment_fits(&(nm_shape){.rank = 4, .dim = {1, 3, 7, 32}}));
    assert_false(nm_augment_fits(&(nm_shape){.rank = 2, .dim = {1, 3072}}));
    assert_false(nm_augment_fits(&(nm_shape){.rank = 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_copy_is_a_view_and_all_views_occur),
        cmocka_unit_test(copies_depend_on_seed_round_and_place),
        cmocka_unit_test(only_colour_images_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
