#include "base/number.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_CHARS = 511,
    MAX_EXPONENT = 100000, /* far beyond the range of a double; keeps the sum below from overflow */
    EXACT_DIGITS = 19,     /* decimal digits that always fit 64 bits */
    EXACT_POWER = 22       /* 10^22 is the largest power of ten that is a double */
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

bool nm_parse_double(const char *begin, const char *end, double *out)
{
    decimal d = {0};
    const char *p = begin;

    if (end - begin > MAX_CHARS)
        return false;
    d.negative = take_sign(&p, end);
    if (!take_mantissa(&p, end, &d) || !take_exponent(&p, end, &d) || p != end)
        return false;
    return convert_exactly(&d, out) || convert_by_libc(begin, end, out);
}
