/* Facets shared by piecewise linear functions of one element: ReLU and its relatives, Clip, Abs.
 *
 * Such a function has up to two breaks b_0 < b_1 and a slope on each side of them. At a break the
 * right piece counts (so ReLU at 0 is on). All facets but forward and local_error follow from the
 * breaks and slopes; a break b gives one pin per element: z >= b or z <= b. */
#ifndef NM_NET_OP_PIECES_H
#define NM_NET_OP_PIECES_H

#include "net/op.h"

typedef struct nm_pieces {
    int n_breaks;    /* 0 to 2, the same for all elements of an operator */
    double at[2];    /* ascending */
    double slope[3]; /* slope[i] left of at[i], slope[n_breaks] right of all */
} nm_pieces;

/** The family of a kind that uses these facets. */
typedef struct nm_pieces_family {
    /** The function applied to one element of the output. */
    nm_pieces (*pieces)(const nm_net *net, const nm_op *op, int64_t element);
    bool per_element; /* it depends on the element (PReLU) */
} nm_pieces_family;

void nm_pieces_jvp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *din, double *dout);
void nm_pieces_vjp(const nm_exec *ex, const double *const *in, const double *out,
                   const double *dout, double *const *din);
int64_t nm_pieces_n_pins(const nm_net *net, const nm_op *op);
nm_pin nm_pieces_pin(const nm_net *net, const nm_op *op, const double *z, int64_t k);
void nm_pieces_spread(const nm_exec *ex, const double *const *in, const double *out,
                      const double *const *r, double *s);
void nm_pieces_residual(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *q);
void nm_pieces_reach(const nm_exec *ex, const double *z, const double *r, const bool *matters_out,
                     bool *matters_in);

/** All facets of the family, for the kind's table. */
#define NM_PIECES_FACETS                                                                           \
    .infer = nm_infer_same, .jvp = nm_pieces_jvp, .vjp = nm_pieces_vjp,                            \
    .n_pins = nm_pieces_n_pins, .pin = nm_pieces_pin, .spread = nm_pieces_spread,                  \
    .residual = nm_pieces_residual, .elementwise = true, .reach = nm_pieces_reach

#endif
