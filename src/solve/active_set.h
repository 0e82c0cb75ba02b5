/* l2: min |v|_2, v = (d, C d + c0), as a least-distance problem in v (solve/ldp.h).
 *
 * Terms become equalities -C d + v' = c0 in the wider space of v; each has a unit column of its
 * own, so they never depend on each other. Bounds become rows +-e_j once the solution breaks them:
 * most never do. All rows are scaled to length 1. */
#ifndef NM_SOLVE_ACTIVE_SET_H
#define NM_SOLVE_ACTIVE_SET_H

#include "solve/ldp.h"
#include "solve/master.h"

typedef enum nm_origin_kind {
    NM_FROM_TERM,
    NM_FROM_ROW,
    NM_FROM_LOWER,
    NM_FROM_UPPER
} nm_origin_kind;

/** What a row of the least-distance problem stands for. */
typedef struct nm_origin {
    nm_origin_kind from;
    int64_t index; /* of the term, the row, or the unknown */
    double scale;  /* 1 / length */
} nm_origin;

typedef struct nm_active_set {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    nm_ldp ldp;
    nm_origin *origins; /* [ldp.m] */
    int64_t n_seen;     /* rows taken over */
    int64_t n_bounds;   /* bounds taken over */
    double *d;          /* [n] */
    double *v;          /* [n_terms] the free unknowns that equal C d + c0 */
    double *residual;   /* [ldp capacity] */
    double *y;          /* [rows.m] */
    bool *boxed;        /* [n][2] the lower, upper bound is a row already */
    double *stored;     /* [n_terms + rows.m] a number for each of them, with factors ... */
    int64_t *place;     /* ... then [n] where each unknown stands in the space */
} nm_active_set;

/** The part of row o over d is sign times a row of C or A. */
static inline double nm_origin_sign(const nm_origin *o)
{
    return o->from == NM_FROM_TERM ? -1 : 1;
}

/** That row, without factors. */
static inline const double *nm_active_set_stored(const nm_active_set *s, const nm_origin *o)
{
    return (o->from == NM_FROM_TERM ? s->spec->terms : s->rows->a) + o->index * s->spec->n;
}

static inline bool nm_active_set_has_factors(const nm_active_set *s)
{
    return s->rows->factors.space != NULL;
}

/** Where the number of a stored row is in s->stored. */
static inline double *nm_active_set_slot(const nm_active_set *s, const nm_origin *o)
{
    return s->stored + (o->from == NM_FROM_TERM ? 0 : s->spec->n_terms) + o->index;
}

static inline bool nm_origin_is_bound(const nm_origin *o)
{
    return o->from == NM_FROM_LOWER || o->from == NM_FROM_UPPER;
}

static inline double nm_origin_bound_sign(const nm_origin *o)
{
    return o->from == NM_FROM_LOWER ? 1 : -1;
}

/** Takes over `count` new rows whose origins (without scale) stand behind the present ones: all
 *  bounds, all terms or all rows in a stretch. NM_E_NOMEM. */
nm_status nm_active_set_take_over(nm_active_set *s, int64_t count, nm_err *err);

#endif
