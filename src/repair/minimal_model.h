/* The linear program of one node of the search for a smallest change. */
#ifndef NM_REPAIR_MINIMAL_MODEL_H
#define NM_REPAIR_MINIMAL_MODEL_H

#include "repair/minimal.h"
#include "repair/minimal_tail.h"
#include "solve/clp_model.h"

/** Side of a neuron at a point. */
enum nm_min_side { NM_MIN_OPEN = 0, NM_MIN_ON = 1, NM_MIN_OFF = -1 };

/** What a node has decided. */
typedef struct nm_min_node {
    signed char *side; /* [points x neurons] */
    int *piece;        /* [points] piece of the union, -1 = open: nothing is asked yet */
    double bound;      /* of the norm */
} nm_min_node;

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
    double *z_lo, *z_hi;     /* [points x neurons] ranges of the neurons */
    int64_t first_relu_row;  /* two rows a neuron */
    int64_t *first_goal_row; /* [points] */
    int64_t n_rows;
    double *column_lo, *column_hi, *row_hi;  /* of no node; */
    double *node_lo, *node_hi, *node_row_hi; /* of the present one */
    double cost_factor;
} nm_min_model;

typedef enum nm_min_outcome { NM_MIN_SOLVED, NM_MIN_INFEASIBLE, NM_MIN_TROUBLE } nm_min_outcome;

/** The program for changes of norm <= largest. Free with nm_min_model_close(), also after failure.
 */
nm_status nm_min_model_open(const nm_ctx *ctx, const nm_min_tail *tail, const nm_union *goal,
                            const nm_minimal_opts *opts, double lo, double hi, double largest,
                            nm_min_model *out, nm_err *err);
void nm_min_model_close(nm_min_model *model);

/** Solves a node. @param reserve  how much further inside the goal rows are asked to be, as a share
 *  of their size; 0 for bounds
 *  @param d      out, [n_d] the change
 *  @param bound  out, the norm */
nm_status nm_min_model_solve(nm_min_model *model, const nm_min_node *node, double reserve,
                             double *d, double *bound, nm_min_outcome *outcome, nm_err *err);

/** After a solve: the neuron whose relaxation is furthest from the truth. @return by how much */
double nm_min_model_worst(const nm_min_model *model, const nm_min_node *node, int64_t *neuron);

#endif
