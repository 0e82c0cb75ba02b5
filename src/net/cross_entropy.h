/* The loss of a classifier at one point. */
#ifndef NM_NET_CROSS_ENTROPY_H
#define NM_NET_CROSS_ENTROPY_H

#include <stdint.h>

/** -log(softmax(scores)[label]), without overflow for any finite scores.
 *  @param scores    [n], n >= 1
 *  @param gradient  out, [n]: its derivative, softmax(scores) - unit(label); may be NULL or be
 *                   `scores` itself
 *  @return not finite only if a score is not or the loss itself exceeds the range of double */
double nm_cross_entropy(const double *scores, int64_t n, int64_t label, double *gradient);

#endif
