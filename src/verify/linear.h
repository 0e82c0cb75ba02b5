/* The derivative of a net at one point, kept so that many rows of it can be carried backward at
 * once, together with what the values of the point may be off by.
 *
 * A *row* is the derivative of something (an element, a difference of two scores) with respect to
 * the values before it. Deviations obey, operator by operator,
 *     d_out = J d_in + s,   |s| <= source = |e| + |q|   (deploy.h),
 * so a row carried back to some place in the net gives
 *     |deviation| <= sum over the values passed of |row| . source
 *                  + sum over the values at that place of |row| . radius.
 * Signed products are summed before magnitudes are taken, which is what makes this bound sharp.
 *
 * Rows are float32. Their own rounding counts: if element i of a row is off by delta_i, the sum
 * above is off by at most sum |delta_i| radius_i, and with |delta_i| <= gamma sum_o |J_oi| |row_o|
 * that is gamma sum_o |row_o| spread_o. So gamma * spread, with gamma for the most outputs that an
 * input feeds, is weighed like a source (NM_ROUNDING). Products that underflow are off by 2^-149
 * each and are added on the way.
 *
 * Summaries. At a value of few elements the deviations d = G s' (|s'| <= 1) of all of them, each
 * column of G a source or radius further back, can be summed up once: for any row w that arrives
 *     |w d| <= sum_m |(w G)_m| <= sqrt(sum c_m) sqrt(sum (w G)_m^2 / c_m) = sqrt(kappa w P w')
 * by Cauchy and Schwarz, P = G diag(1 / c) G'. With c_m the norm of column m that is not far above
 * the middle sum, as all columns then count alike (AlexNet: 1 to 2 %), and costs a product with P
 * instead of the way back through the layers before. Nor need these be remembered.
 *
 * What a net can lose. Of a margin only the fall counts. A convex operator (ReLU, max pool) lies
 * above its tangent, so its curvature takes from a margin only where the row is negative. There a
 * ReLU whose sign may change may be replaced by its chord over [z - r, z + r]: the row passes with
 * the chord's slope, and what the chord lies above z costs half of what the whole curvature would.
 *
 * Only elements are kept that something can come from: the off side of a ReLU, say, is left out. A
 * layer's derivative is gathered from its weights row by row when a row first needs it. */
#ifndef NM_VERIFY_LINEAR_H
#define NM_VERIFY_LINEAR_H

#include "net/arena.h"
#include "net/op.h"

enum {
    NM_RIGOROUS, /* without the two below */
    NM_FIRST_ORDER,
    NM_PROBABLE,
    NM_N_MODELS,
    NM_ROUNDING = NM_N_MODELS, /* what rounding of rows adds */
    NM_BEND,                   /* the curvature q of convex operators: 0 <= q <= this */
    NM_N_SOURCES
};

/** Whether input i of an operator is there and computed. */
bool nm_is_varying(const nm_net *net, const nm_op *op, int i);

/** Most rows that are carried at once. */
enum { NM_MAX_ROWS = 32 };

/* -- what depends on the structure of the net only ------------------------------------------ */

typedef enum nm_passage {
    NM_BY_FANS,
    NM_BY_ELEMENT,
    NM_BY_LINKS,
    NM_BY_VIEW,
    NM_BY_VJP
} nm_passage;

typedef struct nm_linear_op {
    nm_passage passage;
    int64_t n_fans, n_links;
    nm_fan *fans;
    double gamma;    /* relative error of one row element through this operator */
    double most_fed; /* most outputs that one input feeds */
    /* A dense layer that reads a linear operator which only copies or averages few elements into
       many (and views of it): rows pass both at once, by the product of the two. */
    int fused_with; /* that operator, -1 = none */
    int input;      /* the value that rows arrive at */
    bool skipped;   /* rows pass this operator with the layer behind it */
} nm_linear_op;

typedef struct nm_linear_plan {
    const nm_net *net;
    nm_linear_op *ops; /* [n_ops] */
    nm_arena arena;
} nm_linear_plan;

nm_status nm_linear_plan_new(const nm_net *net, nm_linear_plan **out, nm_err *err);
void nm_linear_plan_free(nm_linear_plan *plan);

/** Weights of one net: those of fused layers, and how large they are. */
typedef struct nm_linear_net {
    const nm_net *net;
    float **fused;       /* [n_ops] [n_out x size of the input]; NULL = not fused */
    double *most_weight; /* [n_ops] largest magnitude of a layer's weights; 0 = no layer */
    nm_arena arena;
} nm_linear_net;

/** @param like   weights of a net with the same constants before operator `first`, which are lent;
 *                not read where `first` is 0 */
nm_status nm_linear_net_open(nm_linear_net *n, const nm_linear_plan *plan, const nm_net *net,
                             const nm_linear_net *like, int first, nm_err *err);
void nm_linear_net_close(nm_linear_net *n);

