/* Where two nets begin to differ. */
#ifndef NM_NET_DIFFERENCE_H
#define NM_NET_DIFFERENCE_H

#include "net/graph.h"

/** First operator whose constants differ (to the bit) between two nets of equal structure; n_ops if
 *  none does, 0 if the structures differ. What operators in front of it give is the same in both.
 *  Cost: constants that the nets share are not looked at. */
int nm_first_difference(const nm_net *a, const nm_net *b);

#endif
