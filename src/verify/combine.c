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

/* -- the program ------------------------------------------------------------------------------
 *
 *     min t,  t = f_r(x) + s_r,  s_r >= 0,  x = lo + (hi - lo) u,  0 <= u <= 1.
 *
 * Variables 0 .. n-1 are u, n .. n+m-1 the slacks s. Basic variables and t are affine in the n + 1
 * others, which are at 0 or (u only) at 1. */

enum { MOST = NM_COMBINE_MOST };

struct program {
    int m, n;
    double d[MOST][MOST + 1]; /* [m] basic variables; row m - 1 is t */
    double value[MOST];       /* of these */
    int basic[MOST], other[MOST + 1];
    bool at_1[MOST + 1];
};

static double most_of(const struct program *p, int variable)
{
    return variable < p->n ? 1 : (double)INFINITY;
}

/* Start at a corner: t is the largest f_r there, whose slack is not basic. */
static void open_program(struct program *p, const nm_combine *c, int start)
{
    double f[MOST];
    int largest = 0, row = 0;

    p->m = c->m;
    p->n = (int)c->n;
    for (int j = 0; j < p->n; j++) {
        p->other[j] = j;
        p->at_1[j] = c->slope[start][j] < 0;
    }
    for (int r = 0; r < p->m; r++) {
        f[r] = c->constant[r];
        for (int j = 0; j < p->n; j++)
            f[r] += c->slope[r][j] * (p->at_1[j] ? c->hi[j] : c->lo[j]);
        if (f[r] > f[largest])
            largest = r;
    }
    p->other[p->n] = p->n + largest;
    p->at_1[p->n] = false;
    for (int r = 0; r < p->m; r++) { /* s_r = t - f_r = f_largest + s_largest - f_r */
        int to = r == largest ? p->m - 1 : row++;

        for (int j = 0; j < p->n; j++)
            p->d[to][j] = (c->slope[largest][j] - (r == largest ? 0 : c->slope[r][j])) *
                          (c->hi[j] - c->lo[j]);
        p->d[to][p->n] = 1;
        p->basic[to] = p->n + r;
        p->value[to] = f[largest] - (r == largest ? 0 : f[r]);
    }
}

/* The variable that lowers t fastest; after many steps the first one (Bland). */
static int entering(const struct program *p, bool first)
{
    double best = 1e-12;
    int at = -1;

    for (int k = 0; k <= p->n; k++) {
        double gain = p->at_1[k] ? p->d[p->m - 1][k] : -p->d[p->m - 1][k];

        if (gain > best) {
            best = gain;
            at = k;
            if (first)
                break;
        }
    }
    return at;
}

static void pivot(struct program *p, int row, int k)
{
    double by = p->d[row][k];
    int variable = p->basic[row];

    p->basic[row] = p->other[k];
    p->other[k] = variable;
    for (int j = 0; j <= p->n; j++)
        p->d[row][j] = (j == k ? 1 : -p->d[row][j]) / by;
    for (int i = 0; i < p->m; i++) {
        double factor = p->d[i][k];

        if (i == row || factor == 0)
            continue;
        p->d[i][k] = 0;
        for (int j = 0; j <= p->n; j++)
            p->d[i][j] += factor * p->d[row][j];
    }
}

/* Moves variable k as far as it goes. False when nothing stops it. */
static bool advance(struct program *p, int k)
{
    double sign = p->at_1[k] ? -1 : 1, most = most_of(p, p->other[k]);
    int row = -1;
    bool to_1 = false;

    for (int i = 0; i + 1 < p->m; i++) {
        double speed = sign * p->d[i][k], room;

        if (fabs(speed) < 1e-11)
            continue;
        room = speed < 0 ? p->value[i] / -speed : (most_of(p, p->basic[i]) - p->value[i]) / speed;
        if (room < most) {
            most = fmax(room, 0);
            row = i;
            to_1 = speed > 0;
        }
    }
    if (!isfinite(most))
        return false;
    for (int i = 0; i < p->m; i++)
        p->value[i] += sign * most * p->d[i][k];
    if (row < 0) {
        p->at_1[k] = !p->at_1[k];
        return true;
    }
    p->value[row] = (p->at_1[k] ? 1 : 0) + sign * most; /* of the entering variable */
    pivot(p, row, k);
    p->at_1[k] = to_1;
    return true;
}

