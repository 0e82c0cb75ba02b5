#include "verify/combine.h"

#include <math.h>
#include <string.h>

#define ROUNDOFF 0x1p-53

static double reach(double lo, double hi)
{
    return fmax(fabs(lo), fabs(hi));
}

double nm_combine_least(const nm_combine *c, const double *y, double *joint, double *constant)
{
    double least = 0, size = 0;

    *constant = 0;
    for (int r = 0; r < c->m; r++) {
        *constant += y[r] * c->constant[r];
        size += fabs(y[r] * c->constant[r]);
    }
    least = *constant;
    for (int64_t j = 0; j < c->n; j++) {
        double a = 0, all = 0;

        for (int r = 0; r < c->m; r++) {
            a += y[r] * c->slope[r][j];
            all += fabs(y[r] * c->slope[r][j]);
        }
        joint[j] = a;
        least += a >= 0 ? a * c->lo[j] : a * c->hi[j];
        size += all * reach(c->lo[j], c->hi[j]);
    }
    size *= (double)(c->m + c->n + 16) * 2 * ROUNDOFF;
    *constant -= size;
    return least - size * (1 + 16 * ROUNDOFF) - 1e-250;
}

static double value(int64_t n, const double *a, const double *d, double t, const double *lo,
                    const double *hi)
{
    double sum = 0;

    for (int64_t j = 0; j < n; j++) {
        double w = a[j] + t * d[j];

        sum += w >= 0 ? w * lo[j] : w * hi[j];
    }
    return sum;
}

/* The best t in [0, most] for (1 - t) of the current weights plus t of row r: a concave function
   with breaks where a slope changes sign. */
static double step_towards(const nm_combine *c, const double *joint, double constant, int r,
                           double *gain)
{
    double d[NM_COMBINE_MOST], best = 0, start, at_best;
    double slope = c->constant[r] - constant;

    for (int64_t j = 0; j < c->n; j++)
        d[j] = c->slope[r][j] - joint[j];
    start = at_best = value(c->n, joint, d, 0, c->lo, c->hi);
    for (int64_t j = -1; j < c->n; j++) {
        double t = j < 0 ? 1 : -joint[j] / d[j], there;

        if (!(t > 0 && t <= 1))
            continue;
        there = value(c->n, joint, d, t, c->lo, c->hi) + t * slope;
        if (there > at_best) {
            at_best = there;
            best = t;
        }
    }
    *gain = at_best - start;
    return best;
}

double nm_combine_best(const nm_combine *c, double *y, double *joint, double *constant)
{
    double best = -(double)INFINITY;
    int at = 0;

    for (int r = 0; r < c->m; r++) {
        double least;

        memset(y, 0, (size_t)c->m * sizeof *y);
        y[r] = 1;
        least = nm_combine_least(c, y, joint, constant);
        if (least > best) {
            best = least;
            at = r;
        }
    }
    memset(y, 0, (size_t)c->m * sizeof *y);
    y[at] = 1;
    best = nm_combine_least(c, y, joint, constant);
    if (c->n > NM_COMBINE_MOST)
        return best;
    for (int round = 0; round < 4 * c->m && c->m > 1 && !(best > 0); round++) {
        double gain = 0, t = 0;
        int row = -1;

        for (int r = 0; r < c->m; r++) {
            double mine, step = step_towards(c, joint, *constant, r, &mine);

            if (mine > gain) {
                gain = mine;
                t = step;
                row = r;
            }
        }
        if (row < 0 || gain <= 1e-6 * fabs(best))
            break;
        for (int r = 0; r < c->m; r++)
            y[r] *= 1 - t;
        y[row] += t;
        best = nm_combine_least(c, y, joint, constant);
    }
    return best;
}

void nm_combine_clip(int64_t n, const double *joint, double least, const double *lo,
                     const double *hi, double *to_lo, double *to_hi)
{
    for (int64_t j = 0; j < n; j++) {
        double low = lo[j], high = hi[j];
        double room = joint[j] != 0 ? -least / fabs(joint[j]) * (1 + 1e-12) +
                                          8 * ROUNDOFF * reach(low, high)
                                    : (double)INFINITY;

        /* The rest of the sum is at least `least` minus this coordinate's part. */
        if (joint[j] > 0 && low + room < high)
            high = low + room;
        if (joint[j] < 0 && high - room > low)
            low = high - room;
        to_lo[j] = low;
        to_hi[j] = high;
    }
}