/* -- one point -------------------------------------------------------------------------------- */

/** The elements of a value that are kept. */
typedef struct nm_kept {
    int32_t n;
    int32_t *element;            /* [n] ascending; NULL = all */
    int32_t *place;              /* [size] index among the kept, -1 = left out; NULL = all */
    float *source[NM_N_SOURCES]; /* [n], rounded up; NULL = all 0 */
    float *radius;               /* [n], rounded up */
    double radius_sum;
    struct nm_summary *summary; /* NULL = none */
} nm_kept;

/** How rows pass one operator. */
typedef struct nm_passed {
    int32_t *from[NM_OP_MAX_IN > 2 ? 2 : NM_OP_MAX_IN]; /* [kept outputs x n_links] place, or -1 */
    float *slope[2];                                    /* [kept outputs] */
    float *chord, *rise;  /* [kept outputs] a ReLU's chord and what it lies above the value; the
                             rise is 0 where the sign is certain. NULL = everywhere */
    int32_t **fan_place;  /* [n_fans][fan_n] */
    int32_t **fan_weight; /* [n_fans][fan_n] */
    int32_t *fan_n;       /* [n_fans] */
    float **weights;      /* [size_out] gathered rows, NULL = not yet */
} nm_passed;

typedef struct nm_linear {
    const nm_linear_plan *plan;
    const nm_net *net;
    const nm_linear_net *weights; /* of the same structure as the plan's net */
    const double *const *val;     /* [n_values] values of the point; NULL for constants */
    nm_kept *kept;                /* [n_values] */
    nm_passed *passed;            /* [n_ops] */
    int first;                    /* operators before it are shared with others: left as they are */
    nm_arena *arena;              /* what is kept */
    nm_arena *rows;               /* gathered rows */
} nm_linear;

/** Everything empty. False when memory ran out (also of those below; the arenas tell). */
bool nm_linear_open(nm_linear *l, const nm_linear_plan *plan, const nm_linear_net *weights,
                    const double *const *val, nm_arena *arena, nm_arena *rows);

/** Like `from` up to operator `first`, whose records are lent; to be continued in other arenas. */
bool nm_linear_fork(nm_linear *l, const nm_linear *from, const nm_linear_net *weights,
                    const double *const *val, int first, nm_arena *arena, nm_arena *rows);

/** Copies those records of the operators before `first` that rows from behind may need, to be
 *  forked from; rows end at summaries, so nothing before these is needed.
 *  @param to  out; its records live in `arena` */
bool nm_linear_pack(nm_linear *to, const nm_linear *from, int first, nm_arena *arena);

/** What is to be known of the output of an operator at the point; arrays [size_out]. */
typedef struct nm_linear_part {
    const double *slope[2];     /* derivatives of an elementwise operator (NULL for absent inputs);
                                   [0] the shares of one with links */
    const int64_t *at;          /* links [size_out x n_links] */
    const double *chord, *rise; /* of a ReLU, as in nm_passed; may be NULL */
    const double *source[NM_N_SOURCES];
    const double *radius;
} nm_linear_part;

/** Keeps those elements of an operator's output that something comes from.
 *  @param k  the operator; -1 = the network's input */
bool nm_linear_add(nm_linear *l, int k, const nm_linear_part *part);

/** Radii of a value that have become known better. */
void nm_linear_set_radius(nm_linear *l, int value, const double *radius);

/** Carries rows backward. They end at summaries.
 *  @param n        rows, at most NM_MAX_ROWS
 *  @param value    where they begin
 *  @param element  [n_seeds] ...
 *  @param row      [n_seeds] ... row `row[i]` begins with factor[i] at element[i]
 *  @param n_fans   layers to pass at most (those that rows reach); the radii count where the rows
 *                  then stand. INT_MAX: to the input
 *  @param n_models 1 = the rigorous bound only
 *  @param bound    out, [n_models][NM_MAX_ROWS] */
typedef struct nm_carry {
    int n, value, n_seeds;
    const int32_t *element, *row;
    const float *factor;
    int n_fans, n_models;
    int falls_from;  /* rows from this one on: the rigorous bound is on their fall only */
    nm_arena *arena; /* scratch */

    /* For summaries, out: instead of sums the rows as they pass the kept elements, each a column,
       and what a model weighs it by; NULL = sums. */
    float *columns;                      /* [n_columns x column_width] */
    float *const *column_weight;         /* [n_models] [n_columns] */
    int64_t column_width, *first_column; /* [n_values] of a value's first
 element; -1 = it has no sources */
} nm_carry;

bool nm_linear_carry(nm_linear *l, const nm_carry *c, double bound[][NM_MAX_ROWS]);

/** Sums up what the elements of a value may be off by, together.
 *  @param scratch, rows  two arenas; what was in the second is lost */
bool nm_linear_summarise(nm_linear *l, int value, nm_arena *scratch, nm_arena *rows);

#endif
