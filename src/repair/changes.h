/* Changes of whole layers: what methods hand over that edit several layers, of which most stay as
 * they are. Memory goes with the edited layers, not with the network. */
#ifndef NM_REPAIR_CHANGES_H
#define NM_REPAIR_CHANGES_H

#include "netmend/repair.h"
#include "problem/plan.h"

typedef struct nm_changes {
    int n_layers;
    double **weights; /* [n_layers] what is added to the layer's weights [n_weights], in the order
                         of the stored tensor; NULL = nothing */
    double **biases;  /* [n_layers] the same for biases */
} nm_changes;

nm_status nm_changes_new(const nm_net *net, nm_changes *out, nm_err *err);
void nm_changes_clear(nm_changes *changes);

/** Makes `to` equal to `from` (both of one net); layers lo .. hi only. */
nm_status nm_changes_copy(const nm_net *net, const nm_changes *from, int lo, int hi, nm_changes *to,
                          nm_err *err);

/** Gives layer `layer` of `net` (a clone of base) the parameters of base and the changes. */
nm_status nm_changes_apply(const nm_net *base, const nm_changes *changes, int layer, nm_net *net,
                           nm_err *err);

/** The norm of all changes together. @param l1_weight  of sum |v| in NM_NORM_LINF_L1N
 *  NM_NORM_FUNCTION is none of these: NAN. */
double nm_changes_norm(const nm_net *net, const nm_changes *changes, nm_norm norm,
                       double l1_weight);

/** Multiplies all changes. */
void nm_changes_scale(const nm_net *net, nm_changes *changes, double by);

/** Smallest and largest change of a parameter, 0 included. */
void nm_changes_range(const nm_net *net, const nm_changes *changes, double *lo, double *hi);

/** delta [params->n] = the changes of the parameters listed; others must not have changed. */
void nm_changes_to_params(const nm_net *net, const nm_changes *changes, const nm_params *params,
                          double *delta);

#endif
