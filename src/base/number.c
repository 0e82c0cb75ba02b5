#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CHARS = 511,
    MAX_EXPONENT = 100000, /* far beyond the range of a double; keeps the sum below from overflow */
    EXACT_DIGITS = 19,     /* decimal digits that always fit 64 bits */
    EXACT_POWER = 22,      /* 10^22 is the largest power of ten that is a double */
    MAX_DOUBLE_DIGITS = 767 /* significant digits of a double's decimal expansion, at most */
};

/* A number taken apart: digits * 10^exponent, sign apart. */
typedef struct decimal {
    uint64_t digits;
    int n_digits; /* significant ones; beyond EXACT_DIGITS `digits` is of no use */
    int exponent;
    bool negative;
} decimal;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool take_sign(const char **p, const char *end)
{
    bool negative = *p < end && **p == '-';

    if (negative || (*p < end && **p == '+'))
        (*p)++;
    return negative;
}

static bool take_mantissa(const char **p, const char *end, decimal *d)
{
    int n_seen = 0;
    bool after_point = false;

    for (; *p < end && (is_digit(**p) || (**p == '.' && !after_point)); (*p)++) {
        if (**p == '.') {
            after_point = true;
            continue;
        }
        n_seen++;
        d->exponent -= after_point;
        if (d->n_digits == 0 && **p == '0')
            continue;
        if (d->n_digits++ < EXACT_DIGITS)
            d->digits = 10 * d->digits + (uint64_t)(**p - '0');
    }
    return n_seen > 0;
}

static bool take_exponent(const char **p, const char *end, decimal *d)
{
    int value = 0;
    bool negative;
    const char *first;

    if (*p == end || (**p != 'e' && **p != 'E'))
        return true;
    (*p)++;
    negative = take_sign(p, end);
    for (first = *p; *p < end && is_digit(**p); (*p)++)
        if (value < MAX_EXPONENT)
            value = 10 * value + (**p - '0');
    d->exponent += negative ? -value : value;
    return *p > first;
}

/* One rounding of two exact operands gives the correctly rounded result (W. D. Clinger, "How to
   read floating point numbers accurately", PLDI 1990, section 3). */
static bool convert_exactly(const decimal *d, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    double value = (double)d->digits;

    if (d->n_digits > EXACT_DIGITS || d->digits > (UINT64_C(1) << 53) ||
        abs(d->exponent) > EXACT_POWER)
        return false;
    value = d->exponent < 0 ? value / powers[-d->exponent] : value * powers[d->exponent];
    *out = d->negative ? -value : value;
    return true;
}

/* The C library's conversion, with '.' as the decimal point whatever the program's locale is.
   Taking the "C" locale neither allocates nor reads files. */
static bool convert_by_libc(const char *begin, const char *end, double *out)
{
    char text[MAX_CHARS + 1];
    size_t n = (size_t)(end - begin);
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value;

    if (!c_locale)
        return false;
    memcpy(text, begin, n);
    text[n] = 0;
    value = strtod_l(text, NULL, c_locale);
    freelocale(c_locale);
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}

static bool take_decimal(const char *begin, const char *end, decimal *d)
{
    const char *p = begin;

    *d = (decimal){0};
    if (end - begin > MAX_CHARS)
        return false;
    d->negative = take_sign(&p, end);
    return take_mantissa(&p, end, d) && take_exponent(&p, end, d) && p == end;
}

bool nm_parse_double(const char *begin, const char *end, double *out)
{
    decimal d;

    return take_decimal(begin, end, &d) &&
           (convert_exactly(&d, out) || convert_by_libc(begin, end, out));
}

/* -- on which side of a double a decimal number lies ------------------------------------------ */

__extension__ typedef unsigned __int128 wide;

static int compare_wide(wide a, wide b)
{
    return (a > b) - (a < b);
}

/* digits / 10^k against m 2^q > 0: digits 2^-q against m 10^k, that is digits 2^(-q-k) against
   m 5^k. m < 2^53 and 5^27 < 2^63, and the two sides are within a factor of two, so both fit. */
static bool compare_in_integers(const decimal *d, double value, int *side)
{
    int k = -d->exponent, q;
    wide left = d->digits, right;

    if (d->n_digits > EXACT_DIGITS || d->digits == 0 || k < 0 || k > 27)
        return false;
    right = (wide)(uint64_t)ldexp(frexp(value, &q), 53);
    q -= 53;
    for (int i = 0; i < k; i++)
        right *= 5;
    if (-q - k >= 0)
        left <<= -q - k;
    else
        right <<= q + k;
    *side = compare_wide(left, right);
    return true;
}

/* A number's significant digits, without zeros at either end, and the power of ten of the first. */
typedef struct digit_text {
    char text[MAX_DOUBLE_DIGITS + 8];
    int n, exponent;
} digit_text;

/* Any text of digits with one point (whatever character the locale takes) and an exponent. */
static void take_digits(const char *begin, const char *end, digit_text *out)
{
    decimal tail = {0};
    bool after_point = false;
    int n_whole = 0;

    out->n = 0;
    for (; begin < end && *begin != 'e' && *begin != 'E'; begin++) {
        if (!is_digit(*begin)) {
            after_point = after_point || (*begin != '-' && *begin != '+');
            continue;
        }
        if (out->n > 0 || *begin != '0')
            out->text[out->n++] = *begin;
        n_whole += (out->n > 0 && !after_point) - (out->n == 0 && after_point);
    }
    (void)take_exponent(&begin, end, &tail);
    while (out->n > 0 && out->text[out->n - 1] == '0')
        out->n--;
    out->exponent = n_whole + tail.exponent;
}

/* The same through the double's whole decimal expansion, for rare numbers. */
static int compare_by_text(const char *begin, const char *end, double value)
{
    char expansion[MAX_DOUBLE_DIGITS + 32];
    digit_text a, b;
    int n = snprintf(expansion, sizeof expansion, "%.*e", MAX_DOUBLE_DIGITS - 1, value), order;

    take_digits(begin, end, &a);
    take_digits(expansion, expansion + n, &b);
    if (a.n == 0 || b.n == 0)
        return (a.n > 0) - (b.n > 0);
    if (a.exponent != b.exponent)
        return a.exponent > b.exponent ? 1 : -1;
    order = memcmp(a.text, b.text, (size_t)(a.n < b.n ? a.n : b.n));
    return order != 0 ? (order > 0) - (order < 0) : (a.n > b.n) - (a.n < b.n);
}

bool nm_parse_decimal(const char *begin, const char *end, nm_decimal *out)
{
    decimal d;
    double near;
    int side;

    if (!take_decimal(begin, end, &d) ||
        (!convert_exactly(&d, &near) && !convert_by_libc(begin, end, &near)))
        return false;
    if (!compare_in_integers(&d, fabs(near), &side))
        side = compare_by_text(begin, end, fabs(near));
    *out = (nm_decimal){.near = near,
                        .side = d.negative ? -side : side,
                        .whole = d.n_digits <= EXACT_DIGITS,
                        .negative = d.negative,
                        .digits = d.digits,
                        .exponent = d.exponent};
    return true;
}

double nm_decimal_down(const nm_decimal *d)
{
    return d->side < 0 ? nextafter(d->near, -INFINITY) : d->near;
}

double nm_decimal_up(const nm_decimal *d)
{
    return d->side > 0 ? nextafter(d->near, INFINITY) : d->near;
}

float nm_f32_down(double x)
{
    float f = (float)x;

    return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

float nm_f32_up(double x)
{
    float f = (float)x;

    return (double)f < x ? nextafterf(f, INFINITY) : f;
}
