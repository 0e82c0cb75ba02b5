/* The lower bound that multipliers prove.
 *
 * Let v = (d, C d + c0), Z the unit ball of the dual norm, y >= 0, z = (zd, x) in Z. For every
 * feasible d
 *
 *     norm(v) >= zd'd + x'(C d + c0)               (definition of the dual norm)
 *             >= zd'd + x'(C d + c0) - y'(A d - h) (y >= 0, A d >= h)
 *              = h'y + c0'x + (zd - q)'d,            q = A'y - C'x
 *             >= h'y + c0'x + sum_j min over lo_j <= d_j <= hi_j of (zd_j - q_j) d_j.
 *
 * Given y and x we may choose zd. An unknown without a bound on the side of q_j needs zd_j = q_j.
 * One with a bound b_j = |hi_j| or |lo_j| may use a zd_j nearer to 0 at the price |q_j - zd_j| b_j.
 *
 * linf, linf+l1n, l1: Z = { sum_k max(|z_k| - slope, 0) <= budget }. If the unknowns without
 * bounds and the terms exceed the budget already, (y, x) is scaled down until they do not. What the
 * others exceed it by is given up where the price b_j is lowest (a continuous knapsack, so this is
 * the best choice of zd).
 *
 * l2: Z = { |z| <= 1 }. The optimal d is clip(q) for multipliers of the problem min |v|^2 / 2,
 * which are those of norm(v) times the optimum; so with s = scale, c = clip(s q, lo, hi) and
 * N = |(c, s x)| the point z = (c, s x) / N is in Z and the multipliers (y, x) s / N give
 *     bound = (s (h'y + c0'x) - sum_j (s q_j - c_j) c_j) / N. */
#include "solve/bound.h"

#include <cblas.h>
#include <stdlib.h>

#include "base/mem.h"

nm_dual_ball nm_norm_dual_ball(const nm_master_spec *spec)
{
    switch (spec->norm) {
    case NM_NORM_L1:
        return (nm_dual_ball){1, 0};
    case NM_NORM_LINF:
        return (nm_dual_ball){0, 1};
    default:
        return (nm_dual_ball){spec->l1_weight, 1};
    }
}

double nm_relative_gap(double upper, double lower)
{
    return upper > lower ? (upper - lower) / fabs(upper) : 0;
}

double nm_solution_size(const nm_master_spec *spec, const nm_rows *rows)
{
    double size = 0;

    for (int64_t r = 0; r < rows->m; r++) {
        double sum = nm_row_measure(rows, r).sum;

        if (sum > 0)
            size = fmax(size, rows->h[r] / sum);
    }
    for (int64_t k = 0; k < spec->n_terms && size == 0; k++)
        size = fmax(size, fabs(spec->offset[k]));
    return size > 0 && size < INFINITY ? size : 1;
}

void nm_clip_to_box(const nm_master_spec *spec, double *d)
{
    for (int64_t j = 0; j < spec->n; j++) {
        if (spec->lo)
            d[j] = fmax(d[j], spec->lo[j]);
        if (spec->hi)
            d[j] = fmin(d[j], spec->hi[j]);
    }
}

/* Distance of the bound on the side to which q_j pulls d_j. */
static double side_bound(const nm_master_spec *spec, const double *q, int64_t j)
{
    if (q[j] > 0)
        return spec->hi ? spec->hi[j] : INFINITY;
    return spec->lo ? -spec->lo[j] : INFINITY;
}

/* h'y + c0'x. */
static double dual_value(const nm_master_spec *spec, const nm_rows *rows, const double *y,
                         const double *x)
{
    double sum = 0;

    for (int64_t r = 0; r < rows->m; r++)
        sum += rows->h[r] * fmax(y[r], 0);
    for (int64_t k = 0; k < spec->n_terms; k++)
        sum += spec->offset[k] * x[k];
    return sum;
}

