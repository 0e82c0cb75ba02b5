#include "data_support.h"

#include <math.h>

#include "io/array.h"

static void load_array(const char *name, nm_array *out)
{
    char path[128];
    nm_err err = {0};
    nm_buffer file;

    (void)snprintf(path, sizeof path, "data/arrays/%s", name);
    nm_assert_ok(nm_file_read(nm_test_file(path), 1 << 20, &file, &err), &err);
    nm_assert_ok(nm_npy_parse(file.data, file.n_bytes, out, &err), &err);
    nm_buffer_free(&file);
}

static void every_integer_type_keeps_its_extremes(void **state)
{
    static const int sizes[] = {1, 2, 4, 8};

    (void)state;
    for (int i = 0; i < 16; i++) {
        int size = sizes[i % 4], is_signed = i / 4 % 2, big_endian = i / 8;
        double bits = 8 * size;
        double max = is_signed ? ldexp(1, (int)bits - 1) - 1 : ldexp(1, (int)bits) - 1;
        double want[] = {0, 1, max, is_signed ? -ldexp(1, (int)bits - 1) : 0, 7, 42};
        char name[16];
        nm_array a;
        if (big_endian && size == 1)
            continue;
        (void)snprintf(name, sizeof name, "%c%d%s.npy", is_signed ? 'i' : 'u', size,
                       big_endian ? "be" : "");
        load_array(name, &a);
        assert_int_equal(a.shape.rank, 2);
        assert_int_equal(a.shape.dims[0], 2);
        assert_int_equal(a.shape.dims[1], 3);
        nm_assert_close(a.values, want, 6, 0, 0);
        nm_array_free(&a);
    }
}

static void floats_of_both_byte_orders_are_exact(void **state)
{
    static const double reals[] = {0.1, -2.5, 1e-3, 3e7, 1.0 / 3, -0.0};
    static const char *const names[] = {"f8.npy", "f8be.npy", "f4.npy", "f4be.npy"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        nm_array a;
        load_array(names[i], &a);
        for (int j = 0; j < 6; j++)
            assert_true(a.values[j] == (i < 2 ? reals[j] : (double)(float)reals[j]));
        assert_true(signbit(a.values[5]));
        nm_array_free(&a);
    }
}

static void half_floats_agree_with_numpy(void **state)
{
    nm_array half, big_endian, reference, odd;

    (void)state;
    load_array("f2.npy", &half);
    load_array("f2be.npy", &big_endian);
    load_array("f2_as_f8.npy", &reference);
    load_array("f2_not_finite.npy", &odd);
    assert_int_equal(half.n_values, 12);
    assert_memory_equal(half.values, reference.values, 12 * sizeof(double));
    assert_memory_equal(big_endian.values, reference.values, 12 * sizeof(double));
    assert_true(odd.values[0] == INFINITY && odd.values[1] == -INFINITY && isnan(odd.values[2]));
    nm_array_free(&half);
    nm_array_free(&big_endian);
    nm_array_free(&reference);
    nm_array_free(&odd);
}

static void booleans_are_zero_and_one(void **state)
{
    nm_array a;

    (void)state;
    load_array("b1.npy", &a);
    nm_assert_close(a.values, (double[]){1, 0, 1, 0, 0, 1}, 6, 0, 0);
    nm_array_free(&a);
}

static void fortran_order_is_transposed(void **state)
{
    nm_err err = {0};
    nm_points p;
    nm_array a;

    (void)state;
    load_array("fortran.npy", &a);
    assert_int_equal(a.n_values, 120);
    for (int i = 0; i < 120; i++)
        assert_true(a.values[i] == i);
    nm_array_free(&a);
    nm_assert_ok(load_points(nm_test_file("data/arrays/fortran.npy"), NULL, NULL, &p, &err), &err);
    assert_int_equal(p.n, 4);
    assert_int_equal(p.n_in, 30);
    for (int i = 0; i < 120; i++)
        assert_true(p.x[i] == (float)i);
    nm_points_free(&p);
}

static void versions_2_and_3_are_read(void **state)
{
    (void)state;
    for (int version = 2; version <= 3; version++) {
        char name[32];
        nm_array a;
        (void)snprintf(name, sizeof name, "version%d.npy", version);
        load_array(name, &a);
        assert_true(a.values[0] == (double)0.1F && a.values[3] == 3e7);
        nm_array_free(&a);
    }
}

