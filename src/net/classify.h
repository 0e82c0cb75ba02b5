/* What the scores of a classifier mean at one point. */
#ifndef NM_NET_CLASSIFY_H
#define NM_NET_CLASSIFY_H

#include <stdint.h>

/** Index of the largest score, the first of equals; n >= 1. */
int64_t nm_argmax(const double *scores, int64_t n);

/** Cross entropy -log(softmax(scores)[label]), without overflow for any finite scores.
 *  @param gradient  out, [n]: its derivative, softmax(scores) - unit(label); may be NULL or be
 *                   `scores` itself
 *  @return not finite only if a score is not or the loss itself exceeds the range of double */
double nm_cross_entropy(const double *scores, int64_t n, int64_t label, double *gradient);

#endif
