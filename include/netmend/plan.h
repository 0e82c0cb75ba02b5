/* Edit plans: which parameters a repair may change, and by how much. */
#ifndef NETMEND_PLAN_H
#define NETMEND_PLAN_H

#include "netmend/net.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nm_plan nm_plan;

typedef enum nm_free { NM_FREE_ALL, NM_FREE_WEIGHTS, NM_FREE_BIASES } nm_free_kind;

/** An empty plan for this net (which must outlive it): nothing may change, no bounds.
 *  Free with nm_plan_free(). */
NM_API nm_status nm_plan_new(const nm_net *net, nm_plan **out, nm_err *err);
NM_API void nm_plan_free(nm_plan *plan);

/** Marks weights and/or biases of a layer. Of the first marked layer both can act; of later ones
 *  only the biases can (their weights would make the problem nonlinear), the weights stay inert.
 *  @return NM_E_ARG if the layer does not exist or must not be edited (the message says why) */
NM_API nm_status nm_plan_mark(nm_plan *plan, int layer, nm_free_kind what, nm_err *err);

/** Marks what a text names: "2", "-1", "last", an ONNX node name, "K.." (K and later), "all", or
 *  several of these with commas between them, which makes the plan joint. */
NM_API nm_status nm_plan_mark_text(nm_plan *plan, const char *text, nm_free_kind what, nm_err *err);

/** Marks single parameters: entries with mask[i] != 0. Order is that of the stored tensor.
 *  @param bias  the layer's biases rather than its weights
 *  @param mask  [n], n must be the layer's n_weights or n_biases */
NM_API nm_status nm_plan_mark_mask(nm_plan *plan, int layer, bool bias, const uint8_t *mask,
                                   int64_t n, nm_err *err);

/** Marks from an .npz whose arrays are called "<layer>.weight" and "<layer>.bias" (layer = index
 *  or node name; numbers, nonzero = may change; as many elements as the layer has). */
NM_API nm_status nm_plan_mark_file(nm_ctx *ctx, nm_plan *plan, const char *path, nm_err *err);

/** Bounds on the change of every marked parameter, lo <= 0 <= hi; -INFINITY, INFINITY = none. */
NM_API nm_status nm_plan_set_bounds(nm_plan *plan, double lo, double hi, nm_err *err);

/** Frees the weights of all marked layers, not only of the first. The problem is nonlinear then,
 * and is solved by accumulated steps (NM_METHOD_POINTWISE only). */
NM_API void nm_plan_set_joint(nm_plan *plan, bool joint);

/** Parameters that are marked, and those of them that can act. */
NM_API int64_t nm_plan_n_marked(const nm_plan *plan);
NM_API int64_t nm_plan_n_free(const nm_plan *plan);

/** Whether any parameter of the layer can act. */
NM_API bool nm_plan_edits(const nm_plan *plan, int layer);

#ifdef __cplusplus
}
#endif
#endif
