#include "base/mt19937.h"

#include <math.h>

enum { SHIFT_SIZE = 397 }; /* m of the paper; n is NM_MT_STATE */

void nm_mt_seed(nm_mt19937 *mt, uint32_t seed)
{
    mt->state[0] = seed;
    for (uint32_t i = 1; i < NM_MT_STATE; i++)
        mt->state[i] = 1812433253u * (mt->state[i - 1] ^ (mt->state[i - 1] >> 30)) + i;
    mt->next = NM_MT_STATE;
    mt->has_gauss = false;
}

/* Paper, Eq. (2.1): upper bit of one word, the rest of the following one, times the twist matrix.
   Words behind the present one are of the new generation already, as the recurrence wants. */
static void make_words(uint32_t *x)
{
    for (int k = 0; k < NM_MT_STATE; k++) {
        uint32_t y = (x[k] & 0x80000000u) | (x[(k + 1) % NM_MT_STATE] & 0x7fffffffu);

        x[k] = x[(k + SHIFT_SIZE) % NM_MT_STATE] ^ (y >> 1) ^ ((y & 1u) ? 0x9908b0dfu : 0u);
    }
}

uint32_t nm_mt_u32(nm_mt19937 *mt)
{
    if (mt->next == NM_MT_STATE) {
        make_words(mt->state);
        mt->next = 0;
    }

    /* Tempering, Eq. (2.2) to (2.5). */
    uint32_t y = mt->state[mt->next++];

    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

double nm_mt_uniform(nm_mt19937 *mt)
{
    uint32_t high = nm_mt_u32(mt) >> 5, low = nm_mt_u32(mt) >> 6; /* 27 and 26 bits */

    return ((double)high * 0x1p26 + (double)low) * 0x1p-53;
}

uint32_t nm_mt_up_to(nm_mt19937 *mt, uint32_t max)
{
    uint32_t mask = max, draw;

    if (max == 0)
        return 0; /* without a draw, as numpy does */
    for (int shift = 1; shift < 32; shift *= 2)
        mask |= mask >> shift;
    do
        draw = nm_mt_u32(mt) & mask;
    while (draw > max);
    return draw;
}

double nm_mt_normal(nm_mt19937 *mt)
{
    double u, v, r2;

    if (mt->has_gauss) {
        mt->has_gauss = false;
        return mt->kept_gauss;
    }
    do {
        u = 2.0 * nm_mt_uniform(mt) - 1.0;
        v = 2.0 * nm_mt_uniform(mt) - 1.0;
        r2 = u * u + v * v;
    } while (r2 >= 1.0 || r2 == 0.0);

    double stretch = sqrt(-2.0 * log(r2) / r2);

    mt->kept_gauss = stretch * u;
    mt->has_gauss = true;
    return stretch * v;
}

void nm_mt_permutation(nm_mt19937 *mt, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = nm_mt_up_to(mt, (uint32_t)i);
        int64_t kept = order[i];

        order[i] = order[j];
        order[j] = kept;
    }
}
