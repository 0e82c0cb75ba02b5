/* Nearest points of polytopes {y : C y <= d} and of unions of them, in the Euclidean distance. */
#ifndef NM_SOLVE_PROJECTION_H
#define NM_SOLVE_PROJECTION_H

#include "base/ctx.h"

/** Rows c_i . y <= d_i that all hold; without rows: everything. */
typedef struct nm_polytope {
    int64_t n_rows;
    const double *c; /* [n_rows x n] */
    const double *d; /* [n_rows] */
} nm_polytope;

/** Any of these; without pieces: nothing. */
typedef struct nm_union {
    int64_t n_pieces;
    const nm_polytope *pieces;
} nm_union;

typedef enum nm_nearest_outcome {
    NM_NEAREST_FOUND,
    NM_NEAREST_EMPTY,  /* no point satisfies the rows */
    NM_NEAREST_UNKNOWN /* the solver stalled on a piece, and no other has a point */
} nm_nearest_outcome;

typedef struct nm_nearest {
    nm_nearest_outcome outcome;
    int64_t piece;    /* of the nearest point; the first of equals; -1 unless found */
    double distance;  /* INFINITY unless found */
    bool unique;      /* no other piece has a different point that is as near */
    double runner_up; /* distance of the nearest such point of another piece, INFINITY: none */
    int64_t n_empty;  /* pieces without a point */
} nm_nearest;

/** Largest c . y - d over the rows of a polytope, -INFINITY without rows. */
double nm_polytope_excess(const nm_polytope *p, int64_t n, const double *y);

/** Whether y lies in one of the pieces, no tolerance. */
bool nm_union_holds(const nm_union *u, int64_t n, const double *y);

/** The point of a polytope that is nearest to y: the quadratic program min |z - y|, C z <= d, by
 *  the least-distance method (solve/ldp.h), exact but for rounding.
 *  @param y  [n]
 *  @param z  [n] out, defined only if found; rows hold to about 1e-12 of their size
 *  @return NM_E_NOMEM, NM_E_CANCELLED, NM_E_LIMIT */
nm_status nm_project_polytope(const nm_ctx *ctx, const nm_polytope *p, int64_t n, const double *y,
                              double *z, nm_nearest *out, nm_err *err);

/** The same for a union: each piece in turn, the nearest wins. Errors as above. */
nm_status nm_project_union(const nm_ctx *ctx, const nm_union *u, int64_t n, const double *y,
                           double *z, nm_nearest *out, nm_err *err);

#endif
