/* A proof that a box holds no unsafe input: how it was split, and how parts were closed.
 *
 * Nodes stand in preorder: a node, then its first child with all below it, then its second. At each
 * node the bounds of neurons are those of its box, and of its parent's. For every case that is open
 * there `numbers` holds, in order:
 *     n          points
 *     n * n_in   the points, whose ReLU give lower slopes of more lines of each row
 *     m (1 + n)  weights of all lines: of the m rows, then of the rows again for each point
 * The case is closed where the weighted sum of the lines, or one of the lines, is > 0 throughout;
 * else its unsafe points lie where all of these are <= 0, and the node's box shrinks to the hull of
 * that over its open cases. */
#ifndef NM_VERIFY_REGION_PROOF_H
#define NM_VERIFY_REGION_PROOF_H

#include "base/ctx.h"
#include "net/graph.h"
#include "spec/property.h"

typedef enum nm_proof_step_kind {
    NM_PROOF_CLOSED,
    NM_PROOF_AGAIN, /* one child: what is left of the box */
    NM_PROOF_SPLIT  /* two: x[dim] <= at, x[dim] >= at */
} nm_proof_step_kind;

typedef struct nm_proof_step {
    nm_proof_step_kind kind;
    int64_t dim;
    double at;
    int64_t first, n; /* of `numbers` */
} nm_proof_step;

/** Either a tree of boxes (n_steps > 0), or of signs of neurons: three streams, read side by side.
 *
 *     scope:  i: n, then n open neurons, ascending
 *             i: n, then n times:  i: neuron, side (0 = its z from below, 1 = from above)
 *                                  f: a multiplier for each sign given in the scope
 *                                  b: a slope for each open neuron of layers before
 *             for each case open there:  i: 1 and a tree, or 0: it stays open
 *             if any stays open:  i: neuron;  scope (z <= 0), scope (z >= 0)
 *     tree:   i: neuron;  tree (z <= 0), tree (z >= 0)
 *             or i: -1;   f: a weight for each row of the case, a multiplier for each sign given
 *                         b: a slope for each open neuron
 *             or i: -2;   no input has these signs: bounds of a neuron exclude each other
 *
 *  Neurons are counted layer after layer, without the input. A slope is a byte / 255. A multiplier
 *  times z is taken off where z >= 0 was given, and added where z <= 0 was. Bounds of neurons hold
 *  from there on, also for the scopes within. */
typedef struct nm_region_proof {
    nm_proof_step *steps;
    int64_t n_steps;
    double *numbers;
    int64_t n_numbers;
    int32_t *ints;
    int64_t n_ints, room_ints;
    float *floats;
    int64_t n_floats, room_floats;
    unsigned char *bytes;
    int64_t n_bytes, room_bytes;
    bool incomplete; /* memory ran out */
} nm_region_proof;

void nm_proof_int(nm_region_proof *p, int32_t v);
void nm_proof_float(nm_region_proof *p, float v);
void nm_proof_byte(nm_region_proof *p, unsigned char v);

/** Frees what it holds. */
void nm_region_proof_clear(nm_region_proof *proof);

void nm_region_proof_free(nm_region_proof *proof);

/** Checks a proof for one box of a property, with code of its own (check_bound.h), in real
 *  arithmetic. Uses the threads of ctx.
 *  @return NM_OK if it holds; NM_E_ARG with the reason if it does not; NM_E_UNSUPPORTED for
 * networks that are no chains; NM_E_CANCELLED, NM_E_LIMIT, NM_E_NOMEM */
nm_status nm_check_region_proof(nm_ctx *ctx, const nm_net *net, const nm_property *property,
                                int64_t box, const nm_region_proof *proof, nm_err *err);

#endif
