#include "support.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

static void first_error_wins_and_prefix_goes_before(void **state)
{
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_fail(&err, NM_E_SHAPE, "axis %d", 3), NM_E_SHAPE);
    assert_int_equal(nm_fail(&err, NM_E_IO, "later"), NM_E_IO);
    nm_err_prefix(&err, "%s: ", "file\n.npy");
    assert_int_equal(err.code, NM_E_SHAPE);
    assert_string_equal(err.text, "file?.npy: axis 3");
}

static void allocation_refuses_overflow_and_fails_on_request(void **state)
{
    nm_err err = {0};
    double *p;

    (void)state;
    assert_int_equal(nm_alloc(&p, SIZE_MAX / 4, sizeof *p, &err), NM_E_NOMEM);
    assert_null(p);
    nm_mem_fail_at(1);
    assert_int_equal(nm_alloc(&p, 1, sizeof *p, NULL), NM_E_NOMEM);
    assert_int_equal(nm_alloc(&p, 1, sizeof *p, NULL), NM_OK);
    nm_free(p);
}

static void aborted_write_leaves_the_old_file(void **state)
{
    const char *path = nm_temp_path(".txt");
    nm_err err = {0};
    nm_buffer read;
    nm_writer w;

    (void)state;
    nm_assert_ok(nm_file_write(path, "old", 3, &err), &err);
    nm_assert_ok(nm_writer_open(&w, path, &err), &err);
    (void)fputs("new", w.stream);
    nm_writer_abort(&w);
    nm_assert_ok(nm_file_read(path, 100, &read, &err), &err);
    assert_string_equal((char *)read.data, "old");
    nm_buffer_free(&read);
}

static void full_disk_is_reported(void **state)
{
    nm_err err = {0};

    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(nm_file_write("/dev/full", "text", 4, &err), NM_E_IO);
    assert_non_null(strstr(err.text, "/dev/full"));
}

static void random_numbers_depend_on_position_only(void **state)
{
    nm_rng a = {.seed = 7, .stream = 1}, b = {.seed = 7, .stream = 1, .index = 5};
    double sum = 0, squares = 0;
    enum { N = 20000 };

    (void)state;
    for (int i = 0; i < 5; i++)
        (void)nm_rng_u64(&a);
    assert_int_equal(nm_rng_u64(&a), nm_rng_u64(&b));
    for (int i = 0; i < N; i++) {
        double z = nm_rng_normal(&a);
        sum += z;
        squares += z * z;
        assert_true(nm_rng_below(&a, 3) < 3);
    }
    /* 5 standard errors of mean and variance. */
    nm_assert_close(&(double){sum / N}, &(double){0}, 1, 0, 0.036);
    nm_assert_close(&(double){squares / N}, &(double){1}, 1, 0, 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_error_wins_and_prefix_goes_before),
        cmocka_unit_test(allocation_refuses_overflow_and_fails_on_request),
        cmocka_unit_test(aborted_write_leaves_the_old_file),
        cmocka_unit_test(full_disk_is_reported),
        cmocka_unit_test(random_numbers_depend_on_position_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
