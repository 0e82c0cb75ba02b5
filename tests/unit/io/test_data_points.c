#include "data_support.h"

#include <math.h>
#include <zlib.h>

/* A .npy header of version 1 and the data behind it. @return bytes in all */
static size_t make_npy(unsigned char *file, const char *descr, const char *shape, const void *data,
                       size_t n_bytes)
{
    int n = snprintf((char *)file + 10, 200,
                     "{'descr': '%s', 'fortran_order': False, 'shape': %s}\n", descr, shape);

    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (unsigned char)n;
    file[9] = 0;
    memcpy(file + 10 + n, data, n_bytes);
    return 10 + (size_t)n + n_bytes;
}

static nm_status parse_npy(const char *descr, const char *shape, const void *data, size_t n_bytes,
                           const nm_data_opts *opts, nm_points *out, nm_err *err)
{
    unsigned char file[2048];

    return parse_bytes("x.npy", file, make_npy(file, descr, shape, data, n_bytes), opts, out, err);
}

static void assert_npy_refused(const char *shape, const float *x, size_t n_bytes,
                               const nm_data_opts *opts, nm_status status, const char *text)
{
    unsigned char file[2048];

    assert_refused("x.npy", file, make_npy(file, "<f4", shape, x, n_bytes), opts, status, text);
}

