/* The Mersenne Twister and the draws that numpy's RandomState makes from it, so that data sets
   defined by a numpy seed can be made here. For everything else use base/rng.h.
   Source: Matsumoto & Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform
   pseudo-random number generator" (ACM TOMACS 8, 1998), with the seeding of their 2002 revision. */
#ifndef NM_BASE_MT19937_H
#define NM_BASE_MT19937_H

#include <stdbool.h>
#include <stdint.h>

enum { NM_MT_STATE = 624 };

typedef struct nm_mt19937 {
    uint32_t state[NM_MT_STATE];
    int next;          /* word to hand out next; NM_MT_STATE = make new ones first */
    bool has_gauss;    /* the polar method gives normals in pairs: ... */
    double kept_gauss; /* ... the second one waits here */
} nm_mt19937;

void nm_mt_seed(nm_mt19937 *mt, uint32_t seed);

uint32_t nm_mt_u32(nm_mt19937 *mt);

/** Uniform in [0, 1), 53 bits of two words. */
double nm_mt_uniform(nm_mt19937 *mt);

/** Uniform in 0..max: masks a word, draws again while it is too large. */
uint32_t nm_mt_up_to(nm_mt19937 *mt, uint32_t max);

/** Standard normal by the polar method (Marsaglia & Bray, SIAM Review 6, 1964). */
double nm_mt_normal(nm_mt19937 *mt);

/** order[i] = i for 0 <= i < n, then shuffled in place from the back (Fisher & Yates);
 *  n <= 2^32. */
void nm_mt_permutation(nm_mt19937 *mt, int64_t *order, int64_t n);

#endif
