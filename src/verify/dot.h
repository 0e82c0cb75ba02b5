/* Sums of products as if in doubled precision, with a bound on what is still missing.
 * Source: Ogita, Rump, Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26 (2005),
 * algorithm 5.3 (Dot2); the error is at most u |result| + gamma_n^2 sum |terms|, u = 2^-53. */
#ifndef NM_VERIFY_DOT_H
#define NM_VERIFY_DOT_H

#include <math.h>

typedef struct nm_dot {
    double high, low, size, count;
} nm_dot;

static inline void nm_dot_add(nm_dot *s, double a, double b)
{
    double product = a * b, product_error = fma(a, b, -product);
    double total = s->high + product, part = total - s->high;

    s->low += product_error + ((s->high - (total - part)) + (product - part));
    s->high = total;
    s->size += fabs(product);
    s->count += 1;
}

static inline double nm_dot_error(const nm_dot *s)
{
    double gamma = (s->count + 2) * 0x1p-52;

    return 0x1p-52 * fabs(s->high + s->low) + gamma * gamma * s->size + 0x1p-900;
}

/** A number that the exact sum does not fall below, or exceed. */
static inline double nm_dot_at_least(const nm_dot *s)
{
    return s->high + s->low - nm_dot_error(s);
}

static inline double nm_dot_at_most(const nm_dot *s)
{
    return s->high + s->low + nm_dot_error(s);
}

#endif