static void arrays_that_are_no_points_are_refused(void **state)
{
    static const struct {
        const char *name;
        nm_status status;
        const char *text;
    } cases[] = {
        {"scalar.npy", NM_E_SHAPE, "a single number, expected a first axis that counts points"},
        {"no_rows.npy", NM_E_SHAPE, "no points"},
        {"no_columns.npy", NM_E_SHAPE, "0 numbers per point"},
        {"f2_not_finite.npy", NM_E_FORMAT, "row 0, column 0: inf, expected a finite float32"},
        {"complex.npy", NM_E_UNSUPPORTED,
         "element type '<c16', expected f2, f4, f8, i1 to i8, u1 to u8 or b1 after '<', '>' or "
         "'|'"},
        {"text.npy", NM_E_UNSUPPORTED,
         "element type '<U2', expected f2, f4, f8, i1 to i8, u1 to u8 or b1 after '<', '>' or "
         "'|'"},
        {"record.npy", NM_E_UNSUPPORTED, "records of several fields, expected plain numbers"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char file[64], text[512];
        nm_err err = {0};
        nm_points p;
        (void)snprintf(file, sizeof file, "data/arrays/%s", cases[i].name);
        const char *path = nm_test_file(file);
        (void)snprintf(text, sizeof text, "%s: %s", path, cases[i].text);
        nm_status rc = load_points(path, NULL, NULL, &p, &err);
        check_refusal(rc, cases[i].status, &p, &err, text);
    }
}

/* Puts a header before n_data zero bytes. @return bytes in all */
static size_t make_npy(unsigned char file[512], const char *header, size_t n_data)
{
    size_t n = strlen(header);

    memset(file, 0, 512);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (unsigned char)n;
    memcpy(file + 10, header, n);
    return 10 + n + n_data;
}

static void legal_spellings_of_the_header_are_read(void **state)
{
    static const char *const headers[] = {
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n",
        "{'shape': (2, 3), 'descr': '<f4', 'fortran_order': False}",
        "{\"descr\":\"<f4\",\"fortran_order\":False,\"shape\":(2,3,)}\n",
        " { 'descr' : '<f4' , 'fortran_order' : False , 'shape' : ( 2 , 3 ) } ",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1)}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        unsigned char file[512];
        nm_err err = {0};
        nm_points p;
        size_t n = make_npy(file, headers[i], 24);
        nm_assert_ok(parse_bytes("a.npy", file, n, NULL, &p, &err), &err);
        assert_int_equal(p.n, 2);
        assert_int_equal(p.n_in, 3);
        nm_points_free(&p);
    }
}

static void damaged_headers_are_refused(void **state)
{
    static const struct {
        const char *header, *text;
    } cases[] = {
        {"", "header (byte 10): expected '{'"},
        {"{", "header (byte 11): expected a key in quotes, or '}'"},
        {"{}", "header: key 'descr' is missing"},
        {"{'descr': '<f4', 'shape': (2, 3)}", "header: key 'fortran_order' is missing"},
        {"{'descr': '<f4', 'fortran_order': False}", "header: key 'shape' is missing"},
        {"{'descr': '<f4', 'descr': '<f4'}", "header: key 'descr' stands twice"},
        {"{'descr': '<f4', 'size': 3}",
         "header: key 'size' expected descr, fortran_order and shape only"},
        {"{'descr': '<f4' 'shape': (2, 3)}", "header (byte 26): expected ',' or '}'"},
        {"{'descr' '<f4'}", "header (byte 19): expected ':'"},
        {"{'descr': 3}", "header (byte 20): expected the element type, such as '<f4'"},
        {"{'descr': '<f4", "header (byte 24): expected the element type, such as '<f4'"},
        {"{'fortran_order': 1}", "header (byte 28): expected True or False for fortran_order"},
        {"{'shape': 6}", "header (byte 20): expected '(' before the shape"},
        {"{'shape': (6)}", "header (byte 23): expected ',' after the only size"},
        {"{'shape': (2 3)}", "header (byte 23): expected ',' or ')' in shape"},
        {"{'shape': (2.0, 3)}", "header (byte 22): expected ',' or ')' in shape"},
        {"{'shape': (2, x)}", "header (byte 24): expected a size >= 0 in shape"},
        {"{'shape': (-2, 3)}", "header (byte 21): expected a size >= 0 in shape"},
        {"{'shape': (9223372036854775808, 3)}", "header (byte 39): expected a size below 2^63"},
        {"{'shape': (1,1,1,1,1,1,1,1,1)}", "more than 8 axes"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)} + x",
         "header (byte 68): expected nothing after '}'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4)}",
         "24 bytes of data, expected 32 for shape [2, 4]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2)}",
         "shape [4611686018427387904, 2] is more than any memory holds"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}",
         "shape [4611686018427387904] is more than any memory holds"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char file[512];
        char text[256];
        size_t n = make_npy(file, cases[i].header, 24);
        (void)snprintf(text, sizeof text, "a.npy: %s", cases[i].text);
        assert_refused("a.npy", file, n, NULL,
                       strstr(text, "axes") ? NM_E_UNSUPPORTED : NM_E_FORMAT, text);
    }
}

