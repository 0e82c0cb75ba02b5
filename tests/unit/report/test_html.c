#include "support.h"

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "report/html.h"
#include "report/png.h"

/* What a writer leaves in memory; free it. */
#define WRITTEN(text, call)                                                                        \
    do {                                                                                           \
        size_t n_written;                                                                          \
        FILE *to = open_memstream(&(text), &n_written);                                            \
        assert_non_null(to);                                                                       \
        call;                                                                                      \
        assert_int_equal(fclose(to), 0);                                                           \
    } while (0)

static void assert_text(const char *text, const char *want)
{
    char *got = NULL;

    WRITTEN(got, nm_html_text(to, text));
    assert_string_equal(got, want);
    free(got);
}

static void text_cannot_leave_its_place(void **state)
{
    (void)state;
    assert_text("plain \xc3\xa4", "plain \xc3\xa4");
    assert_text("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_text("\" onclick='x' &amp;", "&quot; onclick=&#39;x&#39; &amp;amp;");
    assert_text("a\nb\tc\x01\x7f", "a b c\xef\xbf\xbd\xef\xbf\xbd");
    assert_text(NULL, "");
}

static void json_cannot_close_its_script(void **state)
{
    json_t *value = json_string("</script><!--"), *back;
    char *got = NULL;

    (void)state;
    WRITTEN(got, nm_html_json(to, value));
    assert_null(strchr(got, '<'));
    back = json_loads(got, JSON_DECODE_ANY, NULL);
    assert_true(json_equal(back, value));
    json_decref(back);
    json_decref(value);
    free(got);
}

static void assert_number(void (*write)(FILE *, double), double v, const char *want)
{
    char *got = NULL;

    WRITTEN(got, write(to, v));
    assert_string_equal(got, want);
    free(got);
}

static void numbers_are_for_readers_in_any_locale(void **state)
{
    (void)state;
    (void)setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* where there is one */
    assert_number(nm_html_number, 0.125, "0.125");
    assert_number(nm_html_number, -2.0,
                  "\xe2\x88\x92"
                  "2");
    assert_number(nm_html_number, -0.0, "0");
    assert_number(nm_html_number, 1234567, "1234567");
    assert_number(nm_html_number, NAN, "\xe2\x80\x93");
    assert_number(nm_html_number, INFINITY, "\xe2\x80\x93");
    assert_number(nm_html_share, 0.97333333, "97.33 %");
    assert_number(nm_html_share, 1.0, "100 %");
    assert_number(nm_html_share, 0.999999, "99.99 %"); /* not all */
    assert_number(nm_html_share, NAN, "\xe2\x80\x93");
    assert_number(nm_html_points, 0.666, "+0.67");
    assert_number(nm_html_points, -0.001, "0");
    assert_number(nm_html_points, -1.5,
                  "\xe2\x88\x92"
                  "1.5");
    (void)setlocale(LC_NUMERIC, "C");
}

/* RFC 4648, section 10. */
static void base64_is_that_of_the_standard(void **state)
{
    static const char *const want[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};

    (void)state;
    for (size_t n = 0; n <= 6; n++) {
        char *got = NULL;

        WRITTEN(got, nm_html_base64(to, "foobar", n));
        assert_string_equal(got, want[n]);
        free(got);
    }
}

/* -- PNG --------------------------------------------------------------------------------------- */

static uint32_t u32(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Checks a chunk's frame. @return its data */
static const unsigned char *chunk(const unsigned char **at, const char *type, uint32_t *n)
{
    const unsigned char *data = *at + 8;

    *n = u32(*at);
    assert_memory_equal(*at + 4, type, 4);
    assert_int_equal(u32(data + *n), crc32(0, *at + 4, *n + 4));
    *at = data + *n + 4;
    return data;
}

static void assert_png(int64_t width, int64_t height, int n_channels)
{
    size_t row = (size_t)width * (size_t)n_channels, n_rows = (row + 1) * (size_t)height;
    unsigned char *pixels = malloc(row * (size_t)height), *rows = malloc(n_rows);
    const unsigned char *at, *data;
    uLongf n_unpacked = n_rows;
    uint32_t n;
    nm_buffer png;
    nm_err err = {0};

    for (size_t i = 0; i < row * (size_t)height; i++)
        pixels[i] = (unsigned char)(i * 37 + i / 7);
    nm_assert_ok(nm_png_pack(pixels, width, height, n_channels, &png, &err), &err);
    assert_memory_equal(png.data, "\x89PNG\r\n\x1a\n", 8);
    at = png.data + 8;
    data = chunk(&at, "IHDR", &n);
    assert_int_equal(n, 13);
    assert_int_equal(u32(data), width);
    assert_int_equal(u32(data + 4), height);
    assert_int_equal(data[8], 8);
    assert_int_equal(data[9], n_channels == 1 ? 0 : 2);
    data = chunk(&at, "IDAT", &n);
    assert_int_equal(uncompress(rows, &n_unpacked, data, n), Z_OK);
    assert_int_equal(n_unpacked, n_rows);
    for (int64_t y = 0; y < height; y++) {
        assert_int_equal(rows[(size_t)y * (row + 1)], 0);
        assert_memory_equal(rows + (size_t)y * (row + 1) + 1, pixels + (size_t)y * row, row);
    }
    (void)chunk(&at, "IEND", &n);
    assert_int_equal(n, 0);
    assert_ptr_equal(at, png.data + png.n_bytes);
    nm_buffer_free(&png);
    free(pixels);
    free(rows);
}

static void png_holds_the_pixels(void **state)
{
    (void)state;
    assert_png(28, 28, 1);
    assert_png(32, 31, 3);
    assert_png(1, 1, 1);
    assert_png(700, 300, 3);
}

static void png_of_no_image_is_refused(void **state)
{
    static const unsigned char pixel[4];
    nm_buffer png;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_png_pack(pixel, 0, 1, 1, &png, &err), NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_png_pack(pixel, 1, 1, 4, &png, &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "1 or 3 channels"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_cannot_leave_its_place),
        cmocka_unit_test(json_cannot_close_its_script),
        cmocka_unit_test(numbers_are_for_readers_in_any_locale),
        cmocka_unit_test(base64_is_that_of_the_standard),
        cmocka_unit_test(png_holds_the_pixels),
        cmocka_unit_test(png_of_no_image_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
