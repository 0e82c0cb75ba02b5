/* What a repair asks of points where nobody said how much. */
#ifndef NM_REPAIR_WISH_H
#define NM_REPAIR_WISH_H

/** With the function norm, points become right by some share of how sure the network usually is (of
 *  the median distance between the two best scores of the reference data): those data see to it
 *  that this costs little, and points like them profit (MNIST in fog). */
static const double NM_WISHED_MARGIN = 0.045;

#endif
