/* Points that no edit of the plan tells apart: with different wanted classes they exclude each
 * other, whatever the norm, the bounds or the pieces. */
#ifndef NM_REPAIR_TWINS_H
#define NM_REPAIR_TWINS_H

#include "repair/pointwise.h"

typedef struct nm_twins {
    int64_t n;
    int64_t *previous; /* [n] last repair point before this one that reaches the edited layer as the
                          same numbers, -1 if there is none */
    int64_t *keep;     /* [n] a keep point of another class with the same input, -1 = none */
} nm_twins;

/** @param x  [n_repair x n_in] the inputs of the search. Free with nm_twins_clear(). */
nm_status nm_twins_find(const nm_search *search, const float *x, nm_twins *out, nm_err *err);
void nm_twins_clear(nm_twins *twins);

/** An earlier repair point that is not left out and contradicts point p, -1 if there is none.
 *  @param out  [n] points that are left out; NULL = none */
int64_t nm_twins_against(const nm_twins *twins, const int64_t *target, const bool *out, int64_t p);

#endif
