#include "support.h"

#include <string.h>

#include "base/file.h"
#include "base/hash.h"

/* FIPS 180-4, examples of SHA-256. */
static void known_digests_come_out(void **state)
{
    char hex[NM_SHA256_TEXT];

    (void)state;
    nm_sha256("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    nm_sha256("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void a_file_has_the_digest_of_its_bytes(void **state)
{
    enum { N = 200000 };
    static unsigned char bytes[N];
    char of_file[NM_SHA256_TEXT], of_bytes[NM_SHA256_TEXT];
    const char *path = nm_temp_path(".bin");
    int64_t n_bytes;
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < N; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    nm_assert_ok(nm_file_write(path, bytes, N, &err), &err);
    nm_assert_ok(nm_sha256_file(path, of_file, &n_bytes, &err), &err);
    nm_sha256(bytes, N, of_bytes);
    assert_string_equal(of_file, of_bytes);
    assert_int_equal(n_bytes, N);
}

static void what_is_no_regular_file_is_refused(void **state)
{
    char hex[NM_SHA256_TEXT];
    int64_t n_bytes;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_sha256_file("/dev/zero", hex, &n_bytes, &err), NM_E_IO);
    assert_non_null(strstr(err.text, "/dev/zero"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests_come_out),
        cmocka_unit_test(a_file_has_the_digest_of_its_bytes),
        cmocka_unit_test(what_is_no_regular_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
