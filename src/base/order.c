#include "base/order.h"

#include <stdlib.h>

int nm_compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double nm_median(double *x, int64_t n)
{
    if (n <= 0)
        return 0;
    qsort(x, (size_t)n, sizeof *x, nm_compare_doubles);
    return x[n / 2];
}
