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

/* Of high + low before they are added up. */
static double pair_error(const dot2 *sum)
{
    double gamma = 2 * (double)(sum->count + 1) * 0x1p-53;

    return gamma * gamma * sum->magnitude + 0x1p-1000;
}

static double dot2_error(const dot2 *sum)
{
    return 0x1p-52 * fabs(sum->high + sum->low) + pair_error(sum);
}

/* max over the interval of column j of c d, outward. @param more  error of c besides rounding here
 */
static double column_maximum(const nm_master_spec *spec, int64_t j, const dot2 *c, double more)
{
    double value = c->high + c->low, error = dot2_error(c) + more;
    double up = spec->hi && isfinite(spec->hi[j]) ? spec->hi[j] : NM_PROOF_BOX;
    double down = spec->lo && isfinite(spec->lo[j]) ? -spec->lo[j] : NM_PROOF_BOX;

    return fmax(fmax((value + error) * up, (error - value) * down), 0);
}

enum { BLOCK = 64 }; /* columns at a time, so that rows are read in stretches */

static void add_block_maxima(const nm_master_spec *spec, const nm_rows *rows, const double *y,
                             int64_t first, dot2 *sum)
{
    dot2 c[BLOCK] = {{0}};
    int64_t count = spec->n - first < BLOCK ? spec->n - first : BLOCK;

    for (int64_t r = 0; r < rows->m; r++) {
        for (int64_t j = 0; j < count && y[r] > 0; j++)
            dot2_add(&c[j], rows->a[r * spec->n + first + j], y[r]);
    }
    for (int64_t j = 0; j < count; j++)
        dot2_add(sum, 1, column_maximum(spec, first + j, &c[j], 0));
}

/* Sum over the rows of one point of y_r g_r,place. */
static dot2 pull_factor(const nm_groups *groups, const double *y, int64_t point, int64_t place)
{
    int64_t width = nm_factor_width(groups->space);
    dot2 u = {0};

    for (int64_t s = groups->first[point]; s < groups->first[point + 1]; s++)
        if (y[groups->row[s]] > 0)
            dot2_add(&u, groups->g[s * width + place], y[groups->row[s]]);
    return u;
}

/* Weights first .. of output i: c = sum over points of u x. u stays a pair of numbers, for in c it
 * may cancel. */
static void add_weight_maxima(const nm_master_spec *spec, const nm_groups *groups, const double *y,
                              int64_t i, int64_t first, dot2 *sum)
{
    const nm_factor_space *space = groups->space;
    dot2 c[BLOCK] = {{0}};
    double error[BLOCK] = {0};
    int64_t count = space->n_in - first < BLOCK ? space->n_in - first : BLOCK;

    for (int64_t p = 0; p < groups->n_points; p++) {
        const double *x = groups->x + p * space->n_in + first;
        dot2 u = pull_factor(groups, y, p, i);

        for (int64_t k = 0; k < count && u.magnitude > 0; k++) {
            dot2_add(&c[k], u.high, x[k]);
            dot2_add(&c[k], u.low, x[k]);
            error[k] += 1.1 * pair_error(&u) * fabs(x[k]);
        }
    }
    for (int64_t k = 0; k < count; k++) {
        int64_t column = space->column[i * space->n_in + first + k];

        if (column >= 0)
            dot2_add(sum, 1, column_maximum(spec, column, &c[k], error[k]));
    }
}

static void add_extra_maxima(const nm_master_spec *spec, const nm_groups *groups, const double *y,
                             dot2 *sum)
{
    const nm_factor_space *space = groups->space;

    for (int64_t e = 0; e < space->n_extra; e++) {
        dot2 c = {0};

        for (int64_t p = 0; p < groups->n_points; p++) {
            dot2 u = pull_factor(groups, y, p, space->n_out + e);

            dot2_add(&c, 1, u.high);
            dot2_add(&c, 1, u.low);
            c.magnitude += u.magnitude;
            c.count += u.count;
        }
        dot2_add(sum, 1, column_maximum(spec, space->extra_column[e], &c, 0));
    }
}

/* Upper bound of max over the box of y'A d. */
static void add_maxima(const nm_master_spec *spec, const nm_rows *rows, const double *y, dot2 *sum)
{
    const nm_factor_space *space = rows->factors.space;

    if (!space) {
        for (int64_t first = 0; first < spec->n; first += BLOCK)
            add_block_maxima(spec, rows, y, first, sum);
        return;
    }
    for (int64_t i = 0; i < space->n_out; i++)
        for (int64_t first = 0; first < space->n_in; first += BLOCK)
            add_weight_maxima(spec, &rows->groups, y, i, first, sum);
    add_extra_maxima(spec, &rows->groups, y, sum);
}

double nm_farkas_excess(const nm_master_spec *spec, const nm_rows *rows, const double *y)
{
    dot2 left = {0}, right = {0};

    for (int64_t r = 0; r < rows->m; r++) {
        if (y[r] > 0)
            dot2_add(&left, rows->h[r], y[r]);
    }
    add_maxima(spec, rows, y, &right);
    return (left.high + left.low - dot2_error(&left)) -
           (right.high + right.low + dot2_error(&right));
}
