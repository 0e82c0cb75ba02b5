/* The edited layers as matrices: the form of an edit that metrics and structured rows work on.
 *
 * Layer b changes by D [n_out x width]: its weights side by side with its biases as one more column
 * (whichever of the two are free). Behind it z = W' u with u = (alpha times what the place sees,
 * beta), so that a quantity with adjoint g at z has the gradient sum over places of g u' . */
#ifndef NM_PROBLEM_EDIT_H
#define NM_PROBLEM_EDIT_H

#include "problem/tail.h"

typedef struct nm_edit {
    int layer, op;
    nm_matrix_form form;
    int weight, bias; /* indices of the blocks in params, -1 = not free */
    int64_t width;    /* columns of D */
    bool fixed_input; /* what it sees does not depend on the edit */
} nm_edit;

typedef struct nm_edits {
    const nm_net *net;       /* lent; any clone of it will do */
    const nm_params *params; /* lent */
    nm_edit *at;
    int n;
} nm_edits;

/** Lists the edited layers. *out = NULL if the edit is not of this form: single parameters masked
 *  out, layers that are no matrices (grouped convolutions, normalisation). */
nm_status nm_edits_new(const nm_net *net, const nm_params *params, const nm_tail_marks *marks,
                       nm_edits **out, nm_err *err);
void nm_edits_free(nm_edits *edits);

/** Values per point of u, and of g, of one layer. */
int64_t nm_edit_seen(const nm_edit *edit);
int64_t nm_edit_emitted(const nm_edit *edit);

/** u [n x places x width] of n points of a tape (at->val of the layer's input, from `first` on). */
nm_status nm_edit_see(const nm_ctx *ctx, const nm_edits *edits, int b, const nm_tape *at,
                      int64_t first, int64_t n, double *u, nm_err *err);

/** g [n x places x n_out] from the adjoints of a tape at the layer's output. */
nm_status nm_edit_emit(const nm_ctx *ctx, const nm_edits *edits, int b, const nm_tape *adjoint,
                       int64_t n, double *g, nm_err *err);

/** Layer b's part of d [params->n] as the matrix D, and back. */
void nm_edit_from_params(const nm_edits *edits, int b, const double *d, double *matrix);
void nm_edit_to_params(const nm_edits *edits, int b, const double *matrix, double *d);

#endif
