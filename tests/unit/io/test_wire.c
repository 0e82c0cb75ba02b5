#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "io/wire.h"
#include "io/wire_out.h"

static nm_status first_field(const char *bytes, size_t n, nm_field *field, nm_err *err)
{
    nm_wire wire = {(const unsigned char *)bytes, 0, n};

    return nm_wire_next(&wire, field, err);
}

static void assert_bad(const char *bytes, size_t n, const char *message)
{
    nm_err err = {0};
    nm_field field;

    assert_int_equal(first_field(bytes, n, &field, &err), NM_E_FORMAT);
    assert_non_null(strstr(err.text, message));
}

static void what_is_written_reads_back(void **state)
{
    const int64_t numbers[] = {0, 1, -1, 127, 128, 16383, 16384, INT64_MAX, INT64_MIN};
    nm_err err = {0};
    nm_wire_out out = {.err = &err};
    nm_wire wire;
    nm_field field;
    size_t mark;

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        nm_out_int(&out, (uint32_t)i + 1, numbers[i]);
    mark = nm_out_begin(&out, 1000);
    for (int i = 0; i < 300; i++)
        nm_out_float(&out, 1, (float)i);
    nm_out_end(&out, mark);
    nm_assert_ok(out.rc, &err);
    wire = (nm_wire){out.data, 0, out.n_bytes};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        int64_t value;

        nm_assert_ok(nm_wire_next(&wire, &field, &err), &err);
        nm_assert_ok(nm_field_int(&field, &value, &err), &err);
        assert_int_equal(field.number, i + 1);
        assert_true(value == numbers[i]);
    }
    nm_assert_ok(nm_wire_next(&wire, &field, &err), &err);
    assert_int_equal(field.number, 1000);
    assert_int_equal(field.n_bytes, 300 * 5);
    assert_false(nm_wire_more(&wire));
    nm_free(out.data);
}

static void a_number_may_have_ten_bytes_but_not_eleven(void **state)
{
    nm_field field;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(first_field("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, &field, &err),
                 &err);
    assert_true((int64_t)field.value == -1);
    assert_bad("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12,
               "byte 1: a number runs past 10 bytes");
}

static void cut_off_fields_are_refused_with_their_place(void **state)
{
    (void)state;
    assert_bad("\x08", 1, "byte 1: a number is cut off");
    assert_bad("\x08\x80", 2, "byte 1: a number is cut off");
    assert_bad("\x0d\0\0\0", 4, "byte 0: field 1 is cut off");
    assert_bad("\x09\0\0\0\0\0\0\0", 8, "byte 0: field 1 is cut off");
    assert_bad("\x0a\x05xxxx", 6, "byte 0: field 1 claims 5 bytes, but only 4 are left");
    assert_bad("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 12, "claims 18446744073709551615");
}

static void groups_and_field_zero_are_refused(void **state)
{
    (void)state;
    assert_bad("\x0b\x0c", 2, "wire type 3");
    assert_bad("\x0c", 1, "wire type 4");
    assert_bad("\x0e", 1, "wire type 6");
    assert_bad("\x00\x00", 2, "no protobuf field");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_number_may_have_ten_bytes_but_not_eleven),
        cmocka_unit_test(cut_off_fields_are_refused_with_their_place),
        cmocka_unit_test(groups_and_field_zero_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
