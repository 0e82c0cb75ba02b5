#include "report/axis.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DECIMALS = 6 }; /* beyond, numbers are written as 5e-8 */

nm_ticks nm_ticks_for(double lo, double hi, int wanted)
{
    double rough = (hi - lo) / wanted;
    nm_ticks ticks = {.exponent = (int)floor(log10(rough))};
    double digit = rough / pow(10.0, ticks.exponent);

    ticks.unit = digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 1;
    if (digit >= 7.5)
        ticks.exponent++;
    ticks.first = (int64_t)ceil(lo / nm_tick_value(&ticks, 1) - 1e-9);
    ticks.last = (int64_t)floor(hi / nm_tick_value(&ticks, 1) + 1e-9);
    return ticks;
}

double nm_tick_value(const nm_ticks *ticks, int64_t k)
{
    double whole = (double)(k * ticks->unit);

    return ticks->exponent < 0 ? whole / pow(10.0, -ticks->exponent)
                               : whole * pow(10.0, ticks->exponent);
}

/* Digits are put together from whole numbers: printf writes decimals as the locale wants them. */
const char *nm_tick_text(const nm_ticks *ticks, int64_t k, char *text, size_t room)
{
    const char *sign = k < 0 ? "\xe2\x88\x92" : "";
    int64_t digits = (k < 0 ? -k : k) * ticks->unit;
    int64_t power = 1;

    for (int i = 0; i < MAX_DECIMALS && i < abs(ticks->exponent); i++)
        power *= 10;
    if (digits == 0)
        (void)snprintf(text, room, "0");
    else if (abs(ticks->exponent) > MAX_DECIMALS)
        (void)snprintf(text, room, "%s%" PRId64 "e%d", sign, digits, ticks->exponent);
    else if (ticks->exponent >= 0)
        (void)snprintf(text, room, "%s%" PRId64, sign, digits * power);
    else
        (void)snprintf(text, room, "%s%" PRId64 ".%0*" PRId64, sign, digits / power,
                       -ticks->exponent, digits % power);
    return text;
}
