/* Points that a property finds unsafe, or nearly so, each with the condition it is to break. */
#ifndef NM_REPAIR_HUNT_H
#define NM_REPAIR_HUNT_H

#include "base/ctx.h"
#include "net/graph.h"
#include "spec/property.h"

/** One point under one case of its property. A point with several unsafe cases stands here several
 *  times. */
typedef struct nm_prey {
    const nm_property *property;
    int64_t c;     /* the case */
    int32_t piece; /* the row of the case that is to be broken */
    int32_t tried; /* other rows that did not do */
} nm_prey;

typedef struct nm_preys {
    int64_t n_in, n, room;
    float *x; /* [n x n_in] */
    nm_prey *at;
} nm_preys;

void nm_preys_clear(nm_preys *preys);

/** The row that a prey is to break: coef . y - limit_out >= margin is wanted. */
const nm_out_row *nm_prey_rule(const nm_prey *prey);

/** Length of a row's coefficients: margins of rows are multiples of it. */
double nm_rule_norm(const nm_out_row *rule);

/** How far outputs are outside of a case: over its rows the largest (coef . y - limit_out) / norm.
 *  Unsafe when <= 0; -INFINITY for a case without rows.
 *  @param piece  out, the row that decides: the nearest one to break; -1 if there is none */
double nm_case_slack(const nm_property *p, int64_t c, const double *y, int32_t *piece);

/** Outputs y [n x n_out] at float32 points x [n x n_in], in double. */
nm_status nm_preys_evaluate(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n, double *y,
                            nm_err *err);

/** Adds what x has of the cases of one box with a slack below `near`. @param y  outputs at x */
nm_status nm_preys_add_in_box(const nm_property *p, const nm_in_box *box, const float *x,
                              const double *y, double near, nm_preys *preys, nm_err *err);

/** Adds what x (in whichever boxes it lies) has of cases with a slack below `near`. */
nm_status nm_preys_add(nm_ctx *ctx, const nm_net *net, const nm_property *p, const float *x,
                       double near, nm_preys *preys, nm_err *err);

/** Adds, for the points that are there, the cases of the properties that hold at them: points have
 *  one demand for each case then, and what contradicts itself shows. */
nm_status nm_preys_complete(nm_ctx *ctx, const nm_net *net, const nm_property *const *properties,
                            int n_properties, nm_preys *preys, nm_err *err);

/** Attacks each box and adds points with a slack below `near`, the worst first and none close to
 *  another of them.
 *  @param effort  multiplications for each box
 *  @param most    points of each box */
nm_status nm_hunt(nm_ctx *ctx, const nm_net *net, const nm_property *p, double near, uint64_t seed,
                  uint64_t stream, double effort, int64_t most, nm_preys *preys, nm_err *err);

#endif
