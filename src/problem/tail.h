/* A set of points, evaluated once up to the edited layers, and the part of the net behind that
 * ("tail") at the current parameters.
 *
 * "Behind" means: depends on a free parameter. Everything such operators read that does not
 * depend on one is the *frontier*; it is computed once and cached. */
#ifndef NM_PROBLEM_TAIL_H
#define NM_PROBLEM_TAIL_H

#include "net/tape.h"
#include "problem/plan.h"

/** Which part of a net a list of free parameters reaches. */
typedef struct nm_tail_marks {
    bool *op_mask;  /* [n_ops] the operators of the tail */
    bool *frontier; /* [n_values] */
    bool *behind;   /* [n_values] outputs of the tail's operators */
    bool affine;    /* no operator of the tail is piecewise or smooth, and no edited weight meets an
                       edited value: rows are exact for any step */
} nm_tail_marks;

/** Free with nm_tail_marks_clear(), also after a failure. */
nm_status nm_tail_marks_new(const nm_net *net, const nm_params *params, nm_tail_marks *out,
                            nm_err *err);
void nm_tail_marks_clear(nm_tail_marks *marks);

typedef struct nm_tail {
    const nm_net *base; /* original parameters; lent */
    const nm_params *params;
    nm_net *net;         /* clone of base with base + delta */
    double *delta;       /* [params->n] */
    nm_tail_marks marks; /* the arrays below are lent from it */
    bool *op_mask, *frontier, *behind;
    bool affine;
    nm_tape *at; /* frontier, and the tail's values at delta */
} nm_tail;

/** Evaluates the frontier of n points (x [n x n_in], float32).
 *  @param lean  keep the frontier only: large sets, of which nm_tail_scores() and subsets are
 *               wanted; else the tail is evaluated, too, at delta = 0 */
nm_status nm_tail_new(const nm_ctx *ctx, const nm_net *base, const nm_params *params,
                      const float *x, int64_t n, bool lean, nm_tail **out, nm_err *err);
void nm_tail_free(nm_tail *tail);

/** A full tail of some of the points, evaluated at delta. */
nm_status nm_tail_subset(const nm_ctx *ctx, const nm_tail *from, const int64_t *points, int64_t n,
                         const double *delta, nm_tail **out, nm_err *err);

/** True scores (values of net->scores) of all points with base + delta, whatever the tail's own
 *  delta. scores: [n x size], caller's buffer. */
nm_status nm_tail_scores(const nm_ctx *ctx, const nm_tail *tail, const double *delta,
                         double *scores, nm_err *err);

/** Moves to base + delta and evaluates the tail there. */
nm_status nm_tail_move(const nm_ctx *ctx, nm_tail *tail, const double *delta, nm_err *err);

/** Appends points of another tail (same net and parameters). Their tail values are undefined until
 *  the caller evaluates with nm_tail_move(). */
nm_status nm_tail_append(nm_tail *tail, const nm_tail *from, const int64_t *points, int64_t n,
                         nm_err *err);

/** Lets points take their pieces from others: the values behind the edit become those of the
 *  references (at their own delta, which has to be the tail's), and what the affine maps of those
 *  pieces give at the points, beyond that, goes into `shift` (made by nm_tail_tangent_new()).
 *  Whatever moves the tail or adds points undoes it.
 *  @param of  [n points of the tail] point of `references` */
nm_status nm_tail_refer(const nm_ctx *ctx, nm_tail *tail, const nm_tail *references,
                        const int64_t *of, nm_tape *shift, nm_err *err);

/** Tangents of all tail values for the step d [params->n], with the pieces fixed as they are at
 *  delta: t->val[v] for v behind. t was made by nm_tail_tangent_new(). */
nm_status nm_tail_tangent_new(const nm_tail *tail, nm_tape **out, nm_err *err);
nm_status nm_tail_tangent(const nm_ctx *ctx, const nm_tail *tail, const double *d, nm_tape *t,
                          nm_err *err);

/** Points whose frontiers are equal to the bit have equal outputs under every edit of this plan.
 *  @return the first i < p with p's frontier, or -1 */
int64_t nm_tail_same_as(const nm_tail *tail, int64_t p);

#endif
