/* Measuring a classifier on labelled points. */
#ifndef NETMEND_EVAL_H
#define NETMEND_EVAL_H

#include "netmend/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Result of nm_evaluate(). Free its arrays with nm_eval_report_free(). */
typedef struct nm_eval_report {
    int64_t n;            /**< points */
    int64_t n_right;      /**< argmax (first of equals) is the label; -1 without labels */
    double accuracy;      /**< n_right / n; NAN without labels */
    double loss;          /**< mean cross entropy of softmax(scores); NAN without labels */
    int64_t n_classes;    /**< outputs of the network */
    int64_t *class_n;     /**< [n_classes] points with this label (NULL without labels) */
    int64_t *class_right; /**< [n_classes] of them classified right */
    int64_t *predicted;   /**< [n] as nm_predict() */
    double seconds;       /**< wall time of the forward passes */
} nm_eval_report;

/** Evaluates the network in float32 (or float64 when asked).
 *  @param outputs  [n x n_out] caller's buffer for the network's outputs, or NULL */
NM_API nm_status nm_evaluate(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                             bool in_float64, float *outputs, nm_eval_report *out, nm_err *err);
NM_API void nm_eval_report_free(nm_eval_report *report);

/** Predicted class of each point: index of the largest score, the first of equals; -1 where a score
 *  is not a number.
 *  @param classes  [n], caller's buffer */
NM_API nm_status nm_predict(nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                            int64_t *classes, nm_err *err);

#ifdef __cplusplus
}
#endif
#endif
