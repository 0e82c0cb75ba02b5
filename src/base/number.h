/* Numbers in text files, the same in every locale. */
#ifndef NM_BASE_NUMBER_H
#define NM_BASE_NUMBER_H

#include <stdbool.h>

/** Reads the whole of [begin, end) as one decimal number, correctly rounded: optional sign, digits
 *  with at most one '.', optional exponent. No blanks, hexadecimal, inf or nan; at most 511
 *  characters.
 *  @param out  untouched on failure
 *  @return false if the text is anything else, or too large for a finite double; a number too small
 *          becomes 0 or subnormal */
bool nm_parse_double(const char *begin, const char *end, double *out);

#endif
