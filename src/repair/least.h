/* The inside of the engine for l2 and the function norm (least.c, least_proof.c). */
#ifndef NM_REPAIR_LEAST_H
#define NM_REPAIR_LEAST_H

#include "problem/row_set.h"
#include "repair/engine.h"
#include "solve/gram.h"

typedef struct nm_least {
    const nm_ctx *ctx;
    const nm_tail *tail;
    const nm_demand *demand;
    nm_program_opts opts;
    nm_forms *forms; /* lent */
    nm_gram gram;
    nm_row_set rows;
    double *value;  /* [rows] where the tail stands */
    double *wanted; /* [rows] */
    int64_t room;
    double *base, *delta, *step; /* [params->n] */
    bool moved_base;             /* base is not where the tail stands */
    nm_tape *shift;              /* tangents of base - tail->delta, if moved_base */
    nm_tape *tangent;            /* tangents of delta - tail->delta */
    int64_t n_units;
    nm_program_figures figures;
} nm_least;

/** nm_engine.conflict and nm_engine.multipliers; `state` is an nm_least. */
nm_status nm_least_conflict(void *state, bool *member, nm_err *err);
nm_status nm_least_multipliers(void *state, bool infeasible, nm_row_id **out, double **y,
                               int64_t *n, nm_err *err);

#endif
