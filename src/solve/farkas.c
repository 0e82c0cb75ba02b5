/* Checking proofs of infeasibility.
 *
 * For y >= 0 with c = A'y, every d in the box with A d >= h has h'y <= y'A d = c'd <= max c'd.
 * So h'y > max c'd excludes such a d (Farkas). The sums are formed with twofold working precision
 * (Ogita, Rump, Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26, 2005, algorithm
 * Dot2), because c_j is mostly 0 and the box may be huge. Their theorem 5.3 bounds the error by
 * u |result| + gamma_k^2 sum |terms|, u = 2^-53, gamma_k = k u / (1 - k u). */
#include <math.h>

#include "solve/master.h"

typedef struct dot2 {
    double high, low, magnitude;
    int64_t count;
} dot2;

static void dot2_add(dot2 *sum, double a, double b)
{
    double p = a * b, p_error = fma(a, b, -p);
    double s = sum->high + p, z = s - sum->high;
    double s_error = (sum->high - (s - z)) + (p - z);

    sum->high = s;
    sum->low += p_error + s_error;
    sum->magnitude += fabs(p);
    sum->count++;
}

static double dot2_error(const dot2 *sum)
{
    double gamma = 2 * (double)(sum->count + 1) * 0x1p-53;

    return 0x1p-52 * fabs(sum->high + sum->low) + gamma * gamma * sum->magnitude + 0x1p-1000;
}

/* max over the interval of column j of c d, outward. */
static double column_maximum(const nm_master_spec *spec, int64_t j, const dot2 *c)
{
    double value = c->high + c->low, error = dot2_error(c);
    double up = spec->hi && isfinite(spec->hi[j]) ? spec->hi[j] : NM_PROOF_BOX;
    double down = spec->lo && isfinite(spec->lo[j]) ? -spec->lo[j] : NM_PROOF_BOX;

    return fmax(fmax((value + error) * up, (error - value) * down), 0);
}

enum { BLOCK = 64 }; /* columns at a time, so that rows are read in stretches */

static void add_block_maxima(const nm_master_spec *spec, int64_t m, const double *a,
                             const double *y, int64_t first, dot2 *sum)
{
    dot2 c[BLOCK] = {{0}};
    int64_t count = spec->n - first < BLOCK ? spec->n - first : BLOCK;

    for (int64_t r = 0; r < m; r++) {
        for (int64_t j = 0; j < count && y[r] > 0; j++)
            dot2_add(&c[j], a[r * spec->n + first + j], y[r]);
    }
    for (int64_t j = 0; j < count; j++)
        dot2_add(sum, 1, column_maximum(spec, first + j, &c[j]));
}

double nm_farkas_excess(const nm_master_spec *spec, int64_t m, const double *a, const double *h,
                        const double *y)
{
    dot2 left = {0}, right = {0};

    for (int64_t r = 0; r < m; r++) {
        if (y[r] > 0)
            dot2_add(&left, h[r], y[r]);
    }
    for (int64_t first = 0; first < spec->n; first += BLOCK)
        add_block_maxima(spec, m, a, y, first, &right);
    return (left.high + left.low - dot2_error(&left)) -
           (right.high + right.low + dot2_error(&right));
}
