/* Dense layers whose inputs are copies of fewer numbers: behind a pool that has more outputs than
 * inputs (AlexNet on small images: 9,216 copies of 256 numbers). Evaluating them in float32 takes
 * the weights of the copies together. */
#ifndef NM_NET_COPIES_H
#define NM_NET_COPIES_H

#include "net/partial.h"

typedef struct nm_copies {
    float *folded; /* [n_out x n]; NULL: the layer takes its inputs as they are */
    int64_t n;
    int source;  /* value that the numbers are */
    int copying; /* operator that need not run */
} nm_copies;

/** Looks whether operator k of a partial evaluation is such a layer. Free folded with nm_free(). */
nm_status nm_copies_find(const nm_partial *partial, int k, nm_copies *out, nm_err *err);

#endif