static nm_status join(const char *x, const char *y_name, const char *y, const nm_data_opts *opts,
                      nm_points *out, nm_err *err)
{
    nm_data_bytes inputs = {
        .path = "x.csv", .data = (const unsigned char *)x, .n_bytes = strlen(x)};
    nm_data_bytes labels = {.path = y_name, .data = (const unsigned char *)y, .n_bytes = strlen(y)};
    nm_ctx *ctx;
    nm_status rc = nm_ctx_new(&ctx, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_points_parse(ctx, &inputs, &labels, opts, out, err);
    nm_ctx_free(ctx);
    return rc;
}

static void bytes_are_images_and_other_types_are_not(void **state)
{
    static const uint8_t bytes[] = {0, 51, 255};
    static const int16_t shorts[] = {0, 51, 255};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;

    (void)state;
    nm_assert_ok(parse_npy("|u1", "(1, 3)", bytes, 3, NULL, &p, &err), &err);
    nm_assert_close_f32(p.x, (float[]){0, 0.2F, 1}, 3, 0, 0);
    nm_points_free(&p);
    nm_assert_ok(parse_npy("<i2", "(1, 3)", shorts, 6, NULL, &p, &err), &err);
    nm_assert_close_f32(p.x, (float[]){0, 51, 255}, 3, 0, 0);
    nm_points_free(&p);
    opts.scale = 3;
    nm_assert_ok(parse_npy("|u1", "(1, 3)", bytes, 3, &opts, &p, &err), &err);
    nm_assert_close_f32(p.x, (float[]){0, 17, 85}, 3, 0, 0);
    nm_points_free(&p);
}

static void doubles_are_rounded_to_float32_once(void **state)
{
    static const double x[] = {0.1, 1.0 + 0x1p-24 + 0x1p-50, 1e-40};
    nm_err err = {0};
    nm_points p;

    (void)state;
    nm_assert_ok(parse_npy("<f8", "(3, 1)", x, sizeof x, NULL, &p, &err), &err);
    for (int i = 0; i < 3; i++)
        assert_true(p.x[i] == (float)x[i]);
    nm_points_free(&p);
}

/* Which channel a column belongs to, for points of 12 numbers in several shapes. */
static void channels_follow_the_shape_of_a_point(void **state)
{
    static const struct {
        const char *shape;
        int n_channels, channel[12];
    } cases[] = {
        {"(1, 3, 2, 2)", 3, {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}},
        {"(1, 2, 2, 3)", 3, {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}},
        {"(1, 2, 2, 3)", 2, {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}},
        {"(1, 12)", 12, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {"(1, 3, 2, 2)", 1, {0}},
        {"(1, 12)", 1, {0}},
    };
    double mean[12], std[12];

    (void)state;
    for (int c = 0; c < 12; c++) {
        mean[c] = 0.3 * c - 1;
        std[c] = 1 + 0.7 * c;
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = NM_DATA_OPTS_INIT;
        float x[12];
        nm_err err = {0};
        nm_points p;
        for (int j = 0; j < 12; j++)
            x[j] = (float)(j * j) - 7.25F;
        opts.mean = mean;
        opts.std = std;
        opts.scale = 2;
        opts.n_channels = cases[i].n_channels;
        nm_assert_ok(parse_npy("<f4", cases[i].shape, x, sizeof x, &opts, &p, &err), &err);
        for (int j = 0; j < 12; j++) {
            int c = cases[i].channel[j];
            assert_true(p.x[j] == (float)(((double)x[j] / 2 - mean[c]) / std[c]));
        }
        nm_points_free(&p);
    }
}

static void preprocessing_that_makes_no_sense_is_refused(void **state)
{
    static const float x[] = {1, 2, 3, 4};
    static const double ones[] = {1, 1, 1}, with_zero[] = {1, 0}, with_nan[] = {NAN, 1};
    static const struct {
        nm_data_opts opts;
        nm_status status;
        const char *text;
    } cases[] = {
        {{.scale = -1}, NM_E_ARG, "x.npy: scale is -1, expected a number above 0"},
        {{.scale = NAN}, NM_E_ARG, "x.npy: scale is nan, expected a number above 0"},
        {{.mean = ones}, NM_E_ARG, "x.npy: mean and std of 0 channels, expected at least 1"},
        {{.std = with_zero, .n_channels = 2},
         NM_E_ARG,
         "x.npy: std of channel 1 is 0, expected a number above 0"},
        {{.mean = with_nan, .n_channels = 2},
         NM_E_ARG,
         "x.npy: mean of channel 0 is nan, expected a finite number"},
        {{.mean = ones, .n_channels = 3},
         NM_E_SHAPE,
         "x.npy: mean and std have 3 entries, but a point has shape [2], expected 1 entry or as "
         "many as its first or last axis"},
        {{.scale = 1e-39}, NM_E_FORMAT, "x.npy: row 0, column 0: 1e+39, expected a finite float32"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = cases[i].opts;
        opts.size = sizeof opts;
        opts.last = -1;
        opts.label_column = NM_LABEL_NONE;
        assert_npy_refused("(2, 2)", x, sizeof x, &opts, cases[i].status, cases[i].text);
    }
}

static void range_takes_rows_of_the_file(void **state)
{
    static const float x[] = {0, 1, 2, 3, 4};
    nm_err err = {0};
    nm_points p;

    (void)state;
    for (int first = 0; first < 5; first++)
        for (int last = first + 1; last <= 6; last++) {
            nm_data_opts opts = NM_DATA_OPTS_INIT;
            opts.first = first;
            opts.last = last == 6 ? -1 : last;
            nm_assert_ok(parse_npy("<f4", "(5, 1)", x, sizeof x, &opts, &p, &err), &err);
            assert_int_equal(p.n, (last == 6 ? 5 : last) - first);
            for (int64_t i = 0; i < p.n; i++) {
                assert_int_equal(p.rows[i], first + i);
                assert_true(p.x[i] == (float)(first + i));
            }
            nm_points_free(&p);
        }
}

static void range_outside_of_the_file_is_refused(void **state)
{
    static const float x[] = {0, 1, 2, 3, 4};
    static const struct {
        int64_t first, last;
        nm_status status;
        const char *text;
    } cases[] = {
        {0, 6, NM_E_ARG, "x.npy: rows 0:6 are asked for, the file has 5 rows"},
        {-1, 2, NM_E_ARG, "x.npy: rows -1:2 are asked for, the file has 5 rows"},
        {7, -1, NM_E_ARG, "x.npy: rows 7:5 are asked for, the file has 5 rows"},
        {5, -1, NM_E_SHAPE, "x.npy: no points in rows 5:5"},
        {3, 3, NM_E_SHAPE, "x.npy: no points in rows 3:3"},
        {3, 1, NM_E_SHAPE, "x.npy: no points in rows 3:1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = NM_DATA_OPTS_INIT;
        opts.first = cases[i].first;
        opts.last = cases[i].last;
        assert_npy_refused("(5, 1)", x, sizeof x, &opts, cases[i].status, cases[i].text);
    }
}

static void what_is_outside_of_the_range_is_not_looked_at(void **state)
{
    static const float x[] = {0, NAN, 2};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;

    (void)state;
    opts.first = 2;
    nm_assert_ok(parse_npy("<f4", "(3, 1)", x, sizeof x, &opts, &p, &err), &err);
    nm_points_free(&p);
    opts.first = 1;
    assert_npy_refused("(3, 1)", x, sizeof x, &opts, NM_E_FORMAT,
                       "x.npy: row 1, column 0: nan, expected a finite float32");
}

static void wrong_size_of_inputs_is_refused(void **state)
{
    static const float x[] = {1, 2, 3};
    nm_data_opts opts = NM_DATA_OPTS_INIT;

    (void)state;
    opts.n_in = 784;
    assert_npy_refused("(1, 3)", x, sizeof x, &opts, NM_E_SHAPE,
                       "x.npy: 3 numbers per point, the network takes 784");
    assert_npy_refused("(3,)", x, sizeof x, &opts, NM_E_SHAPE,
                       "x.npy: 1 number per point, the network takes 784");
}

static void labels_join_by_row(void **state)
{
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;

    (void)state;
    opts.first = 1;
    nm_assert_ok(join("1,2\n3,4\n5,6\n", "y.csv", "label\n7\n8\n9\n", &opts, &p, &err), &err);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.labels[0], 8);
    assert_int_equal(p.labels[1], 9);
    nm_points_free(&p);
    /* A label file wins over labels inside; here column 2 is known as such and left out. */
    opts.n_in = 2;
    nm_assert_ok(join("1,2,0\n3,4,0\n", "y.csv", "5\n6\n", &opts, &p, &err), &err);
    assert_int_equal(p.n_in, 2);
    assert_int_equal(p.labels[0], 6);
    nm_points_free(&p);
}

static void labels_that_do_not_fit_are_refused(void **state)
{
    static const struct {
        const char *y;
        nm_status status;
        const char *text;
    } cases[] = {
        {"0\n", NM_E_SHAPE, "y.csv: 1 labels, but x.csv has 2 points"},
        {"0\n1\n0\n", NM_E_SHAPE, "y.csv: 3 labels, but x.csv has 2 points"},
        {"0,1\n1,0\n", NM_E_SHAPE, "y.csv: 2 numbers per label, expected 1"},
        {"0\n2\n", NM_E_FORMAT, "y.csv:2: label 2, expected an integer from 0 to 1"},
        {"0\n0.5\n", NM_E_FORMAT, "y.csv:2: label 0.5, expected an integer from 0 to 1"},
        {"0\n1e300\n", NM_E_FORMAT, "y.csv:2: label 1e+300, expected an integer from 0 to 1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_data_opts opts = NM_DATA_OPTS_INIT;
        nm_err err = {0};
        nm_points p;
        opts.n_classes = 2;
        nm_status rc = join("1,2\n3,4\n", "y.csv", cases[i].y, &opts, &p, &err);
        check_refusal(rc, cases[i].status, &p, &err, cases[i].text);
    }
}

static void content_that_is_nothing_known_is_refused(void **state)
{
    (void)state;
    assert_refused("data", "\x01\x02\x03", 3, NULL, NM_E_UNSUPPORTED,
                   "data: unknown format, expected .npy, .npz, .csv, IDX or CIFAR-10 .bin");
}

static void missing_files_are_named(void **state)
{
    nm_err err = {0};
    nm_points p;

    (void)state;
    assert_int_equal(load_points("/nonexistent/x.npy", NULL, NULL, &p, &err), NM_E_IO);
    assert_non_null(strstr(err.text, "/nonexistent/x.npy"));
}

static void write_gz(const char *path, const char *text, int n_times)
{
    gzFile file = gzopen(path, "wb");

    assert_non_null(file);
    for (int i = 0; i < n_times; i++)
        assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), (int)strlen(text));
    assert_int_equal(gzclose(file), Z_OK);
}

static void any_format_may_be_gzipped_within_reason(void **state)
{
    const char *path = nm_temp_path(".csv.gz");
    nm_err err = {0};
    nm_points p;

    (void)state;
    write_gz(path, "1,2\n", 1000);
    nm_assert_ok(load_points(path, NULL, NULL, &p, &err), &err);
    assert_int_equal(p.n, 1000);
    nm_points_free(&p);
    write_gz(path, "1,2\n", 5000000);
    assert_int_equal(load_points(path, NULL, NULL, &p, &err), NM_E_FORMAT);
    assert_non_null(strstr(err.text, ".csv.gz: inflates to more than"));
}

static void options_must_be_initialised(void **state)
{
    static const nm_data_opts zero;
    static const float x[] = {1};

    (void)state;
    assert_npy_refused("(1, 1)", x, sizeof x, &zero, NM_E_ARG,
                       "nm_data_opts of 0 bytes, expected NM_DATA_OPTS_INIT");
}

static void loading_stops_when_cancelled(void **state)
{
    static const unsigned char text[] = "1,2\n3,4\n";
    nm_data_bytes bytes = {.path = "x.csv", .data = text, .n_bytes = sizeof text - 1};
    nm_err err = {0};
    nm_points p;
    nm_ctx *ctx;

    (void)state;
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_ctx_cancel(ctx);
    assert_int_equal(nm_points_parse(ctx, &bytes, NULL, NULL, &p, &err), NM_E_CANCELLED);
    nm_ctx_free(ctx);
}

static void subset_copies_points_in_the_given_order(void **state)
{
    static const float x[] = {0, 1, 10, 11, 20, 21};
    static const int64_t y[] = {5, 6, 7}, wanted[] = {2, 0, 2}, outside[] = {0, 3};
    nm_err err = {0};
    nm_points p, q, r;

    (void)state;
    nm_assert_ok(nm_points_from_arrays(x, 3, 2, y, &p, &err), &err);
    p.rows[2] = 77;
    nm_assert_ok(nm_points_subset(&p, wanted, 3, &q, &err), &err);
    nm_assert_close_f32(q.x, (float[]){20, 21, 0, 1, 20, 21}, 6, 0, 0);
    assert_memory_equal(q.labels, ((int64_t[]){7, 5, 7}), 24);
    assert_memory_equal(q.rows, ((int64_t[]){77, 0, 77}), 24);
    assert_int_equal(nm_points_subset(&p, outside, 2, &r, &err), NM_E_ARG);
    assert_string_equal(err.text, "index 3, but there are 3 points");
    nm_points_free(&q);
    memset(&err, 0, sizeof err);
    assert_survives_lack_of_memory(nm_points_subset(&p, wanted, 3, &q, &err), &err,
                                   nm_points_free(&q));
    nm_points_free(&p);
    nm_points_free(NULL);
}

static void moons_are_as_their_readme_says(void **state)
{
    static const int64_t rows[] = {17,  27,  28,  55,  60,  87,  101, 119, 137, 168,
                                   173, 210, 222, 240, 250, 257, 264, 265, 291};
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points all, mis, subset;
    int n_red = 0;

    (void)state;
    opts.n_in = 2;
    opts.n_classes = 2;
    nm_assert_ok(
        load_points(nm_shared("moons/x_all.npy"), nm_shared("moons/y_all.npy"), &opts, &all, &err),
        &err);
    nm_assert_ok(
        load_points(nm_shared("moons/x_mis.npy"), nm_shared("moons/y_mis.npy"), &opts, &mis, &err),
        &err);
    assert_int_equal(all.n, 300);
    for (int64_t i = 0; i < all.n; i++)
        n_red += all.labels[i] == 1;
    assert_int_equal(n_red, 140);
    nm_assert_ok(nm_points_subset(&all, rows, 19, &subset, &err), &err);
    assert_int_equal(mis.n, 19);
    assert_memory_equal(subset.x, mis.x, 19 * 2 * sizeof(float));
    assert_memory_equal(subset.labels, mis.labels, 19 * sizeof(int64_t));
    assert_memory_equal(subset.rows, rows, sizeof rows);
    nm_points_free(&all);
    nm_points_free(&mis);
    nm_points_free(&subset);
}

/* Loads one file of the bad-input collection as `netmend eval` of its partner network would. */
static void check_bad_input(const char *file, const char *kind, const char *expect)
{
    char relative[160];
    nm_data_opts opts = NM_DATA_OPTS_INIT;
    nm_err err = {0};
    nm_points p;
    nm_status rc;

    (void)snprintf(relative, sizeof relative, "badinput/%s", file);
    opts.n_in = strcmp(kind, "npy") == 0 ? 3 : strcmp(kind, "csv") == 0 ? 2 : 0;
    opts.n_classes = strcmp(kind, "csv") == 0 ? 2 : 0;
    rc = load_points(nm_shared(relative), NULL, &opts, &p, &err);
    if (rc == NM_OK && strcmp(expect, "error") == 0)
        fail_msg("%s was accepted", file);
    if (rc != NM_OK && strcmp(expect, "accept") == 0)
        fail_msg("%s was refused: %s", file, err.text);
    if (rc != NM_OK)
        assert_non_null(strstr(err.text, file));
    else
        assert_int_equal(p.n, 2);
    nm_points_free(&p);
}

static void bad_input_collection_behaves_as_its_manifest_says(void **state)
{
    FILE *manifest = fopen(nm_shared("badinput/manifest.csv"), "r");
    char line[512], file[128], kind[32], expect[16];
    int n = 0;

    (void)state;
    assert_non_null(manifest);
    while (fgets(line, sizeof line, manifest)) {
        /* file,kind,what_is_wrong,expect,note; the third may hold commas in quotes. */
        const char *what = NULL;
        if (sscanf(line, "%127[^,],%31[^,],", file, kind) != 2 ||
            !strstr("npy csv idx cifar-bin", kind))
            continue;
        what = line + strlen(file) + strlen(kind) + 2;
        what = *what == '"' ? strchr(what + 1, '"') + 1 : strchr(what, ',');
        assert_int_equal(sscanf(what, ",%15[a-z]", expect), 1);
        check_bad_input(file, kind, expect);
        n++;
    }
    (void)fclose(manifest);
    assert_int_equal(n, 24);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_images_and_other_types_are_not),
        cmocka_unit_test(doubles_are_rounded_to_float32_once),
        cmocka_unit_test(channels_follow_the_shape_of_a_point),
        cmocka_unit_test(preprocessing_that_makes_no_sense_is_refused),
        cmocka_unit_test(range_takes_rows_of_the_file),
        cmocka_unit_test(range_outside_of_the_file_is_refused),
        cmocka_unit_test(what_is_outside_of_the_range_is_not_looked_at),
        cmocka_unit_test(wrong_size_of_inputs_is_refused),
        cmocka_unit_test(labels_join_by_row),
        cmocka_unit_test(labels_that_do_not_fit_are_refused),
        cmocka_unit_test(content_that_is_nothing_known_is_refused),
        cmocka_unit_test(missing_files_are_named),
        cmocka_unit_test(any_format_may_be_gzipped_within_reason),
        cmocka_unit_test(options_must_be_initialised),
        cmocka_unit_test(loading_stops_when_cancelled),
        cmocka_unit_test(subset_copies_points_in_the_given_order),
        cmocka_unit_test(moons_are_as_their_readme_says),
        cmocka_unit_test(bad_input_collection_behaves_as_its_manifest_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
