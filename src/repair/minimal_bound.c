/* What multipliers prove about a node, in spite of rounding, and the ranges that this rests on.
 *
 * For a program min c'x, rl <= A x <= rh, xl <= x <= xh and any y (Neumaier and Shcherbina, "Safe
 * bounds in linear and mixed-integer linear programming", Math. Program. 99, 2004)
 *
 *     c'x = y'A x + (c - A'y)'x >= sum_r min(y_r rl_r, y_r rh_r) + sum_j min over xl..xh of g_j
 * x_j, g = c - A'y,
 *
 * whatever y is; near the optimal multipliers g is nearly 0 where x is free, and little is lost.
 * All columns have finite ranges: changes are no larger than the norm that is looked for, and
 * values no larger than what such changes can make them. Sums are computed in double and made
 * smaller by what rounding can have done to them: n terms with sizes s_i are off by at most (n + 1)
 * u sum s_i (1 + O(n u)), u = 2^-53 (Higham, Accuracy and Stability, section 4.2); twice that is
 * taken.
 *
 * What is proven is about the layers behind the edited one in real arithmetic, with the inputs of
 * the edited layer as computed in double; what it gives from them without a change carries an error
 * bound of its own (nm_min_tail.z0_error). */
#include <float.h>
#include <math.h>

#include "repair/minimal_model.h"

static double rounding(int64_t n_terms, double size)
{
    return (double)(n_terms + 4) * DBL_EPSILON * size;
}

/* -- ranges ---------------------------------------------------------------------------------- */

/* How far a change of norm <= largest can move one output of the edited layer at point p. */
static double reach(const nm_min_model *m, int64_t p)
{
    const double *u = m->tail->u + p * m->tail->width;
    double sum = 0, most = 0;

    for (int64_t k = 0; k < m->tail->width; k++) {
        sum += fabs(u[k]);
        most = fmax(most, fabs(u[k]));
    }
    sum = m->largest * (m->opts->norm == NM_NORM_L1 ? most : sum);
    return sum + rounding(m->tail->width, sum);
}

/* What a layer makes of inputs behind ReLUs in lo .. hi. */
static void pass_layer(const nm_min_layer *l, const double *lo, const double *hi, double *below,
                       double *above)
{
    for (int64_t r = 0; r < l->n_out; r++) {
        double size = fabs(l->b[r]);

        below[r] = above[r] = l->b[r];
        for (int64_t k = 0; k < l->n_in; k++) {
            double w = l->w[r * l->n_in + k], a = fmax(lo[k], 0), b = fmax(hi[k], 0);

            below[r] += fmin(w * a, w * b);
            above[r] += fmax(w * a, w * b);
            size += fabs(w) * b;
        }
        below[r] -= rounding(l->n_in, size);
        above[r] += rounding(l->n_in, size);
    }
}

void nm_min_model_find_ranges(nm_min_model *m)
{
    const nm_min_tail *t = m->tail;

    for (int64_t p = 0; p < t->n; p++) {
        double *lo = m->z_lo + nm_min_range_at(m, p, 0), *hi = m->z_hi + nm_min_range_at(m, p, 0);
        double radius = reach(m, p);

        for (int64_t r = 0; r < t->n_edited; r++) {
            double z0 = t->z0[p * t->n_edited + r], error = t->z0_error[p * t->n_edited + r];
            double off = radius + error + rounding(2, fabs(z0) + radius + error);

            lo[r] = z0 - off;
            hi[r] = z0 + off;
        }
        for (int i = 0; i < t->n_layers; i++) {
            const nm_min_layer *l = &t->layers[i];

            pass_layer(l, lo, hi, lo + l->n_in, hi + l->n_in);
            lo += l->n_in;
            hi += l->n_in;
        }
    }
}

/* -- the bound ------------------------------------------------------------------------------- */

/* A sum from below. */
typedef struct safe_sum {
    double sum, size;
    int64_t n;
} safe_sum;

static void add(safe_sum *s, double term)
{
    s->sum += term;
    s->size += fabs(term);
    s->n++;
}

static double from_below(const safe_sum *s)
{
    return s->sum - rounding(s->n, s->size);
}

/* The range of row r in the node. What the edited layer gives without a change is known up to an
   error: its rows are the first ones of each point's layers, which stand behind the caps. */
static void row_range(const nm_min_model *m, int64_t r, double *lo, double *hi)
{
    int64_t caps = nm_min_has_t(m) ? m->n_d : 0, values = m->n_neurons + m->n_scores;
    int64_t p = (r - caps) / values, k = (r - caps) % values;

    *lo = m->rows.lo[r];
    *hi = m->node_row_hi[r];
    if (r >= caps && r < m->first_relu_row && k < m->tail->n_edited) {
        double error = m->tail->z0_error[p * m->tail->n_edited + k];

        *lo -= error + rounding(2, fabs(*lo));
        *hi += error + rounding(2, fabs(*hi));
    }
}

/* g = c - A'y, and how far off it may be. Multipliers that call for a side without a limit become
   0. @return sum of min(y rl, y rh) over the rows, from below */
static double price_rows(nm_min_model *m, const double *y, bool ray)
{
    safe_sum sum = {0};

    for (int64_t j = 0; j < m->n_columns; j++) {
        m->residual[j] = ray ? 0 : m->cost[j];
        m->spread[j] = fabs(m->residual[j]);
    }
    for (int64_t r = 0; r < m->rows.n; r++) {
        double lo, hi;

        row_range(m, r, &lo, &hi);
        if (y[r] == 0 || !isfinite(y[r]) || isinf(y[r] > 0 ? lo : hi))
            continue;
        add(&sum, y[r] * (y[r] > 0 ? lo : hi));
        for (int k = m->rows.start[r]; k < m->rows.start[r + 1]; k++) {
            double term = y[r] * m->rows.value[k];

            m->residual[m->rows.column[k]] -= term;
            m->spread[m->rows.column[k]] += fabs(term);
        }
    }
    return from_below(&sum);
}

/* The finite range of column j in the node. */
static void column_range(const nm_min_model *m, int64_t j, double *lo, double *hi)
{
    int64_t value = j - m->first_value, p = value / m->per_point, k = value % m->per_point;

    *lo = m->node_lo[j];
    *hi = m->node_hi[j];
    if (j < m->first_value) {
        *hi = fmin(*hi, m->largest);
    } else if (k < m->n_neurons + m->n_scores) {
        *lo = fmax(*lo, m->z_lo[nm_min_range_at(m, p, k)]);
        *hi = fmin(*hi, m->z_hi[nm_min_range_at(m, p, k)]);
    }
}

double nm_min_model_prove(nm_min_model *m, const double *y, bool ray)
{
    safe_sum sum = {0};
    double bound;

    add(&sum, price_rows(m, y, ray));
    for (int64_t j = 0; j < m->n_columns; j++) {
        double lo, hi, error = rounding(m->rows.n, m->spread[j]);
        double least = m->residual[j] - error, most = m->residual[j] + error;

        if (m->spread[j] == 0)
            continue;
        column_range(m, j, &lo, &hi);
        add(&sum, fmin(fmin(least * lo, least * hi), fmin(most * lo, most * hi)));
    }
    bound = from_below(&sum) / (ray ? 1 : m->cost_factor);
    return bound - 4 * DBL_EPSILON * fabs(bound);
}
