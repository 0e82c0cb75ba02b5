#ifdef NM_REAL

double NM_TYPED(nm_smallest_gap)(const NM_REAL *score, int64_t n, int64_t target)
{
    double smallest = INFINITY;

    for (int64_t j = 0; j < n; j++) {
        double gap = (double)score[target] - (double)score[j];

        if (isnan(gap))
            return NAN;
        if (j != target && gap < smallest)
            smallest = gap;
    }
    return smallest;
}

#else

#include "repair/gap.h"

#include <math.h>

#define NM_SELF "repair/gap.c"
#include "tensor/typed.h"

#endif
