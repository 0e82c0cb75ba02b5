/* The true forward check of a candidate change: which points miss their margin. */
#ifndef NM_REPAIR_MISSES_H
#define NM_REPAIR_MISSES_H

#include "repair/gap.h"
#include "repair/pointwise.h"

/** Points that miss their margin under a change. Arrays have room for all points. */
typedef struct nm_misses {
    int64_t *repair, *keep; /* indices into the repair set, into the keep set */
    int64_t n_repair, n_keep;
    double worst;      /* largest shortfall of a repair point, output units */
    double total;      /* sum of the shortfalls of all points: what a step is to reduce */
    double keep_total; /* the keep points\' part of it */
    double *shortfall; /* [repair points] 0 where the margin is met */
} nm_misses;

/** Room for the points of a search. Free with nm_misses_clear(), also after a failure. */
nm_status nm_misses_new(const nm_search *search, nm_misses *misses, nm_err *err);
void nm_misses_clear(nm_misses *misses);

/** Evaluates all points with base + delta in double and lists those that miss what the search
 *  demands of them (margins missed by 1e-7 of the scores are the solver's rounding; a point must
 *  be right, however small its margin). */
nm_status nm_misses_find(const nm_search *search, const double *delta, nm_misses *misses,
                         nm_err *err);

#endif