static void element_type_needs_a_byte_order(void **state)
{
    static const char *const types[] = {"f4", "=f4", "|f4", "<f3", "<f16", "|O", "<i3", "", "<"};

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        unsigned char file[512];
        char header[128], text[256];
        (void)snprintf(header, sizeof header,
                       "{'descr': '%s', 'fortran_order': False, 'shape': (2, 3)}", types[i]);
        (void)snprintf(text, sizeof text,
                       "a.npy: element type '%s', expected f2, f4, f8, i1 to i8, u1 to u8 or b1 "
                       "after '<', '>' or '|'",
                       types[i]);
        assert_refused("a.npy", file, make_npy(file, header, 24), NULL, NM_E_UNSUPPORTED, text);
    }
}

/* Every beginning of a file is refused, without reading past its end. */
static void every_truncation_is_refused(void **state)
{
    unsigned char file[512];
    size_t n = make_npy(file, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}", 24);

    (void)state;
    for (size_t k = 0; k < n; k++) {
        unsigned char *copy;
        nm_err err = {0};
        nm_array a;
        nm_assert_ok(nm_memdup(&copy, file, k, 1, &err), &err);
        assert_int_equal(nm_npy_parse(copy, k, &a, &err), NM_E_FORMAT);
        nm_free(copy);
    }
}

static void written_points_are_read_back(void **state)
{
    static const float x[] = {0.1F, -2, 3e-39F, 4, 5, 6.5F};
    static const int64_t y[] = {1, 0};
    const char *x_path = nm_temp_path(".npy"), *y_path = nm_temp_path(".npy");
    nm_err err = {0};
    nm_points p;

    (void)state;
    nm_assert_ok(nm_npy_write_f32(x_path, x, 2, 3, &err), &err);
    nm_assert_ok(nm_npy_write_i64(y_path, y, 2, &err), &err);
    nm_assert_ok(load_points(x_path, y_path, NULL, &p, &err), &err);
    assert_int_equal(p.n, 2);
    assert_int_equal(p.n_in, 3);
    assert_memory_equal(p.x, x, sizeof x);
    assert_memory_equal(p.labels, y, sizeof y);
    nm_points_free(&p);
}

/* The bytes are those of numpy.save(). */
static void written_file_is_the_one_numpy_writes(void **state)
{
    static const float reals[] = {0.1F, -2.5F, 1e-3F, 3e7F, 1.0F / 3, -0.0F};
    const char *path = nm_temp_path(".npy");
    nm_err err = {0};
    nm_buffer ours, numpys;

    (void)state;
    nm_assert_ok(nm_npy_write_f32(path, reals, 2, 3, &err), &err);
    nm_assert_ok(nm_file_read(path, 1 << 20, &ours, &err), &err);
    nm_assert_ok(nm_file_read(nm_test_file("data/arrays/f4.npy"), 1 << 20, &numpys, &err), &err);
    assert_int_equal(ours.n_bytes, numpys.n_bytes);
    assert_memory_equal(ours.data, numpys.data, ours.n_bytes);
    nm_buffer_free(&ours);
    nm_buffer_free(&numpys);
}

static void lack_of_memory_is_reported(void **state)
{
    const char *path = nm_test_file("data/arrays/fortran.npy");
    nm_err err = {0};
    nm_points p;
    nm_buffer file;
    nm_array a;

    (void)state;
    assert_survives_lack_of_memory(load_points(path, NULL, NULL, &p, &err), &err,
                                   nm_points_free(&p));
    nm_assert_ok(nm_file_read(path, 1 << 20, &file, &err), &err);
    assert_survives_lack_of_memory(nm_npy_parse(file.data, file.n_bytes, &a, &err), &err,
                                   nm_array_free(&a));
    nm_buffer_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_integer_type_keeps_its_extremes),
        cmocka_unit_test(floats_of_both_byte_orders_are_exact),
        cmocka_unit_test(half_floats_agree_with_numpy),
        cmocka_unit_test(booleans_are_zero_and_one),
        cmocka_unit_test(fortran_order_is_transposed),
        cmocka_unit_test(versions_2_and_3_are_read),
        cmocka_unit_test(arrays_that_are_no_points_are_refused),
        cmocka_unit_test(legal_spellings_of_the_header_are_read),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(element_type_needs_a_byte_order),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(written_points_are_read_back),
        cmocka_unit_test(written_file_is_the_one_numpy_writes),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
