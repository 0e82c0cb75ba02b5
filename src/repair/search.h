/* What the files of the search share; for everybody else there is repair/pointwise.h. */
#ifndef NM_REPAIR_SEARCH_H
#define NM_REPAIR_SEARCH_H

#include "repair/misses.h"
#include "repair/pointwise.h"

/** Room for the demands of n active points. */
nm_status nm_search_grow_demand(nm_search *s, int64_t n, nm_err *err);

static inline int64_t nm_search_n_scores(const nm_search *s)
{
    return s->net->values[s->net->scores].size;
}

/** Evaluates the keep set and what each of its points must keep. */
nm_status nm_search_open_keep(nm_search *s, nm_err *err);

/** Makes keep points that were broken active; they take part in every program from now on. The
 *  active tail stays linearised where it is. @param promoted  out, how many were not active yet */
nm_status nm_search_promote(nm_search *s, const nm_misses *m, int64_t *promoted, nm_err *err);

#endif
