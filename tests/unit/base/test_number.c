#include "support.h"

#include <locale.h>
#include <math.h>
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

static nm_decimal decimal_of(const char *text)
{
    nm_decimal d;

    if (!nm_parse_decimal(text, text + strlen(text), &d))
        fail_msg("'%s' was refused", text);
    return d;
}

static void side_of_a_decimal_number_is_exact(void **state)
{
    static const struct {
        const char *text;
        int side;
    } cases[] = {
        {"0.1", -1}, /* the nearest double is 0.1000000000000000055511... */
        {"-0.1", 1},
        {"0.3", 1}, /* 0.29999999999999998889776975... */
        {"0.5", 0},
        {"-1e22", 0},
        {"1e23", 1},
        {"9007199254740993", 1},
        {"9007199254740995", -1},
        {"4.9e-324", -1}, /* 4.94065645841246544176e-324 */
        {"5e-324", 1},
        {"1e-400", 1},
        {"-1e-400", -1},
        {"0.000", 0},
        {"0.1000000000000000055511151231257827021181583404541015625", 0},
        {"0.10000000000000000555111512312578270211815834045410156250001", 1},
        {"0.10000000000000000555111512312578270211815834045410156249999", -1},
        {"179769313486231570000e288", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_decimal d = decimal_of(cases[i].text);

        if (d.side != cases[i].side)
            fail_msg("'%s': side %d, want %d", cases[i].text, d.side, cases[i].side);
        assert_true(nm_decimal_down(&d) <= d.near && d.near <= nm_decimal_up(&d));
        assert_true((nm_decimal_down(&d) == nm_decimal_up(&d)) == (d.side == 0));
    }
}

/* Zeros at the end lead a number through the other way of comparing. */
static void both_ways_of_comparing_agree(void **state)
{
    static const char zeros[] = "00000000000000000000";
    nm_rng rng = {.seed = 3};

    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[128], padded[192];
        int k = 1 + (int)nm_rng_below(&rng, 25);
        uint64_t digits = nm_rng_u64(&rng) >> nm_rng_below(&rng, 60);
        int n = snprintf(text, sizeof text, "%llu", (unsigned long long)(digits / 2 + 1));

        if (n > 19)
            continue;
        (void)snprintf(padded, sizeof padded, "%s.%se-%d", text, zeros, k);
        (void)snprintf(text + n, sizeof text - (size_t)n, "e-%d", k);
        if (decimal_of(text).side != decimal_of(padded).side)
            fail_msg("%s and %s: sides %d, %d", text, padded, decimal_of(text).side,
                     decimal_of(padded).side);
    }
}

static void float_bounds_enclose(void **state)
{
    nm_rng rng = {.seed = 5};

    (void)state;
    for (int i = 0; i < 10000; i++) {
        double x = nm_rng_normal(&rng);
        float down = nm_f32_down(x), up = nm_f32_up(x);

        assert_true((double)down <= x && x <= (double)up);
        assert_true(nextafterf(down, INFINITY) >= up);
    }
    assert_true(nm_f32_down(1.5) == 1.5F && nm_f32_up(1.5) == 1.5F);
    assert_true(isinf(nm_f32_up(1e300)) && nm_f32_down(1e300) == 3.40282347e38F);
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
        cmocka_unit_test(side_of_a_decimal_number_is_exact),
        cmocka_unit_test(both_ways_of_comparing_agree),
        cmocka_unit_test(float_bounds_enclose),
        cmocka_unit_test(result_is_correctly_rounded),
        cmocka_unit_test(decimal_point_does_not_follow_the_locale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
