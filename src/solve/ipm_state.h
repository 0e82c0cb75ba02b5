/* The interior point method's iterate and step, shared by ipm*.c.
 *
 * Coordinates k = 0 .. N-1 (N = n + T) are the entries of v = (x, C x + c0), in units of `unit`:
 *
 *     minimise   t + w sum u          (linf+l1n; linf: t, u_k = t; l1: sum u)
 *     subject to u_k - v_k >= 0, u_k + v_k >= 0, t - u_k >= 0,  x_j - lo_j >= 0, hi_j - x_j >= 0,
 *                A x >= h  (rows scaled),  C x - v_T = -c0.
 *
 * Each of the first five kinds is local to one coordinate (and t) and is kept strictly satisfied;
 * only the rows and terms have residuals. */
#ifndef NM_SOLVE_IPM_STATE_H
#define NM_SOLVE_IPM_STATE_H

#include "solve/master.h"

/** The constraints that a coordinate may have. */
typedef enum nm_ipm_local {
    NM_BELOW_CAP, /* u - v >= 0 */
    NM_ABOVE_CAP, /* u + v >= 0 */
    NM_UNDER_T,   /* t - u >= 0 (linf+l1n) */
    NM_OVER_LO,   /* x - lo >= 0 */
    NM_UNDER_HI,  /* hi - x >= 0 */
    NM_LOCALS
} nm_ipm_local;

/** Arrays over one kind of constraint; slack == NULL: no coordinate has it, slack[k] = INFINITY:
 *  this one does not. `z` are the multipliers, `want` the complementarity right-hand side:
 *  slack dz + z dslack = want. */
typedef struct nm_ipm_pair {
    double *slack, *z, *want, *d_slack, *d_z;
} nm_ipm_pair;

/** A program over some of the columns of a larger one, in which the others follow t:
 *
 *     A diag(scale) x + on_t t >= h,   C diag(scale) x + on_t t - v_T = -c0,
 *     cost  t_cost t + sum weight_j u_j  (terms keep the weight of the spec).
 *
 *  Sifting (solve/sift.c) makes such programs; linf and linf+l1n only. All arrays are lent. */
typedef struct nm_ipm_reduction {
    const double *scale;  /* [n] */
    const double *weight; /* [n] */
    const double *on_t;   /* [m + T] */
    double t_cost;
    const double *start; /* [n] where x may start */
    double start_t;      /* > 0, its size */
} nm_ipm_reduction;

typedef struct nm_ipm {
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    const nm_rows *rows;
    int threads;
    int64_t n, n_terms, n_coords;    /* n, T, N */
    int64_t m, n_all;                /* rows of A; m + T: rows first, terms behind them */
    int64_t room;                    /* rows for which arrays have room */
    bool has_t, has_u;               /* linf: t only; l1: u only */
    double weight;                   /* w */
    const nm_ipm_reduction *reduced; /* NULL = the program as it is */
    double *scaled;                  /* [n] scratch, if reduced */
    double unit;
    double *memory_coords, *memory_rows; /* the blocks that the arrays below lie in */

    nm_ipm_pair local[NM_LOCALS]; /* [N] */
    nm_ipm_pair row;              /* [m]; z = multipliers of the scaled rows */
    double *v, *u;                /* [N] */
    double t;
    double *e;           /* [T] multipliers of the terms */
    double *scale, *rhs; /* [m] row scale, h scale / unit */
    double mu;           /* mean of slack z */
    double primal_value, dual_value;

    double *missing;         /* [m + T] right-hand side minus left-hand side */
    double *dual_v, *dual_u; /* [N] dual residuals */
    double dual_t;
    double *dv, *du, *d_all; /* the step: [N], [N], [m + T] of the multipliers of rows and terms */
    double dt;

    double *theta, *on_t;    /* [N] 1 / hessian and coupling with t after eliminating u */
    double *force;           /* [N] right-hand side after eliminating u */
    double *work;            /* [N] */
    double stiffness;        /* of t after eliminating all coordinates */
    double *normal;          /* [. x ld] the normal matrix, then its factor */
    int64_t ld, normal_room; /* elements that it has room for */
    double *coupling;        /* [m + T] E Theta on_t */
    double *products;        /* [m + T] scratch */
    unsigned char *occupied; /* [(m+T) x blocks] row has a nonzero in the block of columns */
    nm_groups groups;        /* rows (scaled) and terms, if they have factors (spec->space) */
    struct nm_ipm_neurons *neurons; /* NULL: all rows and terms are in `normal` */
    int64_t iterations;
} nm_ipm;

