/* The repair program of APRNN written out in full for a chain of dense ReLU layers, solved by CLP:
 * the yardstick for objective and time. Built from weights and points alone; shares no code with
 * the library's linearisation, rows or solvers.
 *
 * Unknowns: changes of W_k, b_k and of all later biases; pre-activations of layers >= k; outputs.
 * Every later ReLU keeps the side it has in the unedited network, z >= 0 counting as on.
 *     minimise max |v| + (1/len v) sum |v|,  v = (parameter changes[, output changes])
 * Source: Tao et al., PLDI 2023, in the smaller form with v = u - w and signs as column bounds. */
#ifndef NM_TESTS_EXPLICIT_MODEL_H
#define NM_TESTS_EXPLICIT_MODEL_H

#include "netmend/netmend.h"

typedef struct nm_explicit_opts {
    int layer; /* first edited layer k */
    double margin;
    double bound;      /* on each change; INFINITY = none */
    bool with_outputs; /* v holds the output changes, too */
    bool barrier;      /* CLP's barrier instead of its dual simplex */
    double time_limit_s;
} nm_explicit_opts;

typedef struct nm_explicit_result {
    int status;       /* CLP's: 0 optimal, 1 infeasible, 3 stopped */
    double objective; /* max |v| + sum |v| / len */
    int64_t n_rows, n_columns, n_entries;
    double seconds; /* of the solve alone */
} nm_explicit_result;

/** NM_E_ARG unless the net is a chain of dense layers with biases, weights [out x in], and ReLUs.
 */
nm_status nm_explicit_solve(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                            const nm_explicit_opts *opts, nm_explicit_result *out, nm_err *err);

#endif
