/* One repair program: the smallest step from `base` that satisfies the rows of the linearised
 * problem, solved with rows that are made only when the present solution breaks them. */
#ifndef NM_REPAIR_PROGRAM_H
#define NM_REPAIR_PROGRAM_H

#include "problem/rows.h"
#include "solve/master.h"

typedef struct nm_program_opts {
    const nm_plan *plan;
    const nm_repair_opts *repair;
    const double *base; /* [params->n] the change from which the norm is measured; NULL = 0 */
    const double *original_scores; /* [n_pinned x n_scores] of the unedited net, for the norm */
    bool all_pins; /* pins of the pinned points belong to the program; else only those added */
    double gap;    /* relative optimality gap of the final answer */
    bool rough;    /* a step that only has to lead somewhere good */
} nm_program_opts;

typedef struct nm_program nm_program;

/** The tail (linearised where it stands) and the demand are lent; points may be appended to both
 *  between solves. */
nm_status nm_program_open(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                          const nm_program_opts *opts, nm_program **out, nm_err *err);
void nm_program_close(nm_program *program);

/** Adds rows by name; known ones are ignored. @param added  receives how many were new */
nm_status nm_program_add(nm_program *program, const nm_row_id *rows, int64_t n, int64_t *added,
                         nm_err *err);

/** Solves until no row is broken. The outcome is SOLVED, INFEASIBLE or FAILED (numerics). */
nm_status nm_program_solve(nm_program *program, nm_master_outcome *outcome, nm_err *err);

/** Total change [params->n] of the last solution (base + step), lent. */
const double *nm_program_delta(const nm_program *program);

/** Figures of the last solve. */
typedef struct nm_program_figures {
    double objective, lower_bound;
    int64_t n_rows, n_total;
    int rounds;
    const char *solver;
} nm_program_figures;

nm_program_figures nm_program_report(const nm_program *program);

/** Names of the rows so far, lent; a later program may start from them. */
const nm_row_id *nm_program_rows(const nm_program *program, int64_t *n);

/** Copies of them, and of their multipliers in the last solve: the dual solution, or after
 *  INFEASIBLE the proof. Free with nm_free(). */
nm_status nm_program_copy_multipliers(const nm_program *program, nm_row_id **rows, double **y,
                                      int64_t *n, nm_err *err);

/** After INFEASIBLE: points (of the tail) that cannot be satisfied together.
 *  @param member  out, [n points of the tail], caller's buffer */
nm_status nm_program_conflict(nm_program *program, bool *member, nm_err *err);

#endif
