/* Some of the columns of a program whose rows are outer products, as a program of its own. Rows and
 * terms keep their factors, and the space frees fewer weights; where few rows meet few columns they
 * are written out instead, for their products cost less then. */
#ifndef NM_SOLVE_SUBSET_H
#define NM_SOLVE_SUBSET_H

#include "solve/master.h"

/** Must stay where it is while in use: its parts point at each other. Start from {0}. */
typedef struct nm_subset {
    int64_t *column;     /* [spec.n] which unknown of the full program */
    nm_master_spec spec; /* norm, gap, bounds, terms */
    nm_rows rows;        /* h and factors are lent from the full rows */
    double *terms;       /* written out */
    int64_t *weight;     /* [spec.n - extras] weight behind each column */
    nm_factor_space space;
    int64_t *map, *extra; /* of the space */
    nm_factors term_factors;
    nm_groups term_groups;
    double *lo, *hi;
} nm_subset;

/** The columns j with chosen[j] [spec->n]; extras must be among them. Replaces what it held.
 *  NM_E_NOMEM. Cost: one pass over the unknowns. */
nm_status nm_subset_make(const nm_master_spec *spec, const nm_rows *rows,
                         const unsigned char *chosen, nm_subset *subset, nm_err *err);
void nm_subset_free(nm_subset *subset);

#endif
