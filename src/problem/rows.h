/* Rows of the repair problem. A row is an operator, named by what it constrains; its coefficients
 * are made (one backward pass) only when a solver asks for them. */
#ifndef NM_PROBLEM_ROWS_H
#define NM_PROBLEM_ROWS_H

#include "problem/factors.h"
#include "spec/property.h"

typedef enum nm_row_kind {
    NM_ROW_LABEL,  /* score[target] - score[k] >= margin, or the rule of the point */
    NM_ROW_PIN,    /* the k-th pin of operator `op` holds */
    NM_ROW_OUTPUT, /* the k-th score itself (a term of the norm, not a constraint) */
    NM_ROW_LOWER,  /* the change of unknown k is at least its lower bound (point is not used) */
    NM_ROW_UPPER
} nm_row_kind;

typedef struct nm_row_id {
    nm_row_kind kind;
    int op;        /* pins only */
    int64_t point; /* index into the tail's points */
    int64_t k;
} nm_row_id;

/** Points that take their pieces from elsewhere: a vertex of a region from the region's reference
 *  point. The tail's values behind the edit are those of the references then (nm_tail_refer()), its
 *  frontier is that of the points, and what the points' values differ by stands here. */
typedef struct nm_hold {
    const nm_tape *shift; /* [n points of the tail] value of the pieces' affine maps at the point,
                             minus the reference's */
    const bool *op;       /* [n_ops] operators that are pinned; NULL = all */
    const double *pin_margin; /* [n_ops] what pins are to hold by; NULL = 0 */
    const bool *const *tied;  /* [n_ops] NULL, or [n points x pins of the operator]: pins that hold
                                 by 0, as the point is to lie on the border of two pieces */
} nm_hold;

/** What each point must fulfil. Arrays [n points of the tail]. */
typedef struct nm_demand {
    int64_t *target;         /* wanted class */
    const nm_out_row **rule; /* what the scores must not fulfil, in place of a class: asked is
                                coef . score - limit_out >= margin; entries (or all of it) NULL =
                                the class is meant */
    bool least;     /* classes win by the smallest score: score[k] - score[target] >= margin */
    double *margin; /* required score[target] - score[other]; -INFINITY: nothing is asked of the
                       point, it has no rows and no pins */
    int64_t
        n_pinned; /* the first n_pinned points may be pinned (repair points), later not (keep) */
    const nm_hold *hold; /* NULL: points have pieces of their own, and pins hold by 0 */
} nm_demand;

/** What the k-th pin of operator `op` is to hold by at a point. */
static inline double nm_demand_pin_margin(const nm_demand *demand, int op, int64_t point,
                                          int64_t n_pins, int64_t k)
{
    const nm_hold *hold = demand->hold;

    if (!hold || !hold->pin_margin)
        return 0;
    return hold->tied && hold->tied[op] && hold->tied[op][point * n_pins + k]
               ? 0
               : hold->pin_margin[op];
}

/** What the rule adds up to: coef . y. */
static inline double nm_rule_sum(const nm_out_row *rule, const double *y)
{
    double sum = 0;

    for (int32_t i = 0; i < rule->n_terms; i++)
        sum += rule->coef[i] * y[rule->output[i]];
    return sum;
}

/** 1, or -1 where the smallest score decides. */
static inline double nm_demand_sign(const nm_demand *demand)
{
    return demand->least ? -1 : 1;
}

/** The rule of a point, NULL for points that want a class. */
static inline const nm_out_row *nm_demand_rule(const nm_demand *demand, int64_t point)
{
    return demand->rule ? demand->rule[point] : NULL;
}

/** Seeds the adjoint of one row where its quantity lives.
 *  @param at, adjoint  tapes in which the row's point stands at `place`
 *  @return the quantity's present value (pins: slack above their margin) */
double nm_row_seed(const nm_net *net, const nm_demand *demand, const nm_row_id *row,
                   const nm_tape *at, nm_tape *adjoint, int64_t place);

/** What the tangent t (of all points of the tail) adds to the value of a row. */
double nm_row_tangent(const nm_tail *tail, const nm_demand *demand, const nm_row_id *row,
                      const nm_tape *t);

/** Coefficients and present values of rows, pieces fixed as at tail->delta: after a step d from
 *  there, row r has the value value[r] + a_r . d (for pins: its slack).
 *  @param a      out, [n_rows x params->n]
 *  @param value  out, [n_rows] */
nm_status nm_rows_make(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                       const nm_row_id *rows, int64_t n_rows, double *a, double *value,
                       nm_err *err);

/** The factors of the rows in place of their coefficients; the point of row r is rows[r].point.
 *  @param space  of this tail
 *  @param g      out, [n_rows x nm_factor_width(&space->space)] */
nm_status nm_rows_make_factored(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                                const nm_row_id *rows, int64_t n_rows, const nm_row_space *space,
                                double *value, double *g, nm_err *err);

/** A row that the linearised values break, and by how much (> 0). */
typedef struct nm_violation {
    nm_row_id row;
    double amount;
} nm_violation;

/** Growing list of violations, sorted by amount (largest first) once complete. */
typedef struct nm_violations {
    nm_violation *at;
    int64_t n, room;
} nm_violations;

void nm_violations_free(nm_violations *list);

/** How rows are looked for. */
typedef struct nm_separation {
    bool pins;              /* pins of the first n_pinned points, too */
    int64_t labels_a_point; /* at most so many label rows and pins of one point, the worst ones */
    int64_t pins_a_point;
    double tolerance; /* ignore violations up to this * (1 + |required value|) */
} nm_separation;

/** Finds rows broken at tail->delta + step, by the tangent t of that step (NULL: step 0). */
nm_status nm_separate(const nm_tail *tail, const nm_demand *demand, const nm_tape *t,
                      const nm_separation *how, nm_violations *out, nm_err *err);

/** The pins of point p (of `tail`) that its true values on `moved` break: neurons that flipped.
 *  @param q  index of the same point in `moved` */
nm_status nm_flips(const nm_tail *tail, int64_t p, const nm_tail *moved, int64_t q,
                   nm_violations *out, nm_err *err);

/** Number of constraint rows the whole program has (labels of all points, pins of pinned ones). */
int64_t nm_rows_total(const nm_tail *tail, const nm_demand *demand, bool pins);

#endif