/* q = A'y - C'x. @param signs  [max(rows->m, n_terms)] scratch */
static void pull(int threads, const nm_master_spec *spec, const nm_rows *rows, const double *y,
                 const double *x, double *signs, double *q)
{
    nm_rows terms = nm_master_terms(spec);

    for (int64_t r = 0; r < rows->m; r++)
        signs[r] = fmax(y[r], 0);
    nm_rows_transposed_times(threads, rows, signs, q);
    for (int64_t k = 0; k < spec->n_terms; k++)
        signs[k] = -x[k];
    nm_rows_transposed_times(threads, &terms, signs, q);
}

/* sum of max(s |z| - slope, 0) over unknowns without bounds and terms; also its slope in s. */
static double fixed_excess(const nm_master_spec *spec, nm_dual_ball ball, const double *q,
                           const double *x, double s, double *derivative)
{
    double sum = 0;

    *derivative = 0;
    for (int64_t k = 0; k < spec->n + spec->n_terms; k++) {
        double z = fabs(k < spec->n ? q[k] : x[k - spec->n]);

        if (k < spec->n && side_bound(spec, q, k) < INFINITY)
            continue;
        if (s * z > ball.slope) {
            sum += s * z - ball.slope;
            *derivative += z;
        }
    }
    return sum;
}

/* The largest s that keeps fixed_excess within the budget: a root of a convex increasing function,
 * by Newton's method from the right, which never undershoots. INFINITY if there is none. */
static double largest_scale(const nm_master_spec *spec, nm_dual_ball ball, const double *q,
                            const double *x)
{
    double largest = 0, total = 0, count = 0, derivative;

    for (int64_t k = 0; k < spec->n + spec->n_terms; k++) {
        double z = fabs(k < spec->n ? q[k] : x[k - spec->n]);

        if (k < spec->n && side_bound(spec, q, k) < INFINITY)
            continue;
        largest = fmax(largest, z);
        total += z;
        count += z > 0;
    }
    if (largest == 0)
        return INFINITY;
    if (ball.budget == 0)
        return ball.slope / largest;
    double s = (ball.budget + ball.slope * count) / total;
    for (int i = 0; i < 100; i++) {
        double excess = fixed_excess(spec, ball, q, x, s, &derivative) - ball.budget;

        if (excess <= 0)
            break;
        s -= excess / derivative;
        s *= 1 - 0x1p-52;
    }
    return s;
}

double nm_dual_scale(const nm_master_spec *spec, const double *q, const double *x)
{
    nm_master_spec open = *spec;

    open.lo = open.hi = NULL;
    return largest_scale(&open, nm_norm_dual_ball(spec), q, x);
}

typedef struct knapsack_item {
    double price, amount;
} knapsack_item;

static int by_price(const void *a, const void *b)
{
    double x = ((const knapsack_item *)a)->price, y = ((const knapsack_item *)b)->price;

    return (x > y) - (x < y);
}

/* The price of bringing the bounded unknowns' excess at scale s within what the others left. */
static double clipping_price(const nm_master_spec *spec, nm_dual_ball ball, const double *q,
                             const double *x, double s, knapsack_item *items)
{
    double derivative, room = ball.budget - fixed_excess(spec, ball, q, x, s, &derivative);
    double over = -fmax(room, 0), price = 0;
    size_t count = 0;

    for (int64_t j = 0; j < spec->n; j++) {
        double bound = side_bound(spec, q, j), excess = s * fabs(q[j]) - ball.slope;

        if (excess > 0 && bound < INFINITY) {
            items[count++] = (knapsack_item){bound, excess};
            over += excess;
        }
    }
    if (over <= 0)
        return 0;
    qsort(items, count, sizeof *items, by_price);
    for (size_t i = 0; i < count && over > 0; i++) {
        double part = fmin(items[i].amount, over);

        price += part * items[i].price;
        over -= part;
    }
    return price;
}

