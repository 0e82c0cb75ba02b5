/* What the parts of linear.h share: records, rows on their way, summaries. */
#ifndef NM_VERIFY_LINEAR_PARTS_H
#define NM_VERIFY_LINEAR_PARTS_H

#include <math.h>

#include "net/op/facet.h"
#include "verify/linear.h"

/* What nm_linear_summarise() finds. */
typedef struct nm_summary {
    float *p;       /* [n x n] */
    float *root;    /* [n] sqrt(P_ii), rounded up */
    float *box;     /* [n] sum_m |G_im|, rounded up */
    float *spoiled; /* [n] what rounding of the rows may add to each element, boxed */
    double kappa, gamma;
    int n_fans;    /* layers passed for it */
    float *g;      /* [n_columns x n] G', columns scaled; gathered again when needed */
    double *scale; /* [n_columns] what they are to be multiplied by */
    int64_t n_columns;
} nm_summary;

/** G', in an arena that lives as long as the rows. False when memory ran out. */
bool nm_summary_gather(nm_linear *l, int value, nm_summary *s, nm_arena *keep);

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
