/* Regions: corners, doubles, and every way in which a file can be wrong. */
#include "test_ctx.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "netmend/regions.h"

/* A .npy file of doubles. */
static const char *write_npy(const char *shape, const double *x, size_t n)
{
    const char *path = nm_temp_path(".npy");
    FILE *f = fopen(path, "wb");
    char header[128] = {0};
    int length = snprintf(header, sizeof header,
                          "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }", shape);

    assert_non_null(f);
    memset(header + length, ' ', (size_t)(117 - length));
    header[117] = '\n';
    (void)fwrite("\x93NUMPY\x01\x00\x76\x00", 1, 10, f);
    (void)fwrite(header, 1, 118, f);
    (void)fwrite(x, sizeof *x, n, f);
    (void)fclose(f);
    return path;
}

static void refuse(const char *shape, const double *x, size_t n, bool boxes, nm_status status,
                   const char *words)
{
    const char *path = write_npy(shape, x, n);
    nm_regions regions;
    nm_err err = {0};

    assert_int_equal(nm_regions_load(ctx, path, boxes, 2, &regions, &err), status);
    if (!strstr(err.text, words) || strncmp(err.text, path, strlen(path)) != 0)
        fail_msg("'%s' lacks '%s' or the file", err.text, words);
    assert_null(regions.vertex);
}

static void test_vertices(void **state)
{
    /* the second region has a vertex twice; the third is one point */
    const double x[] = {0, 0, 1, 0, 0, 1, /**/ 5, 5, 6, 5, 5, 5, /**/ 2, 3, 2, 3, 2, 3};
    const char *path = write_npy("3, 3, 2", x, 18);
    nm_regions r;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_regions_load(ctx, path, false, 0, &r, &err), &err);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.n_in, 2);
    assert_int_equal(r.first[1], 3);
    assert_int_equal(r.first[2], 5);
    assert_int_equal(r.first[3], 6);
    assert_false(r.boxes);
    nm_assert_close(r.vertex, x, 10, 0, 0);
    nm_assert_close(r.vertex + 10, x + 12, 2, 0, 0);
    nm_regions_free(&r);
}

static void test_boxes(void **state)
{
    const double x[] = {-1, 1, 3, 3, /**/ 0, 0.1, 10, 20};
    const char *path = write_npy("2, 2, 2", x, 8);
    const double corners[] = {-1, 3, 1, 3, /**/ 0, 10, 0.1, 10, 0, 20, 0.1, 20};
    nm_regions r;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_regions_load(ctx, path, true, 2, &r, &err), &err);
    assert_true(r.boxes);
    assert_int_equal(r.first[1], 2); /* an input that is fixed doubles nothing */
    assert_int_equal(r.first[2], 6);
    nm_assert_close(r.vertex, corners, 12, 0, 0);
    assert_true(r.lo[2] == 0 && r.hi[2] == 0.1 && r.lo[3] == 10 && r.hi[3] == 20);
    nm_regions_free(&r);
}

static void test_refusals(void **state)
{
    double x[64] = {0};

    (void)state;
    refuse("2, 2", x, 4, false, NM_E_SHAPE, "expected [regions, vertices, inputs]");
    refuse("2, 2", x, 4, true, NM_E_SHAPE, "expected [boxes, inputs, 2]");
    refuse("1, 1, 2, 2", x, 4, false, NM_E_SHAPE, "[1, 1, 2, 2]");
    refuse("0, 3, 2", x, 0, false, NM_E_SHAPE, "[0, 3, 2]");
    refuse("3, 0, 2", x, 0, false, NM_E_SHAPE, "[3, 0, 2]");
    refuse("1, 2, 3", x, 6, false, NM_E_SHAPE, "expected 2 as the network has");
    refuse("1, 2, 3", x, 6, true, NM_E_SHAPE, "expected [boxes, inputs, 2]");
    refuse("1, 3, 2", x, 6, true, NM_E_SHAPE, "expected 2 as the network has");
    refuse("1, 2, 2", x, 3, false, NM_E_FORMAT, "");
    x[3] = NAN;
    refuse("1, 2, 2", x, 4, false, NM_E_FORMAT, "region 0, vertex 1: a number is not finite");
    refuse("1, 2, 2", x, 4, true, NM_E_FORMAT, "box 0, input 1");
    x[3] = -1;
    refuse("1, 2, 2", x, 4, true, NM_E_FORMAT, "[0, -1], expected finite ends in order");
    x[3] = INFINITY;
    refuse("1, 2, 2", x, 4, true, NM_E_FORMAT, "expected finite ends");
}

/* As many free inputs as there may be, and one more. */
static void test_most_free_inputs(void **state)
{
    double lo[NM_MOST_FREE_INPUTS + 1] = {0}, hi[NM_MOST_FREE_INPUTS + 1];
    nm_regions r;
    nm_err err = {0};

    (void)state;
    for (int i = 0; i <= NM_MOST_FREE_INPUTS; i++)
        hi[i] = 1 + i;
    assert_int_equal(nm_regions_from_boxes(lo, hi, 1, NM_MOST_FREE_INPUTS + 1, &r, &err),
                     NM_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "at most 12"));
    err = (nm_err){0};
    hi[4] = 0;
    nm_assert_ok(nm_regions_from_boxes(lo, hi, 1, NM_MOST_FREE_INPUTS + 1, &r, &err), &err);
    assert_int_equal(r.first[1], NM_MOST_VERTICES);
    nm_regions_free(&r);
}

static void test_most_vertices(void **state)
{
    double *x = calloc(2 * (NM_MOST_VERTICES + 1), sizeof *x);
    nm_regions r;
    nm_err err = {0};

    (void)state;
    assert_non_null(x);
    for (int i = 0; i <= NM_MOST_VERTICES; i++)
        x[2 * i] = i;
    assert_int_equal(nm_regions_from_vertices(x, 1, NM_MOST_VERTICES + 1, 2, &r, &err),
                     NM_E_UNSUPPORTED);
    err = (nm_err){0};
    nm_assert_ok(nm_regions_from_vertices(x, 1, NM_MOST_VERTICES, 2, &r, &err), &err);
    assert_int_equal(r.first[1], NM_MOST_VERTICES);
    nm_regions_free(&r);
    free(x);
}

static void test_of_a_property(void **state)
{
    const char *path = nm_temp_path(".vnnlib");
    FILE *f = fopen(path, "w");
    nm_property *property;
    nm_regions r;
    nm_err err = {0};

    (void)state;
    assert_non_null(f);
    (void)fputs("(declare-const X_0 Real)(declare-const Y_0 Real)"
                "(assert (or (and (>= X_0 1) (<= X_0 2) (<= Y_0 0))"
                " (and (>= X_0 4) (<= X_0 4) (<= Y_0 1))))",
                f);
    (void)fclose(f);
    nm_assert_ok(nm_property_load(ctx, path, &property, &err), &err);
    nm_assert_ok(nm_regions_from_property(property, &r, &err), &err);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.first[1], 2);
    assert_int_equal(r.first[2], 3);
    assert_true(r.vertex[0] == 1 && r.vertex[1] == 2 && r.vertex[2] == 4);
    nm_regions_free(&r);
    nm_property_free(property);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vertices),      cmocka_unit_test(test_boxes),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_most_free_inputs),
        cmocka_unit_test(test_most_vertices), cmocka_unit_test(test_of_a_property),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
