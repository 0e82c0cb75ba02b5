/* The working problem of a repair, and the solvers for it.
 *
 *     minimise   norm(v),  v = (d, C d + c0)
 *     subject to A d >= h,   lo <= d <= hi
 *
 * d: changes of the free parameters; C d + c0: output changes, present only when the norm
 * includes outputs. Rows A are added round by round by the caller (lazy rows), most of the
 * program's rows never arrive here. Rows and terms are outer products (factors) where the spec has
 * a space for them, else dense. Every solver returns a primal point, a dual bound and so a gap. */
#ifndef NM_SOLVE_MASTER_H
#define NM_SOLVE_MASTER_H

#include "base/ctx.h"
#include "netmend/repair.h"
#include "solve/rows.h"

/** What stays the same over the rounds. All arrays are lent and must outlive the master. */
typedef struct nm_master_spec {
    nm_norm norm;
    double l1_weight;               /* weight of sum |v| in NM_NORM_LINF_L1N, i.e. 1 / P */
    int64_t n;                      /* unknowns */
    const double *lo;               /* [n], <= 0, NULL = all -infinity */
    const double *hi;               /* [n], >= 0, NULL = all infinity */
    int64_t n_terms;                /* rows of C: output changes that enter the norm; 0 = none */
    const double *terms;            /* C [n_terms x n]; looked at if there is no space */
    const double *offset;           /* c0 [n_terms] */
    double gap;                     /* relative optimality gap wanted */
    const nm_factor_space *space;   /* all rows and terms are outer products of it; NULL = none */
    const nm_factors *term_factors; /* [n_terms] of C; looked at if there is a space */
    const nm_groups *term_groups;   /* the same, sorted; nm_master_open() sets it in its copy */
} nm_master_spec;

typedef enum nm_master_outcome {
    NM_MASTER_SOLVED,
    NM_MASTER_INFEASIBLE, /* y is a checked proof (nm_farkas_excess > 0) */
    NM_MASTER_FAILED      /* numerical trouble: no answer; another solver may have one */
} nm_master_outcome;

typedef struct nm_master_result {
    nm_master_outcome outcome;
    const double *d;    /* [n], lent until the next call; meets the bounds exactly, each row r to
                           1e-9 * nm_row_scale(r, d); NULL unless SOLVED */
    const double *y;    /* [m] multipliers >= 0 of the rows: dual solution, or proof of
                           infeasibility; NULL if FAILED */
    const double *x;    /* [n_terms] multipliers of the terms, where the solver has them */
    double objective;   /* norm(v) at d, recomputed from d */
    double lower_bound; /* of the optimum over the rows so far, from a dual point */
    int64_t iterations;
} nm_master_result;

typedef struct nm_master nm_master;

/** One way to solve. The rows belong to the master and only grow; the kind looks at them when it
 *  solves (their addresses may have changed, rows it has seen have not). */
typedef struct nm_master_kind {
    const char *name;
    bool (*can)(const nm_master_spec *spec);
    nm_status (*open)(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                      void **state, nm_err *err);
    nm_status (*solve)(void *state, nm_master_result *out, nm_err *err);
    void (*close)(void *state);
} nm_master_kind;

extern const nm_master_kind nm_master_clp;        /* l1, linf, linf+l1n; any bounds and terms */
extern const nm_master_kind nm_master_active_set; /* l2 (dual least-distance active set) */
extern const nm_master_kind nm_master_sift;       /* linf, linf+l1n with factors, many columns */
extern const nm_master_kind nm_master_columns;    /* l1 with factors, many columns */
extern const nm_master_kind nm_master_ipm;        /* linf, linf+l1n, l1: dense interior point */

/** Opens the solver asked for (AUTO: the best that can). NM_E_ARG if it cannot solve the spec. */
nm_status nm_master_open(const nm_ctx *ctx, const nm_master_spec *spec, nm_solver solver,
                         nm_master **out, nm_err *err);
void nm_master_close(nm_master *master);

/** Appends m rows; a [m x n] and h [m] are copied. NM_E_ARG if a value is not finite, or if the
 *  spec has a space. */
nm_status nm_master_add_rows(nm_master *master, int64_t m, const double *a, const double *h,
                             nm_err *err);

/** Appends copies of rows in the spec's own form: factors of its space if it has one, else dense.
 *  NM_E_ARG if a value is not finite. */
nm_status nm_master_add(nm_master *master, const nm_rows *rows, nm_err *err);

/** Changes the gap wanted from now on: early rounds of lazy rows need no exact optimum. */
void nm_master_set_gap(nm_master *master, double gap);

/** Solves over the rows so far, warm where the solver can. Falls back to CLP (AUTO only, noted in
 *  the log) when the solver fails numerically. */
nm_status nm_master_solve(nm_master *master, nm_master_result *out, nm_err *err);

/** Name of the solver that gave the last result. Static storage. */
const char *nm_master_solver(const nm_master *master);
int64_t nm_master_n_rows(const nm_master *master);

/* -- proofs ------------------------------------------------------------------------------- */

/** C as rows (without right-hand sides), lent. */
nm_rows nm_master_terms(const nm_master_spec *spec);

/** norm(v) at d. NM_E_NOMEM. */
nm_status nm_master_norm(int threads, const nm_master_spec *spec, const double *d, double *norm,
                         nm_err *err);

/** h'y - max over the box of y'A d, with an allowance for rounding taken off. > 0 proves that
 *  A d >= h has no solution in the box (unbounded sides count as +-NM_PROOF_BOX).
 *  @param y  [rows->m], negative entries count as 0 */
double nm_farkas_excess(const nm_master_spec *spec, const nm_rows *rows, const double *y);
#define NM_PROOF_BOX 1e9

/** A small subset of groups of rows that is infeasible by itself (deletion filter over groups,
 *  each test an elastic LP; starts from the support of y).
 *  @param group   [rows->m] group of each row, 0 .. n_groups-1 (a group = all rows of one point)
 *  @param y       [rows->m] proof of infeasibility
 *  @param member  out, [n_groups], caller's buffer: group belongs to the subset
 *  The subset is irreducible unless time runs out, and infeasible in any case (checked). */
nm_status nm_conflict_groups(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                             const int64_t *group, int64_t n_groups, const double *y, bool *member,
                             nm_err *err);

#endif
