/* Order statistics of plain numbers. */
#ifndef NM_BASE_ORDER_H
#define NM_BASE_ORDER_H

#include <stdint.h>

/** Orders numbers by `qsort`; NAN has no place of its own. */
int nm_compare_doubles(const void *a, const void *b);

/** @param x  [n] is sorted
 *  @return the upper median, x[n / 2] of the sorted numbers; 0 for n = 0 */
double nm_median(double *x, int64_t n);

#endif
