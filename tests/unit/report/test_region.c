#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/region.h"

enum { N = 40, CELL = 100, MAX_CLASSES = 3 };

static float scores[(N + 1) * (N + 1) * MAX_CLASSES];

/* Area inside closed SVG path data that uses M, l, h, v and z (shoelace formula). */
static double path_area(const char *d)
{
    double area = 0.0;
    long x = 0, y = 0, start_x = 0, start_y = 0;

    while (*d) {
        char command = *d++;
        long old_x = x, old_y = y;
        char *end = NULL;

        if (command == 'M' || command == 'l' || command == 'h')
            x = (command == 'M' ? 0 : x) + strtol(d, &end, 10), d = end;
        if (command == 'M' || command == 'l' || command == 'v')
            y = (command == 'M' ? 0 : y) + strtol(d, &end, 10), d = end;
        if (command == 'z')
            x = start_x, y = start_y;
        if (command == 'M')
            start_x = x, start_y = y;
        else
            area += 0.5 * ((double)old_x * (double)y - (double)x * (double)old_y);
        if (!strchr("Mlhvz", command))
            fail_msg("path has '%c'", command);
    }
    return area / ((double)N * CELL * N * CELL);
}

/* Total length of open segments "M x y l dx dy". */
static double path_length(const char *d)
{
    double length = 0.0;
    int x, y, dx, dy, used;

    while (sscanf(d, "M%d %dl%d %d%n", &x, &y, &dx, &dy, &used) == 4) {
        length += hypot(dx, dy);
        d += used;
    }
    assert_string_equal(d, "");
    return length / (N * CELL);
}

static char *write_path(bool area, int64_t n_classes, int64_t c, bool *occurs)
{
    const nm_grid grid = {N, N, n_classes, scores};
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    *occurs = (area ? nm_region_write_area : nm_region_write_border)(&grid, c, 0, 0, CELL, to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static double area_of(int64_t n_classes, int64_t c)
{
    bool occurs;
    char *text = write_path(true, n_classes, c, &occurs);
    double area = path_area(text);

    assert_true(occurs == (area > 0.0));
    free(text);
    return area;
}

static double border_of(int64_t n_classes, int64_t c)
{
    bool occurs;
    char *text = write_path(false, n_classes, c, &occurs);
    double length = path_length(text);

    assert_true(occurs == (length > 0.0));
    free(text);
    return length;
}

/* Fills the scores from functions over the unit square. */
static void sample(int64_t n_classes, double (*f)(int64_t c, double x, double y))
{
    for (int iy = 0; iy <= N; iy++)
        for (int ix = 0; ix <= N; ix++)
            for (int64_t c = 0; c < n_classes; c++)
                scores[(iy * (N + 1) + ix) * n_classes + c] =
                    (float)f(c, (double)ix / N, (double)iy / N);
}

static double half_plane(int64_t c, double x, double y)
{
    return c == 1 ? 0.3 * x + y - 0.4 : 0.0;
}

static void straight_border_is_exact(void **state)
{
    (void)state;
    sample(2, half_plane);
    assert_true(fabs(area_of(2, 0) - 0.25) < 1e-4); /* below the line from 0.4 to 0.1 */
    assert_true(fabs(area_of(2, 1) - 0.75) < 1e-4);
    assert_true(fabs(border_of(2, 1) - hypot(1.0, 0.3)) < 1e-3);
}

static double disc(int64_t c, double x, double y)
{
    return c == 1 ? 0.09 - (x - 0.5) * (x - 0.5) - (y - 0.45) * (y - 0.45) : 0.0;
}

static void disc_has_the_area_and_circumference_of_a_disc(void **state)
{
    const double pi = acos(-1.0);

    (void)state;
    sample(2, disc);
    assert_true(fabs(area_of(2, 1) - pi * 0.09) < 1e-3);
    assert_true(fabs(area_of(2, 0) + area_of(2, 1) - 1.0) < 1e-9); /* same corners on both sides */
    assert_true(fabs(border_of(2, 1) - 2.0 * pi * 0.3) < 1e-2);
    assert_true(fabs(border_of(2, 0) - border_of(2, 1)) < 1e-9);
}

static double three_sectors(int64_t c, double x, double y)
{
    double angle = 2.0 * acos(-1.0) * (double)c / 3.0 + 0.3;

    return (x - 0.5) * cos(angle) + (y - 0.5) * sin(angle);
}

static void three_regions_share_the_square(void **state)
{
    double sum = 0.0;

    (void)state;
    sample(3, three_sectors);
    for (int64_t c = 0; c < 3; c++) {
        double area = area_of(3, c);

        assert_true(area > 0.25 && area < 0.42);
        sum += area;
    }
    assert_true(fabs(sum - 1.0) < 1.0 / (N * N)); /* but for the cell where all three meet */
}

static double constant(int64_t c, double x, double y)
{
    (void)x;
    (void)y;
    return c == 0 ? 1.0 : 0.0;
}

static void class_without_a_region_writes_nothing(void **state)
{
    (void)state;
    sample(2, constant);
    assert_true(area_of(2, 1) == 0.0);
    assert_true(area_of(2, 0) == 1.0);
    assert_true(border_of(2, 0) == 0.0);
}

static double beyond_all_bounds(int64_t c, double x, double y)
{
    (void)y;
    return c == 1 ? (x < 0.5 ? -INFINITY : x < 0.8 ? INFINITY : (double)NAN) : 0.0;
}

static void infinite_and_undefined_scores_stay_inside_the_picture(void **state)
{
    double area;

    (void)state;
    sample(2, beyond_all_bounds);
    area = area_of(2, 1);
    assert_true(area > 0.2 && area < 0.4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(straight_border_is_exact),
        cmocka_unit_test(disc_has_the_area_and_circumference_of_a_disc),
        cmocka_unit_test(three_regions_share_the_square),
        cmocka_unit_test(class_without_a_region_writes_nothing),
        cmocka_unit_test(infinite_and_undefined_scores_stay_inside_the_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
