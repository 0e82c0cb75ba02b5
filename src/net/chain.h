/* Networks without branches, built here rather than read from a file. */
#ifndef NM_NET_CHAIN_H
#define NM_NET_CHAIN_H

#include "net/graph.h"

/** Dense layers with ReLU between them, all parameters zero; set them with nm_net_set_layer().
 *  Input "input" [1 x widths[0]] with a symbolic batch, output "logits"; layer k is the node
 * "fc<k>" with constants "fc<k>.weight" [widths[k+1] x widths[k]] and "fc<k>.bias".
 *  @param widths    [n_layers + 1], inputs, hidden widths, outputs; each >= 1
 *  @param n_layers  >= 1
 *  @return NM_E_SHAPE when a layer has more than NM_MAX_ELEMENTS weights */
nm_status nm_net_new_chain(const int64_t *widths, int n_layers, nm_net **out, nm_err *err);

#endif
