#include "support.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/rng.h"

static bool parse(const char *text, double *out)
{
    return nm_parse_double(text, text + strlen(text), out);
}

static void assert_same_bits(const char *text, double got, double want)
{
    if (memcmp(&got, &want, sizeof got) != 0)
        fail_msg("'%s': got %.17g, want %.17g", text, got, want);
}

static void plain_numbers_are_read(void **state)
{
    static const struct {
        const char *text;
        double value;
    } cases[] = {
        {"0", 0.0},
        {"-0", -0.0},
        {"+1", 1.0},
        {".5", 0.5},
        {"5.", 5.0},
        {"007", 7.0},
        {"-1.25e2", -125.0},
        {"1E+3", 1000.0},
        {"0e99999999999", 0.0},
        {"1e-99999999999", 0.0},
        {"0.1", 0.1},
        {"9007199254740993", 9007199254740992.0},
        {"1.7976931348623157e308", 1.7976931348623157e308},
        {"4.9e-324", 4.9406564584124654e-324},
        {"100000000000000000000000000000", 1e29},
        {"0.000000000000000000000000000001", 1e-30},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = 99;
        if (!parse(cases[i].text, &got))
            fail_msg("'%s' was refused", cases[i].text);
        assert_same_bits(cases[i].text, got, cases[i].value);
    }
}

static void anything_else_is_refused(void **state)
{
    static const char *const cases[] = {
        "",    " 1",  "1 ",   "+",   "-",     ".",   "e5", "1e",      "1e+",     "0x1",      "nan",
        "inf", "1,5", "1..2", "--1", "1e5.0", "1_0", "1f", "1e99999", "1.8e308", "\xd9\xa1", "1-"};
    static const char with_nul[3] = {'1', 0, '2'};
    char too_long[600];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = 99;
        if (parse(cases[i], &got))
            fail_msg("'%s' was read as %g", cases[i], got);
        assert_true(got == 99);
    }
    memset(too_long, '1', sizeof too_long);
    assert_false(nm_parse_double(too_long, too_long + sizeof too_long, &(double){0}));
    assert_false(nm_parse_double(with_nul, with_nul + 3, &(double){0}));
}

/* Random doubles printed in several ways come back as the C library reads them. */
static void result_is_correctly_rounded(void **state)
{
    static const char *const formats[] = {"%.17g", "%.9g", "%.25e", "%.3f", "%.60f"};
    nm_rng rng = {.seed = 11};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[512];
        uint64_t bits = nm_rng_u64(&rng);
        double value, got;
        if (i % 2)
            value = nm_rng_normal(&rng);
        else
            memcpy(&value, &bits, sizeof value);
        (void)snprintf(text, sizeof text, formats[nm_rng_below(&rng, 5)], value);
        if (strchr("in", text[text[0] == '-']))
            continue;
        assert_true(parse(text, &got));
        assert_same_bits(text, got, strtod(text, NULL));
    }
}

static void decimal_point_does_not_follow_the_locale(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE"};
    bool found = false;
    double got = 0;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    assert_true(parse("1.25e-30", &got));
    (void)setlocale(LC_ALL, "C");
    assert_same_bits("1.25e-30", got, 1.25e-30);
    if (!found)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_are_read),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(result_is_correctly_rounded),
        cmocka_unit_test(decimal_point_does_not_follow_the_locale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