static void read_program(const struct program *p, const nm_combine *c, double *y, double *x)
{
    double sum = 0;

    memset(y, 0, (size_t)c->m * sizeof *y);
    for (int k = 0; k <= p->n; k++)
        if (p->other[k] >= p->n)
            y[p->other[k] - p->n] = fmax(0, p->d[p->m - 1][k]);
    for (int r = 0; r < c->m; r++)
        sum += y[r];
    for (int r = 0; r < c->m && sum > 0; r++)
        y[r] /= sum;
    if (!x)
        return;
    for (int k = 0; k <= p->n; k++)
        if (p->other[k] < p->n)
            x[p->other[k]] = p->at_1[k] ? c->hi[p->other[k]] : c->lo[p->other[k]];
    for (int i = 0; i + 1 < p->m; i++)
        if (p->basic[i] < p->n) {
            int j = p->basic[i];

            x[j] = c->lo[j] + (c->hi[j] - c->lo[j]) * p->value[i];
        }
}

static double single_best(const nm_combine *c, double *y, double *joint, double *constant, int *at)
{
    double best = -(double)INFINITY;

    *at = 0;
    for (int r = 0; r < c->m; r++) {
        double least;

        memset(y, 0, (size_t)c->m * sizeof *y);
        y[r] = 1;
        least = nm_combine_least(c, y, joint, constant);
        if (least > best) {
            best = least;
            *at = r;
        }
    }
    memset(y, 0, (size_t)c->m * sizeof *y);
    y[*at] = 1;
    return nm_combine_least(c, y, joint, constant);
}

double nm_combine_best(const nm_combine *c, double *y, double *joint, double *constant, double *x)
{
    struct program p;
    int start;
    double best = single_best(c, y, joint, constant, &start), mine;

    for (int64_t j = 0; x && j < c->n; j++)
        x[j] = joint[j] < 0 ? c->hi[j] : c->lo[j];
    if (c->m == 1 || c->n > MOST || c->m > MOST || best > 0 || !isfinite(best))
        return best;
    open_program(&p, c, start);
    for (int step = 0; step < 200; step++) {
        int k = entering(&p, step > 50);

        if (k < 0 || !advance(&p, k))
            break;
    }
    read_program(&p, c, y, x);
    mine = nm_combine_least(c, y, joint, constant);
    return mine >= best ? mine : single_best(c, y, joint, constant, &start);
}

bool nm_combine_cut(int64_t n, const double *slope, double constant, double *lo, double *hi)
{
    double least = constant, size = fabs(constant);

    for (int64_t j = 0; j < n; j++) {
        least += slope[j] >= 0 ? slope[j] * lo[j] : slope[j] * hi[j];
        size += fabs(slope[j]) * reach(lo[j], hi[j]);
    }
    least -= (double)(n + 16) * 2 * ROUNDOFF * size + 1e-250;
    if (!isfinite(least))
        return true;
    if (least > 0)
        return false;
    for (int64_t j = 0; j < n; j++) {
        /* The rest of the sum is at least `least` minus this coordinate's part. */
        double room = -least / fabs(slope[j]) * (1 + 1e-12) + 8 * ROUNDOFF * reach(lo[j], hi[j]);

        if (slope[j] > 0 && lo[j] + room < hi[j])
            hi[j] = lo[j] + room;
        if (slope[j] < 0 && hi[j] - room > lo[j])
            lo[j] = hi[j] - room;
    }
    return true;
}
