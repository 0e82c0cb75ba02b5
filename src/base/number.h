/* Numbers in text files, the same in every locale. */
#ifndef NM_BASE_NUMBER_H
#define NM_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/** Reads the whole of [begin, end) as one decimal number, correctly rounded: optional sign, digits
 *  with at most one '.', optional exponent. No blanks, hexadecimal, inf or nan; at most 511
 *  characters.
 *  @param out  untouched on failure
 *  @return false if the text is anything else, or too large for a finite double; a number too small
 *          becomes 0 or subnormal */
bool nm_parse_double(const char *begin, const char *end, double *out);

/** A decimal number between two neighbouring doubles: it is `near` when side = 0, larger when side
 * = 1, smaller when side = -1. */
typedef struct nm_decimal {
    double near; /* the nearest double */
    int side;

    /* If `whole`, the number is +-digits * 10^exponent. */
    bool whole, negative;
    uint64_t digits;
    int exponent;
} nm_decimal;

/** Reads a number as nm_parse_double() does, and compares it with the result exactly. */
bool nm_parse_decimal(const char *begin, const char *end, nm_decimal *out);

/** The largest double that is no larger than the number, the smallest that is no smaller (infinite
 *  beyond the largest finite one). */
double nm_decimal_down(const nm_decimal *d);
double nm_decimal_up(const nm_decimal *d);

/** The same for a double between float32 numbers. */
float nm_f32_down(double x);
float nm_f32_up(double x);

#endif
