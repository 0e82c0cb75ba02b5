#include "base/rng.h"

#include <math.h>

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t nm_rng_u64(nm_rng *rng)
{
    return mix(mix(mix(rng->seed) ^ rng->stream) ^ rng->index++);
}

double nm_rng_uniform(nm_rng *rng)
{
    return (double)(nm_rng_u64(rng) >> 11) * 0x1p-53;
}

uint64_t nm_rng_below(nm_rng *rng, uint64_t n)
{
    /* Values below 2^64 mod n would make small results likelier: draw again. */
    uint64_t reject_below = (0 - n) % n;
    uint64_t draw;

    do
        draw = nm_rng_u64(rng);
    while (draw < reject_below);
    return draw % n;
}

double nm_rng_normal(nm_rng *rng)
{
    double u = 1.0 - nm_rng_uniform(rng); /* in (0, 1]: its logarithm is finite */
    double angle = 6.283185307179586 * nm_rng_uniform(rng);

    return sqrt(-2.0 * log(u)) * cos(angle);
}
