/* Values of a graph as affine forms of nodes (vnet.h): the algebra in which vnet.c works.
 * Everything lives in one arena; running out of memory shows in the arena. */
#ifndef NM_VERIFY_VEXPR_H
#define NM_VERIFY_VEXPR_H

#include "verify/vnet.h"

/** Sparse matrix by rows. */
typedef struct nm_sparse {
    int64_t n_rows, n_cols;
    int64_t *start; /* [n_rows + 1] */
    int32_t *at;
    double *w;
    bool picks;  /* at most one entry a row */
    bool single; /* and at most one a column */
} nm_sparse;

typedef struct nm_vterm {
    int node;
    const nm_sparse *m;
} nm_vterm;

/** sum_t M_t x_node(t) + c, known up to `known`; the network computes it up to `deviation`. Entries
 *  of all M_t are right to `ulps` units of roundoff 2^-53. */
typedef struct nm_vexpr {
    int64_t n;
    int n_terms;
    nm_vterm *terms;
    double *c, *known, *deviation; /* [n] */
    int ulps;
} nm_vexpr;

/** Opens a matrix with room for so many entries; to be filled row by row, then closed. */
nm_sparse *nm_sparse_open(nm_arena *arena, int64_t n_rows, int64_t n_cols, int64_t n_entries);
void nm_sparse_close(nm_sparse *m);
nm_sparse *nm_sparse_diagonal(nm_arena *arena, int64_t n, const double *d);

/** A B, for A or B with `picks` (B with `single`): no sums. */
const nm_sparse *nm_sparse_times(nm_arena *arena, const nm_sparse *a, const nm_sparse *b);
bool nm_sparse_can_times(const nm_sparse *a, const nm_sparse *b);

/** An expression of n zeros. */
nm_vexpr *nm_vexpr_zero(nm_arena *arena, int64_t n);

/** to += factor * J e, where J times each matrix of e makes no sums; known and deviation too; the
 *  constants of e only where `constants` is set. */
void nm_vexpr_add(nm_arena *arena, nm_vexpr *to, const nm_sparse *j, const nm_vexpr *e,
                  bool constants);

bool nm_vexpr_can_add(const nm_sparse *j, const nm_vexpr *e);

#endif
