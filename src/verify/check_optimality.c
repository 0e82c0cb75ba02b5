/* How small could a change be at all? A lower bound from multipliers.
 *
 * For all changes d that satisfy the rows and bounds, q . d >= h (proof.h). With Q_j >= |q_j| and
 * b_j the bound on |d_j| on the side to which q_j pulls:
 *
 *  l2: let c be q^ clipped to the bounds. Then (q^ - c) . (d - c) <= 0, since c is the point of the
 *      box nearest to q^, so q^ . d <= c . d + (q^ - c) . c, and
 *          h <= q . d <= |c| |d| + (q^ - c) . c + |error| |d|,
 *      which is solved for |d|.
 *  The others are norm(d) = budget max |d_j| + slope sum |d_j|. With t = max |d_j|,
 *      norm(d) >= h + norm(d) - q . d >= h + min over t >= 0 of
 *          budget t - sum_j max(Q_j - slope, 0) min(t, b_j):
 *      a convex function of t whose kinks are the bounds, of which there are two, lo and hi.
 *
 * All hold for the multipliers times any s >= 0, too; scaling makes bounds that are worthless for
 * rounding's sake good again. */
#include <math.h>

#include "base/mem.h"
#include "verify/dot.h"
#include "verify/proof.h"

/* -- the norm of the change ----------------------------------------------------------------- */

struct norm {
    double budget, slope; /* of max |d| and sum |d|; l2 has neither */
};

static struct norm norm_of(const nm_claim_statement *c)
{
    switch (c->norm) {
    case NM_NORM_L1:
        return (struct norm){0, 1};
    case NM_NORM_LINF:
        return (struct norm){1, 0};
    default:
        return (struct norm){1, 1 / c->mean_over};
    }
}

static double objective_of(const nm_claim_statement *c, const nm_claim_statement *change)
{
    struct norm n = norm_of(c);

    return c->norm == NM_NORM_L2 ? change->l2 : n.budget * change->linf + n.slope * change->l1;
}

/* -- max and sum ----------------------------------------------------------------------------- */

/* Bound on |d_j| on the side to which q_j pulls; the larger where that side is not certain. */
static double side(const nm_claim *c, const nm_proof_sum *sum, int64_t j)
{
    if (sum->error[j] >= fabs(sum->q[j]))
        return fmax(c->hi, -c->lo);
    return sum->q[j] > 0 ? c->hi : -c->lo;
}

/* sum_j max(s Q_j - slope, 0) of entries with a bound above `least`, and of the others that times
   their bound, both as upper bounds. */
static void add_excess(const nm_claim *c, const nm_proof_sum *sum, double slope, double s,
                       double least, nm_dot *open, nm_dot *closed)
{
    for (int64_t j = 0; j < sum->n; j++) {
        double excess = s * (fabs(sum->q[j]) + sum->error[j]) * (1 + 0x1p-50) - slope;
        double bound = side(c, sum, j);

        if (excess > 0 && bound > least)
            nm_dot_add(open, 1, excess * (1 + 0x1p-50));
        else if (excess > 0)
            nm_dot_add(closed, bound, excess * (1 + 0x1p-50));
    }
}

/* budget t - sum, at a finite t, from below. */
static double value_at(const nm_claim *c, const nm_proof_sum *sum, struct norm n, double s,
                       double t)
{
    nm_dot open = {0}, closed = {0};

    add_excess(c, sum, n.slope, s, t, &open, &closed);
    return (n.budget - nm_dot_at_most(&open)) * t - nm_dot_at_most(&closed) -
           0x1p-50 * t * (n.budget + open.size);
}

/* Whether the function of t does not fall for ever: entries without a bound cost enough. */
static bool is_bounded(const nm_claim *c, const nm_proof_sum *sum, struct norm n, double s)
{
    nm_dot open = {0}, closed = {0};
    double last = fmax(isfinite(c->hi) ? c->hi : 0, isfinite(c->lo) ? -c->lo : 0);

    add_excess(c, sum, n.slope, s, last, &open, &closed);
    return open.count == 0 || nm_dot_at_most(&open) <= n.budget;
}

static double bound_at_scale(const nm_claim *c, const nm_proof_sum *sum, struct norm n, double s)
{
    double kinks[2] = {isfinite(c->hi) ? c->hi : 0, isfinite(c->lo) ? -c->lo : 0};
    double least = 0;

    if (!is_bounded(c, sum, n, s))
        return 0;
    for (int i = 0; i < 2; i++)
        least = fmin(least, value_at(c, sum, n, s, kinks[i]));
    return s * sum->h + least - 0x1p-50 * (fabs(s * sum->h) + fabs(least));
}

