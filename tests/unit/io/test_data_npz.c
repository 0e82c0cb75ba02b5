#include "data_support.h"

static const float stored_x[] = {0.5F, 1.5F, -2, 3, 4, 5, 6, 7, 8.25F, 9, 10, 11};
static const int64_t stored_y[] = {0, 1, 1, 0};

static const char *array_file(const char *name)
{
    char file[64];

    (void)snprintf(file, sizeof file, "data/arrays/%s", name);
    return nm_test_file(file);
}

static void read_file(const char *name, nm_buffer *out)
{
    nm_err err = {0};

    nm_assert_ok(nm_file_read(array_file(name), 1 << 20, out, &err), &err);
}

static void inputs_and_labels_are_found_by_name(void **state)
{
    static const struct {
        const char *name;
        bool has_labels;
    } cases[] = {{"stored.npz", true},
                 {"deflated.npz", true},
                 {"other_name.npz", true},
                 {"unnamed.npz", false}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_err err = {0};
        nm_points p;
        nm_assert_ok(load_points(array_file(cases[i].name), NULL, NULL, &p, &err), &err);
        assert_int_equal(p.n, 4);
        assert_int_equal(p.n_in, 3);
        assert_memory_equal(p.x, stored_x, sizeof stored_x);
        assert_int_equal(p.labels != NULL, cases[i].has_labels);
        if (p.labels)
            assert_memory_equal(p.labels, stored_y, sizeof stored_y);
        nm_points_free(&p);
    }
}

static void archive_serves_as_label_file(void **state)
{
    static const char *const names[] = {"stored.npz", "labels_only.npz"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        nm_err err = {0};
        nm_points p;
        nm_assert_ok(load_points(array_file("unnamed.npz"), array_file(names[i]), NULL, &p, &err),
                     &err);
        assert_memory_equal(p.labels, stored_y, sizeof stored_y);
        nm_points_free(&p);
    }
}

static void faults_name_file_and_array(void **state)
{
    static const struct {
        const char *name;
        nm_status status;
        const char *text;
    } cases[] = {
        {"labels_only.npz", NM_E_FORMAT, "holds labels only, expected inputs"},
        {"too_few_labels.npz", NM_E_SHAPE, "3 labels, but"},
        {"bomb.npz", NM_E_FORMAT,
         "array 'x.npy': inflates to 40000128 bytes, expected at most 16777216"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = array_file(cases[i].name);
        char text[512];
        nm_err err = {0};
        nm_points p;
        (void)snprintf(text, sizeof text, "%s: %s", path, cases[i].text);
        assert_int_equal(load_points(path, NULL, NULL, &p, &err), cases[i].status);
        if (strncmp(err.text, text, strlen(text)) != 0)
            fail_msg("message '%s', expected '%s'", err.text, text);
        assert_null(p.x);
    }
}

/* A wrong byte anywhere in the data is caught by the checksum; nothing is read past a cut. */
static void damage_is_noticed(void **state)
{
    nm_buffer file;
    nm_err err = {0};
    nm_points p;
    size_t middle;

    (void)state;
    read_file("stored.npz", &file);
    middle =
        (size_t)((unsigned char *)memmem(file.data, file.n_bytes, &stored_x[0], 12) - file.data);
    file.data[middle] ^= 1;
    assert_int_equal(parse_bytes("a.npz", file.data, file.n_bytes, NULL, &p, &err), NM_E_FORMAT);
    assert_string_equal(err.text, "a.npz: array 'x.npy': damaged: CRC error");
    file.data[middle] ^= 1;
    for (size_t n = 0; n < file.n_bytes; n++) {
        unsigned char *copy;
        memset(&err, 0, sizeof err);
        nm_assert_ok(nm_memdup(&copy, file.data, n, 1, &err), &err);
        assert_int_equal(parse_bytes("a.npz", copy, n, NULL, &p, &err), NM_E_FORMAT);
        nm_free(copy);
    }
    nm_buffer_free(&file);
}

static void all_arrays_are_read_by_name(void **state)
{
    nm_err err = {0};
    const nm_array *a;
    nm_npz npz;

    (void)state;
    nm_assert_ok(nm_npz_load_all(array_file("masks.npz"), 1 << 20, &npz, &err), &err);
    assert_int_equal(npz.n_arrays, 2);
    a = nm_npz_find(&npz, "fc1.weight");
    assert_non_null(a);
    assert_int_equal(a->dtype, NM_DTYPE_BOOL);
    assert_int_equal(a->shape.rank, 2);
    nm_assert_close(a->values, (double[]){1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0}, 12, 0, 0);
    a = nm_npz_find(&npz, "deep/fc2.bias");
    assert_non_null(a);
    nm_assert_close(a->values, (double[]){0, 1, 2, 3}, 4, 0, 0);
    assert_null(nm_npz_find(&npz, "fc1"));
    nm_npz_free(&npz);
}

static void caller_bounds_what_an_archive_unpacks(void **state)
{
    nm_err err = {0};
    nm_npz npz;
    char text[512];
    const char *path = array_file("bomb.npz");

    (void)state;
    assert_int_equal(nm_npz_load_all(path, 40000000, &npz, &err), NM_E_FORMAT);
    (void)snprintf(text, sizeof text,
                   "%s: array 'x.npy': inflates to 40000128 bytes, expected at most 40000000",
                   path);
    assert_string_equal(err.text, text);
    assert_int_equal(npz.n_arrays, 0);
}

static void other_files_are_no_archives(void **state)
{
    nm_err err = {0};
    nm_npz npz;

    (void)state;
    assert_int_equal(nm_npz_load_all(array_file("f4.npy"), 1 << 20, &npz, &err), NM_E_FORMAT);
    assert_non_null(strstr(err.text, "f4.npy: not a sound zip archive: "));
    memset(&err, 0, sizeof err);
    assert_int_equal(nm_npz_load_all("/nonexistent.npz", 1 << 20, &npz, &err), NM_E_IO);
}

static void lack_of_memory_is_reported(void **state)
{
    nm_err err = {0};
    nm_points p;
    nm_npz npz;

    (void)state;
    assert_survives_lack_of_memory(load_points(array_file("deflated.npz"), NULL, NULL, &p, &err),
                                   &err, nm_points_free(&p));
    assert_survives_lack_of_memory(nm_npz_load_all(array_file("masks.npz"), 1 << 20, &npz, &err),
                                   &err, nm_npz_free(&npz));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inputs_and_labels_are_found_by_name),
        cmocka_unit_test(archive_serves_as_label_file),
        cmocka_unit_test(faults_name_file_and_array),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(all_arrays_are_read_by_name),
        cmocka_unit_test(caller_bounds_what_an_archive_unpacks),
        cmocka_unit_test(other_files_are_no_archives),
        cmocka_unit_test(lack_of_memory_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
