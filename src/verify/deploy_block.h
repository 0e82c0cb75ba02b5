/* A block of points on their way through the bounds of deploy.h: shared by its parts. */
#ifndef NM_VERIFY_DEPLOY_BLOCK_H
#define NM_VERIFY_DEPLOY_BLOCK_H

#include "net/op.h"
#include "verify/deploy.h"
#include "verify/linear.h"

typedef struct nm_block {
    struct nm_deploy_session *s; /* that it belongs to */
    int64_t first;               /* of the session's points */
    const nm_net *net;
    const nm_linear_plan *plan;
    const nm_linear_net *weights;
    bool plain; /* plain loops only */
    int64_t n;
    double **val, **radius; /* [n_values] [n x size] */
    double **source[NM_N_SOURCES];
    const double **point_val;    /* [n][n_values] */
    bool *sharp;                 /* [n_values] radii are as sharp as they get */
    bool *infinite[NM_N_MODELS]; /* [n] something may overflow */
    bool *skipped;               /* [n] values only, no bounds */
    nm_linear *points;           /* [n] */
    nm_arena *arena;             /* the values above */
    nm_arena *keep, *rows;       /* of points */
    nm_arena *scratch;           /* of one step */
    nm_arena *carried;           /* of several steps */
} nm_block;

/* All give false when memory ran out. */

/** How operator k is evaluated for the block, in its scratch memory. */
nm_exec nm_block_exec(nm_block *b, int k);

/** Ends a step: frees its scratch memory. */
bool nm_block_settle(nm_block *b);

/** Values of operator k's output. */
bool nm_block_forward(nm_block *b, int k);

/** Errors, radii and rows of the input, and of operator k's output, in the order of operators. */
bool nm_block_bound_input(nm_block *b);
bool nm_block_bound_op(nm_block *b, int k);

/* -- deploy_judge.c ------------------------------------------------------------------------ */

/** Smallest margin of point p over its target class, by the values alone. */
double nm_block_margin(const nm_block *b, int64_t p, int64_t target);

/** With all operators bounded: what point p's margins over its target class are, and can lose, into
 *  entry b->first + p of `out`. */
bool nm_block_judge(nm_block *b, int64_t p, int64_t target, nm_deploy *out);

/* -- deploy_sharpen.c ---------------------------------------------------------------------- */

/** Where operator k bends, what its inputs may be off by decides how much: radii from rows. */
bool nm_block_sharpen_inputs(nm_block *b, int k);

/** Where many layers come together in few values that dense layers read: what these are off by is
 *  summed up once for all rows from behind. */
bool nm_block_summarise(nm_block *b, int v);

#endif