/* The largest s up to 1 that keeps the function bounded. */
static double largest_scale(const nm_claim *c, const nm_proof_sum *sum, struct norm n)
{
    double lo = 0, hi = 1;

    if (is_bounded(c, sum, n, 1))
        return 1;
    for (int i = 0; i < 60 && hi - lo > 1e-15 * hi; i++) {
        double s = 0.5 * (lo + hi);

        *(is_bounded(c, sum, n, s) ? &lo : &hi) = s;
    }
    return lo;
}

/* -- Euclidean ------------------------------------------------------------------------------- */

static double euclidean_bound(const nm_claim *c, const nm_proof_sum *sum, double s)
{
    nm_dot squares = {0}, price = {0}, errors = {0};
    double length;

    for (int64_t j = 0; j < sum->n; j++) {
        double q = s * sum->q[j], clipped = fmin(fmax(q, c->lo), c->hi);
        double error = s * sum->error[j] + 0x1p-52 * fabs(q);

        nm_dot_add(&squares, clipped, clipped);
        nm_dot_add(&price, fabs(q - clipped) * (1 + 0x1p-50), fabs(clipped));
        nm_dot_add(&errors, error, error);
    }
    length = sqrt(nm_dot_at_most(&squares)) + sqrt(nm_dot_at_most(&errors));
    return length > 0 ? (s * sum->h - nm_dot_at_most(&price)) / length * (1 - 0x1p-48) : 0;
}

/* -- the statement --------------------------------------------------------------------------- */

static double best_bound(const nm_check_state *s, const nm_claim_statement *claimed,
                         const nm_proof_sum *sum, double objective)
{
    struct norm n = norm_of(claimed);

    if (claimed->norm != NM_NORM_L2)
        return fmax(bound_at_scale(s->claim, sum, n, largest_scale(s->claim, sum, n)), 0);
    /* Multipliers of |d| are those of |d|^2 / 2 divided by the optimum. */
    return fmax(fmax(euclidean_bound(s->claim, sum, 1),
                     euclidean_bound(s->claim, sum, objective > 0 ? objective : 1)),
                0);
}

nm_status nm_measure_optimality(const nm_check_state *s, const nm_claim_statement *claimed,
                                double *objective, double *lower_bound, nm_err *err)
{
    nm_claim_statement change = {0};
    nm_proof_sum sum = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_measure_architecture(s, &change, err));
    *objective = objective_of(claimed, &change);
    NM_TRY(nm_proof_sum_make(s, &claimed->proof, &sum, err));
    *lower_bound = best_bound(s, claimed, &sum, *objective);
done:
    nm_proof_sum_clear(&sum);
    return rc;
}

nm_status nm_check_optimality(const nm_check_state *s, const nm_claim_statement *claimed,
                              nm_check_statement *out, nm_err *err)
{
    static const char *const where[] = {"", ", while the points keep their pieces in MODEL",
                                        ", while the points keep their pieces in FIXED"};
    double objective, bound, gap;
    nm_status rc = NM_OK;

    if (!s->fixed)
        return nm_fail(err, NM_E_ARG, "the claim has no repaired network");
    NM_TRY(nm_measure_optimality(s, claimed, &objective, &bound, err));
    gap = objective > bound ? (objective - bound) / objective : 0;
    if (fabs(objective - claimed->objective) > 1e-9 * objective)
        NM_THROW(err, NM_E_ARG, "the %s of the change is %.9g, claimed is %.9g",
                 nm_claim_norms[claimed->norm], objective, claimed->objective);
    if (!(bound >= claimed->lower_bound * (1 - 1e-9)) || gap > claimed->gap + 1e-9)
        NM_THROW(err, NM_E_ARG, "the multipliers prove %.9g (gap %.2g), claimed is %.9g (gap %.2g)",
                 bound, gap, claimed->lower_bound, claimed->gap);
    nm_confirm(out, claimed->proof.n_points,
               "%s of the change %.6g; none with these margins is below %.6g (gap %.1e)%s",
               nm_claim_norms[claimed->norm], objective, bound, gap, where[claimed->proof.pieces]);
done:
    return rc;
}
