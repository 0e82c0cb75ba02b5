/* When the rows of a repair are outer products: the edited weights are those of a dense layer that
 * sees one row per point, everything else that may change is a bias. */
#ifndef NM_PROBLEM_FACTORS_H
#define NM_PROBLEM_FACTORS_H

#include "problem/tail.h"
#include "tensor/factor_space.h"

typedef struct nm_row_space {
    nm_factor_space space;
    int op;       /* the dense layer's */
    double alpha; /* its factor before x W */
    int64_t *column, *extra_column;
} nm_row_space;

/** The space of the rows over these points; *out = NULL if they are no outer products. */
nm_status nm_row_space_new(const nm_tail *tail, nm_row_space **out, nm_err *err);
void nm_row_space_free(nm_row_space *space);

/** Follows the tail after points were appended to it. */
void nm_row_space_update(nm_row_space *space, const nm_tail *tail);

#endif
