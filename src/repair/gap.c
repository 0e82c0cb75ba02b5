#ifdef NM_REAL

double NM_TYPED(nm_smallest_gap)(const NM_REAL *score, int64_t n, int64_t target)
{
    return NM_TYPED(nm_decision_gap)(score, n, target, false);
}

double NM_TYPED(nm_decision_gap)(const NM_REAL *score, int64_t n, int64_t target, bool least)
{
    double smallest = INFINITY;

    for (int64_t j = 0; j < n; j++) {
        double gap = (least ? -1 : 1) * ((double)score[target] - (double)score[j]);

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

int64_t nm_best_class_f32(const float *score, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 1; j < n; j++)
        best = score[j] > score[best] ? j : best;
    return best;
}

#define NM_SELF "repair/gap.c"
#include "tensor/typed.h"

#endif
