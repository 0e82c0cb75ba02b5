/* Counter-based random numbers: a value is a function of (seed, stream, index), so results
   do not depend on the order or the number of threads in which they are drawn. */
#ifndef NM_BASE_RNG_H
#define NM_BASE_RNG_H

#include <stdint.h>

/** Position in one stream; copy it freely. */
typedef struct nm_rng {
    uint64_t seed, stream, index;
} nm_rng;

/** 64 random bits; advances the index by one.
 *  Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014),
 *  the finaliser with Stafford's constants, applied to seed, stream and index in turn. */
uint64_t nm_rng_u64(nm_rng *rng);

/** Uniform in [0, 1), 53 bits. */
double nm_rng_uniform(nm_rng *rng);

/** Uniform in 0..n-1 without bias; n >= 1. */
uint64_t nm_rng_below(nm_rng *rng, uint64_t n);

/** Standard normal (Box-Muller; uses two draws). */
double nm_rng_normal(nm_rng *rng);

#endif
