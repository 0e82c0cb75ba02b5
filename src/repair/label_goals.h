/* What labels ask of the scores, as polytopes. */
#ifndef NM_REPAIR_LABEL_GOALS_H
#define NM_REPAIR_LABEL_GOALS_H

#include "solve/projection.h"

/** One union of one polytope for each of n points, and the memory of all. */
typedef struct nm_label_goals {
    nm_union *goal;      /* [n] */
    nm_polytope *pieces; /* [n] */
    double *c, *d;
} nm_label_goals;

/** y_j - y_target <= -margin for every other class j; no rows where the margin is -INFINITY.
 *  Free with nm_label_goals_clear(), also after a failure.
 *  @return NM_E_NOMEM; NM_E_UNSUPPORTED where the rows of all points do not fit in memory */
nm_status nm_label_goals_new(const int64_t *target, const double *margin, int64_t n,
                             int64_t n_classes, nm_label_goals *out, nm_err *err);
void nm_label_goals_clear(nm_label_goals *goals);

#endif
