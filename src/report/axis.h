/* Axes of a picture: where to put ticks, and how to write numbers. */
#ifndef NM_REPORT_AXIS_H
#define NM_REPORT_AXIS_H

#include <stddef.h>
#include <stdint.h>

/** Ticks at k * unit * 10^exponent for the whole numbers k in first..last. */
typedef struct nm_ticks {
    int unit; /* 1, 2 or 5 */
    int exponent;
    int64_t first, last;
} nm_ticks;

/** About `wanted` ticks at round numbers within [lo, hi]; lo < hi, wanted >= 1. */
nm_ticks nm_ticks_for(double lo, double hi, int wanted);

double nm_tick_value(const nm_ticks *ticks, int64_t k);

/** Writes tick k as UTF-8 ("0.25" with a true minus sign, any locale). @return text */
const char *nm_tick_text(const nm_ticks *ticks, int64_t k, char *text, size_t room);

#endif