/** Weight of u_k in the objective. */
static inline double nm_ipm_weight(const nm_ipm *ipm, int64_t k)
{
    return ipm->reduced && k < ipm->n ? ipm->reduced->weight[k] : ipm->weight;
}

/** Coefficient of t in row or term i (scaled like the row). */
static inline double nm_ipm_on_t(const nm_ipm *ipm, int64_t i)
{
    if (!ipm->reduced)
        return 0;
    return ipm->reduced->on_t[i] * (i < ipm->m ? ipm->scale[i] : 1);
}

/** out = [A scaled; C] x_n - [0; v_T], over all m + T rows; `coords` is [N]. */
void nm_ipm_times(const nm_ipm *ipm, const double *coords, double *out);

/** out [N] = the transpose times `all` [m + T]. */
void nm_ipm_transposed_times(const nm_ipm *ipm, const double *all, double *out);

/** E Theta E' + S/Z + coupling coupling' / stiffness, factored. NM_OK; NM_E_NOMEM;
 * *ok = false if numbers got out of hand. */
nm_status nm_ipm_factor(nm_ipm *ipm, bool *ok, nm_err *err);

/** Solves with it, b [m + T] in place. */
void nm_ipm_solve(const nm_ipm *ipm, double *b);

/** Room for a normal matrix of n rows; ipm->ld = n. */
nm_status nm_ipm_room_for_normal(nm_ipm *ipm, int64_t n, nm_err *err);

/* -- equations of one neuron (ipm_neurons.c) ------------------------------------------------- */

/** Sets ipm->neurons if many rows and terms in ipm->groups see one neuron each; NULL otherwise.
 *  NM_E_NOMEM. */
nm_status nm_ipm_neurons_open(nm_ipm *ipm, nm_err *err);
void nm_ipm_neurons_free(struct nm_ipm_neurons *neurons);

/** What nm_ipm_factor() does. @param theta  [n] of the columns as they are, scales included */
nm_status nm_ipm_neurons_factor(nm_ipm *ipm, const double *theta, bool *ok, nm_err *err);
void nm_ipm_neurons_solve(const nm_ipm *ipm, double *b);

/** Unknown j has both bounds 0. */
bool nm_ipm_is_fixed(const nm_ipm *ipm, int64_t j);

/** Takes over the factors of rows and terms, scaled. NM_E_NOMEM. */
nm_status nm_ipm_take_factors(nm_ipm *ipm, nm_err *err);

/** Records which columns rows `first` .. m + T - 1 use, for nm_ipm_factor. */
void nm_ipm_mark_columns(nm_ipm *ipm, int64_t first);
int64_t nm_ipm_column_blocks(int64_t n);

/** Solves a reduced program to spec->gap by its own account: no polish, no bound of the full one.
 *  @param d  out [n], y out [m], x out [n_terms]: multipliers of the terms; t out
 *  *ok = false: no answer */
nm_status nm_ipm_solve_reduced(const nm_ctx *ctx, const nm_master_spec *spec, const nm_rows *rows,
                               const nm_ipm_reduction *reduced, double *d, double *t, double *y,
                               double *x, bool *ok, nm_err *err);

/** `unit`, and the rows in it. @param d  [n] a point that meets the rows, or NULL */
void nm_ipm_scale_rows(nm_ipm *ipm, const double *d);

/** The first iterate: d pulled inside the bounds (NULL: 0), with room around it. After
 *  nm_ipm_scale_rows() and with the rows' factors taken. */
void nm_ipm_start(nm_ipm *ipm, const double *d);

/** Residuals, mu and objective values of the iterate. */
void nm_ipm_measure(nm_ipm *ipm);

/** One predictor-corrector step. *length = the smaller of its two step lengths. */
nm_status nm_ipm_step(nm_ipm *ipm, double *length, bool *ok, nm_err *err);

#endif