static nm_status polyhedral_bound(const nm_master_spec *spec, double value, const double *q,
                                  const double *x, double *bound, nm_err *err)
{
    nm_dual_ball ball = nm_norm_dual_ball(spec);
    double limit = largest_scale(spec, ball, q, x), candidate[2] = {fmin(limit, 1), limit};
    knapsack_item *items;
    nm_status rc = nm_alloc(&items, (size_t)spec->n, sizeof *items, err);

    if (rc != NM_OK)
        return rc;
    for (int i = 0; i < 2; i++) {
        double s = candidate[i];

        if (s < INFINITY)
            *bound = fmax(*bound, s * value - clipping_price(spec, ball, q, x, s, items));
    }
    nm_free(items);
    return NM_OK;
}

static double euclidean_bound(const nm_master_spec *spec, double value, const double *q,
                              const double *x, double s)
{
    double squares = 0, price = 0;

    for (int64_t j = 0; j < spec->n; j++) {
        double bound = side_bound(spec, q, j), c = fmin(s * fabs(q[j]), bound);

        squares += c * c;
        price += (s * fabs(q[j]) - c) * c;
    }
    for (int64_t k = 0; k < spec->n_terms; k++)
        squares += s * x[k] * s * x[k];
    return squares > 0 ? (s * value - price) / sqrt(squares) : 0;
}

nm_status nm_dual_bound(int threads, const nm_master_spec *spec, const nm_rows *rows,
                        const double *y, const double *x, double scale, double *bound, nm_err *err)
{
    double value = dual_value(spec, rows, y, x), *q = NULL, *signs = NULL;
    nm_status rc = NM_OK;

    *bound = 0; /* a norm is never negative */
    NM_TRY(nm_alloc(&q, (size_t)spec->n, sizeof *q, err));
    NM_TRY(nm_alloc(&signs, (size_t)(rows->m + spec->n_terms), sizeof *signs, err));
    pull(threads, spec, rows, y, x, signs, q);
    if (spec->norm == NM_NORM_L2)
        *bound = fmax(0, euclidean_bound(spec, value, q, x, scale > 0 ? scale : 1));
    else
        rc = polyhedral_bound(spec, value, q, x, bound, err);
done:
    nm_free(q);
    nm_free(signs);
    return rc;
}

nm_rows nm_master_terms(const nm_master_spec *spec)
{
    nm_rows terms = {.n = spec->n, .m = spec->n_terms};

    if (terms.m == 0)
        return terms;
    if (spec->space) {
        terms.factors = *spec->term_factors;
        terms.groups = *spec->term_groups;
    } else { /* only read: nm_rows is the form in which functions take rows */
        terms.a = (double *)(uintptr_t)spec->terms;
    }
    return terms;
}

/* Largest entry, sum of sizes and of squares of a vector that comes in parts. */
typedef struct vector_size {
    double largest, sum, squares;
} vector_size;

static void count_entries(vector_size *size, int64_t n, const double *v, const double *shift)
{
    for (int64_t k = 0; k < n; k++) {
        double entry = fabs(v[k] + (shift ? shift[k] : 0));

        size->largest = fmax(size->largest, entry);
        size->sum += entry;
        size->squares += entry * entry;
    }
}

nm_status nm_master_norm(int threads, const nm_master_spec *spec, const double *d, double *norm,
                         nm_err *err)
{
    nm_rows terms = nm_master_terms(spec);
    vector_size size = {0};
    double *value;
    nm_status rc = nm_alloc(&value, (size_t)spec->n_terms, sizeof *value, err);

    if (rc != NM_OK)
        return rc;
    nm_rows_times(threads, &terms, d, value);
    count_entries(&size, spec->n, d, NULL);
    count_entries(&size, spec->n_terms, value, spec->offset);
    nm_free(value);
    *norm = spec->norm == NM_NORM_L1     ? size.sum
            : spec->norm == NM_NORM_L2   ? sqrt(size.squares)
            : spec->norm == NM_NORM_LINF ? size.largest
                                         : size.largest + spec->l1_weight * size.sum;
    return NM_OK;
}
