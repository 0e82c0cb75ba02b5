/* Two ways to solve one linearised repair program, behind one interface:
 *   explicit     norms that are linear programs, masks, output terms (repair/program.c)
 *   least        l2 and function norm by the rows' inner products (repair/least.c) */
#ifndef NM_REPAIR_ENGINE_H
#define NM_REPAIR_ENGINE_H

#include "problem/forms.h"
#include "repair/program.h"

/** What survives from one program to the next; all lent. */
typedef struct nm_engine_room {
    const nm_edits *edits; /* NULL: the edit is not of matrix form */
    nm_forms *forms;       /* `least` only; one program at a time */
} nm_engine_room;

typedef struct nm_engine {
    nm_status (*open)(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                      const nm_program_opts *opts, const nm_engine_room *room, void **state,
                      nm_err *err);
    void (*close)(void *state); /* NULL is fine */
    /* These do what nm_program_add() and so on do. */
    nm_status (*add)(void *state, const nm_row_id *rows, int64_t n, int64_t *added, nm_err *err);
    nm_status (*solve)(void *state, nm_master_outcome *outcome, nm_err *err);
    /** The demand's margins have changed: its rows ask for the new ones. NULL = cannot. */
    void (*retarget)(void *state);
    const double *(*delta)(const void *state);
    nm_program_figures (*report)(const void *state);
    const nm_row_id *(*rows)(const void *state, int64_t *n);
    nm_status (*conflict)(void *state, bool *member, nm_err *err);

    /** Rows and multipliers of the last solve: its dual solution, or the proof that the rows have
     * no common solution. Rows of bounds are left out: bounds stand in the plan. Arrays are new;
     * free with nm_free(). */
    nm_status (*multipliers)(void *state, bool infeasible, nm_row_id **rows, double **y, int64_t *n,
                             nm_err *err);
} nm_engine;

extern const nm_engine nm_engine_explicit, nm_engine_least;

#endif
