/* Smallest change of one layer, with a lower bound that shows how far from the smallest it can be
 * (Goldberger, Adi, Keshet, Katz, "Minimal Modifications of Deep Neural Networks using
 * Verification", LPAR-23 2020).
 *
 * Behind an early layer every point has its own ReLU pattern, on which the outputs depend. Instead
 * of verification queries and bisection: branch and bound over patterns. A node fixes the sides of
 * some neurons of some points; the others are relaxed to the triangle over the range that changes
 * no larger than the best known one can reach. Its linear program is a lower bound; the pattern
 * that its solution has in truth, fixed for all neurons, is a second program, whose solution is a
 * repair if a forward evaluation says so. */
#ifndef NM_REPAIR_MINIMAL_H
#define NM_REPAIR_MINIMAL_H

#include "base/ctx.h"
#include "netmend/repair.h"
#include "problem/plan.h"
#include "solve/projection.h"

typedef struct nm_minimal_opts {
    nm_norm norm;     /* linf, l1 or linf+l1n */
    double l1_weight; /* of sum |v| in NM_NORM_LINF_L1N */
    double gap;       /* relative, > 0 */
    int64_t max_nodes;
    const double *start; /* [params->n] a change to start from, NULL = none; need not do */
} nm_minimal_opts;

typedef struct nm_minimal_report {
    bool found;  /* delta meets every goal, by forward evaluation in double */
    bool proven; /* found: no smaller one by more than the gap; else: none up to `largest` */
    bool stopped, cancelled; /* by time or an interrupt */
    double norm;             /* of delta; INFINITY unless found */
    double lower_bound; /* no change with a smaller norm meets the goals: rigorous for the layers
                           behind the edited one in real arithmetic, with its inputs as
                           computed in double (minimal_bound.c) */
    double largest;     /* norm up to which changes were looked for */
    int64_t nodes, programs;
} nm_minimal_report;

/** Whether the part of the net behind the planned layer can be searched: dense layers with ReLU
 *  between them, one layer planned, a dense one, whole. @return NM_OK or NM_E_UNSUPPORTED */
nm_status nm_minimal_check(const nm_net *net, const nm_plan *plan, nm_err *err);

/** @param plan   one layer; its bounds hold
 *  @param goal   [n] as in nm_layerwise()
 *  @param delta  out, [params->n] of that plan; zeros unless found
 *  @return NM_OK also when nothing was found or a limit came (report) */
nm_status nm_minimal(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                     const nm_union *goal, const nm_minimal_opts *opts, double *delta,
                     nm_minimal_report *report, nm_err *err);

#endif
