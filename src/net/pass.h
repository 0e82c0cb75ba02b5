/* Going through the operators of a net for many points, in parallel over blocks of points.
 *
 * The blocks depend on the net alone, never on the number of threads, and no two blocks share
 * results: any number of threads gives the same bits. */
#ifndef NM_NET_PASS_H
#define NM_NET_PASS_H

#include "base/ctx.h"
#include "net/arena.h"
#include "net/op.h"

/** Called for one operator and the points first .. first + ex->n - 1. */
typedef void (*nm_visit)(const nm_exec *ex, int64_t first, void *user);

typedef struct nm_pass {
    const nm_net *net;
    int64_t n;           /* points */
    const bool *op_mask; /* [n_ops] operators to visit; NULL = all */
    bool reverse;        /* from the output to the input */
    bool plain;          /* plain loops instead of BLAS */
    nm_visit visit;
    void *user;
} nm_pass;

/** Visits operators in order (or reverse order) for every block of points.
 *  @return NM_E_CANCELLED / NM_E_LIMIT when the context says stop, NM_E_NOMEM from scratch */
nm_status nm_pass_run(const nm_ctx *ctx, const nm_pass *pass, nm_err *err);

/** Points in one block. */
int64_t nm_pass_block(const nm_net *net);

/** Runs body(user, first point, number of points, arena) over blocks in parallel: the
 *  loop under nm_pass_run(), for work that is not one visit per operator. */
typedef nm_status (*nm_block_body)(void *user, int64_t first, int64_t n, nm_arena *arena);
nm_status nm_blocks_run(const nm_ctx *ctx, int64_t n, int64_t block, nm_block_body body, void *user,
                        nm_err *err);

/** The arrays of one operator's inputs, shifted to point `first`.
 *  @param arrays  [n_values] each [n x size]; entries of constants are not looked at
 *  @param in      out, [op->n_in]; constants: their tensor; absent inputs: NULL */
void nm_op_inputs(const nm_net *net, const nm_op *op, double *const *arrays, int64_t first,
                  const double **in);

/** The same for arrays in which constants have no entry (tangents, adjoints, error radii): NULL
 *  there. */
void nm_op_partners(const nm_net *net, const nm_op *op, double *const *arrays, int64_t first,
                    double **out);

#endif
