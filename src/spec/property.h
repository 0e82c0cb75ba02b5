/* A property of a network: the set of (input, output) pairs that must not occur.
 *
 * The unsafe set is a union of disjuncts, each "x in a box and all rows of outputs hold". Disjuncts
 * over the same box stand together as the cases of that box:
 *     unsafe  <=>  for some box b and some case c of b:  x in b  and  every row of c holds,
 *     row:  sum_k coef[k] * y[output[k]] <= limit.
 *
 * Decimal numbers of the file are kept on both sides: what a proof needs lies outside (the unsafe
 * set may only grow), what a counterexample needs lies inside (it may only shrink).
 *
 * For the prover (the rows of one case, as it likes them: "unsafe when all rows are <= 0"):
 *     coef . y - limit_out <= 0,   x in [lo_out, hi_out].
 * For points: coef . y <= limit_in, x float32 in [lo_in, hi_in]; lo_in > hi_in in some dimension
 * when no float32 number lies in the box. (Where no float32 number lies between two decimals, but
 * one is within a rounding error of a double, lo_in and hi_in are that one: files print float32
 * numbers.) A case without rows is unsafe on its whole box. */
#ifndef NM_SPEC_PROPERTY_H
#define NM_SPEC_PROPERTY_H

#include "net/arena.h"
#include "netmend/verify.h"

/** sum_k coef[k] y[output[k]] <= limit; outputs ascending, coefficients exact and not 0. */
typedef struct nm_out_row {
    int32_t n_terms; /* >= 1 */
    const int32_t *output;
    const double *coef;
    double limit_out; /* >= the limit in the file */
    double limit_in;  /* <= the limit in the file */
} nm_out_row;

/** Rows first .. first + n_rows - 1 of the property; all hold together. */
typedef struct nm_out_case {
    int64_t first;
    int32_t n_rows;
} nm_out_case;

/** A box of inputs and the cases over it. */
typedef struct nm_in_box {
    const double *lo_out, *hi_out; /* [n_in] outward, finite, lo <= hi */
    const float *lo_in, *hi_in;    /* [n_in] inward */
    bool has_points;               /* lo_in <= hi_in everywhere */
    int64_t first_case;
    int64_t n_cases; /* >= 1 */
} nm_in_box;

/** Everything lives as long as the property. Boxes that are empty in real arithmetic are dropped
 *  by the reader: a property without boxes holds. */
struct nm_property {
    int64_t n_in, n_out;
    int64_t n_boxes, n_cases, n_rows;
    const nm_in_box *boxes;
    const nm_out_case *cases;
    const nm_out_row *rows;
    int64_t n_empty; /* disjuncts dropped: their box or their rows cannot be met */
    nm_arena arena;
};

/** A property of one box; everything is copied. Cases count their rows in `rows`. Free with
 *  nm_property_free(). */
nm_status nm_property_from_box(const double *lo, const double *hi, int64_t n_in, int64_t n_out,
                               const nm_out_case *cases, int64_t n_cases, const nm_out_row *rows,
                               int64_t n_rows, nm_property **out, nm_err *err);

/** Largest violation of the rows of a case by outputs y, in the sense of points: max over rows of
 *  coef . y - limit_in. The case is met, and the point unsafe, when it is <= 0; not a number when
 * an output is none. -INFINITY for a case without rows. */
double nm_out_case_excess(const nm_property *p, const nm_out_case *c, const double *y);

/** True if x lies in the box as the file gives it. */
bool nm_in_box_holds(const nm_property *p, const nm_in_box *box, const float *x);

#endif
