/* What lies behind one dense layer, as plain matrices. */
#ifndef NM_REPAIR_MINIMAL_TAIL_H
#define NM_REPAIR_MINIMAL_TAIL_H

#include "problem/edit.h"

/** a -> W a + b. */
typedef struct nm_min_layer {
    int64_t n_in, n_out;
    double *w; /* [n_out x n_in] */
    double *b; /* [n_out] */
} nm_min_layer;

/** scores = the layers, one after the other, each on the ReLU of what came before; before the
 *  first one: z = z0 + D u, the edited layer. */
typedef struct nm_min_tail {
    int n_layers;
    nm_min_layer *layers;
    int64_t n, width, n_edited; /* points, inputs (bias included) and outputs of the edited layer */
    const nm_params *params;
    nm_edits *edits;
    double *u;        /* [n x width] */
    double *z0;       /* [n x n_edited] */
    double *z0_error; /* [n x n_edited] how far z0 can be from what the layer gives in real
                         arithmetic for these inputs */
} nm_min_tail;

/** @param params  of the plan, which frees one whole dense layer (or its weights, or biases)
 *  @return NM_E_UNSUPPORTED for other nets and plans; the message says what stands in the way */
nm_status nm_min_tail_open(const nm_ctx *ctx, const nm_net *net, const nm_params *params,
                           const float *x, int64_t n, nm_min_tail *out, nm_err *err);
void nm_min_tail_close(nm_min_tail *tail);

/** Whether nm_min_tail_open() would do. */
nm_status nm_min_tail_check(const nm_net *net, const nm_params *params, nm_err *err);

/** True values behind the change D [n_edited x width] of point p.
 *  @param z  out, [n_edited], then for each layer its [n_out]: values before the ReLU; the last
 *            ones are the scores */
void nm_min_tail_run(const nm_min_tail *tail, const double *d, int64_t p, double *z);

/** Room for those, and how many of them are read by a ReLU. */
int64_t nm_min_tail_values(const nm_min_tail *tail);
int64_t nm_min_tail_neurons(const nm_min_tail *tail);

#endif
