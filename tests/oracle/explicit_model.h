/* The repair program of APRNN written out in full for a chain of dense ReLU layers, solved by CLP:
 * the yardstick for objective and time. Built from weights and points alone; shares no code with
 * the library's linearisation, rows or solvers.
 *
 * Unknowns: changes of W_k, b_k and (unless left out) of all later biases; pre-activations of
 * layers >= k; outputs. Every later ReLU keeps the side it has in the unedited network, z >= 0
 * counting as on.
 *     minimise norm(v),  v = (parameter changes[, output changes])
 * Source: Tao et al., PLDI 2023, in the smaller form with v = u - w and signs as column bounds. */
#ifndef NM_TESTS_EXPLICIT_MODEL_H
#define NM_TESTS_EXPLICIT_MODEL_H

#include "netmend/netmend.h"

typedef struct nm_explicit_opts {
    int layer; /* first edited layer k */
    nm_norm
        norm; /* linf+l1n (weight 1 / len v), linf, l1; l2: CLP's quadratic objective, barrier */
    double margin;        /* of label rows */
    double bound;         /* on each change; INFINITY = none */
    bool with_outputs;    /* v holds the output changes, too */
    bool no_later_biases; /* only layer k changes */
    bool no_pins;         /* pieces are fixed, but pre-activations may leave them */
    bool barrier;         /* CLP's barrier, without crossover, instead of its dual simplex */
    double time_limit_s;
    const double *inputs; /* [points x inputs of layer k]: layers before k may be of any kind.
                             NULL = computed from the points */
} nm_explicit_opts;

typedef struct nm_explicit_result {
    int status;       /* CLP's: 0 optimal, 1 infeasible, 3 stopped */
    double objective; /* norm(v) */
    int64_t n_rows, n_columns, n_entries;
    double seconds; /* of the solve alone */
} nm_explicit_result;

/** NM_E_ARG unless the net's layers from k on (without inputs: all) are a chain of dense layers
 *  with biases, weights [out x in], and ReLUs. */
nm_status nm_explicit_solve(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                            const nm_explicit_opts *opts, nm_explicit_result *out, nm_err *err);

#endif
