/* The linear program of one node of the search for a smallest change. */
#ifndef NM_REPAIR_MINIMAL_MODEL_H
#define NM_REPAIR_MINIMAL_MODEL_H

#include "repair/branches.h"
#include "repair/minimal.h"
#include "repair/minimal_tail.h"
#include "solve/clp_model.h"

/** Rows of the program, one after the other. */
typedef struct nm_min_rows {
    double *lo, *hi, *value;
    int *start, *column; /* start [n + 1] */
    int64_t n, n_values, room, value_room;
} nm_min_rows;

/** Columns p, q >= 0 with D = p - q (D row by row), t; then of each point, layer by layer, the
 *  values before the ReLU and behind it, at the end the scores. */
typedef struct nm_min_model {
    nm_clp_model clp; /* only its run, clp and ctx are used */
    const nm_min_tail *tail;
    const nm_union *goal;
    const nm_minimal_opts *opts;
    double lo, hi;          /* bounds on each entry of D */
    int64_t n_d, n_columns; /* entries of D */
    int64_t first_value;    /* column of the first value of point 0 */
    int64_t per_point;      /* columns of a point */
    int64_t n_neurons, n_scores;
    double largest;          /* norm up to which changes are looked for */
    double *z_lo, *z_hi;     /* [points x (neurons + scores)] what values can be after such changes,
                                rounding of these sums included */
    nm_min_rows rows;        /* as CLP has them, of no node */
    int64_t first_relu_row;  /* two rows a neuron */
    int64_t *first_goal_row; /* [points] */
    double *cost, *column_lo, *column_hi;    /* of no node; */
    double *node_lo, *node_hi, *node_row_hi; /* of the present one */
    double cost_factor;
    double *price, *residual, *spread; /* scratch of the bound */
} nm_min_model;

/** Columns of t; of the value before the ReLU of neuron k of point p (scores follow the last
 *  neuron); behind it. */
static inline bool nm_min_has_t(const nm_min_model *m)
{
    return m->opts->norm != NM_NORM_L1;
}

static inline int64_t nm_min_column_t(const nm_min_model *m)
{
    return 2 * m->n_d;
}

static inline int64_t nm_min_column_z(const nm_min_model *m, int64_t p, int64_t k)
{
    return m->first_value + p * m->per_point + k;
}

static inline int64_t nm_min_column_a(const nm_min_model *m, int64_t p, int64_t k)
{
    return nm_min_column_z(m, p, m->n_neurons + m->n_scores + k);
}

/** Place of value k of point p in z_lo, z_hi. */
static inline int64_t nm_min_range_at(const nm_min_model *m, int64_t p, int64_t k)
{
    return p * (m->n_neurons + m->n_scores) + k;
}

/** Fills z_lo, z_hi for changes of norm <= model->largest. */
void nm_min_model_find_ranges(nm_min_model *model);

typedef enum nm_min_outcome { NM_MIN_SOLVED, NM_MIN_INFEASIBLE, NM_MIN_TROUBLE } nm_min_outcome;

/** The program for changes of norm <= largest. Free with nm_min_model_close(), also after failure.
 */
nm_status nm_min_model_open(const nm_ctx *ctx, const nm_min_tail *tail, const nm_union *goal,
                            const nm_minimal_opts *opts, double lo, double hi, double largest,
                            nm_min_model *out, nm_err *err);
void nm_min_model_close(nm_min_model *model);

/** Solves a node.
 *  @param reserve  how much further inside the goal rows are asked to be, as a share
 *  of their size; 0 for bounds
 *  @param d      out, [n_d] the change
 *  @param bound  out: no change with a smaller norm meets the node's conditions, in real arithmetic
 *                behind inputs of the layer as computed in double (see minimal_bound.c)
 *  @param outcome  INFEASIBLE only where that is proven in the same sense; what CLP calls
 *                infeasible and no ray proves is TROUBLE */
nm_status nm_min_model_solve(nm_min_model *model, const nm_branch *node, double reserve, double *d,
                             double *bound, nm_min_outcome *outcome, nm_err *err);

/** After a solve: the neuron whose relaxation is furthest from the truth. @return by how much */
double nm_min_model_worst(const nm_min_model *model, const nm_branch *node, int64_t *neuron);

/* -- between the files ---------------------------------------------------------------------- */

/** What row multipliers prove about the program of the present node: a lower bound on the norm;
 * with `ray`, of the cost 0 in place of the norm, which shows that the program is infeasible if it
 * is above 0. @param y  [rows], any numbers */
double nm_min_model_prove(nm_min_model *model, const double *y, bool ray);

#endif
