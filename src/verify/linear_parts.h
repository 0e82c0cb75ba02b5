/* What the parts of linear.h share: records, rows on their way, summaries. */
#ifndef NM_VERIFY_LINEAR_PARTS_H
#define NM_VERIFY_LINEAR_PARTS_H

#include <math.h>

#include "net/op/facet.h"
#include "verify/linear.h"

/* What nm_linear_summarise() finds, for one model. */
typedef struct nm_summed {
    float *p;    /* [n (n + 1) / 2] P, the lower triangle row by row */
    float *root; /* [n] sqrt(P_ii), rounded up */
    float *rest; /* [n] what is not in P, boxed: earlier summaries, rounding of the rows */
    double kappa, gamma, tiny;
} nm_summed;

typedef struct nm_summary {
    nm_summed model[NM_N_MODELS];
} nm_summary;

static inline int32_t nm_kept_place(const nm_kept *kept, int64_t element)
{
    return kept->place ? kept->place[element] : (int32_t)element;
}

static inline int64_t nm_kept_element(const nm_kept *kept, int32_t i)
{
    return kept->element ? kept->element[i] : i;
}

static inline float nm_float_up(double x)
{
    float v = (float)x;

    return (double)v < x ? nextafterf(v, (float)INFINITY) : v;
}

#endif
