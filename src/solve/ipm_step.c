/* One step of the interior point method: S. Mehrotra, "On the implementation of a primal-dual
 * interior point method", SIAM J. Optim. 2 (1992), for the program of ipm_state.h.
 *
 * Newton's equations for constraint slacks s = G p - g and multipliers z, p = (v, u, t):
 *
 *     G'dz = r_dual,   ds = G dp (+ missing for rows and terms),   s dz + z ds = want.
 *
 * With theta = z / s each coordinate has a 2 x 2 Hessian in (v, u) and a coupling with t. u goes
 * first, then v, then t, which leaves E Theta E' + S/Z + c c' / stiffness for the multipliers of
 * rows and terms, c = E Theta on_t. (Keeping t as a border of E Theta E' + S/Z fails near the
 * optimum: there t is one of the directions that span the active rows, and without it the matrix is
 * singular.) All differences below are written out so that nothing cancels. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "solve/ipm_state.h"

static double weight_of(const nm_ipm_pair *pair, int64_t k)
{
    return pair->slack ? pair->z[k] / pair->slack[k] : 0;
}

static double push(const nm_ipm_pair *pair, int64_t k)
{
    return pair->slack ? pair->want[k] / pair->slack[k] : 0;
}

static double multiplier(const nm_ipm_pair *pair, int64_t k)
{
    return pair->slack ? pair->z[k] : 0;
}

/* -- where we stand ---------------------------------------------------------------------- */

static double pair_product(const nm_ipm_pair *pair, int64_t count, int64_t *active)
{
    double sum = 0;

    for (int64_t k = 0; k < count && pair->slack; k++) {
        if (pair->slack[k] < INFINITY) {
            sum += pair->slack[k] * pair->z[k];
            ++*active;
        }
    }
    return sum;
}

static double t_cost(const nm_ipm *ipm)
{
    return ipm->reduced ? ipm->reduced->t_cost : 1;
}

static void measure_objectives(nm_ipm *ipm)
{
    const nm_master_spec *spec = ipm->spec;
    double primal = ipm->has_t ? t_cost(ipm) * ipm->t : 0, dual = 0;

    for (int64_t k = 0; k < ipm->n_coords && ipm->has_u; k++)
        primal += nm_ipm_weight(ipm, k) * ipm->u[k];
    for (int64_t r = 0; r < ipm->m; r++)
        dual += ipm->rhs[r] * ipm->row.z[r];
    for (int64_t k = 0; k < ipm->n_terms; k++)
        dual -= spec->offset[k] / ipm->unit * ipm->e[k];
    for (int64_t j = 0; j < ipm->n; j++) {
        if (spec->lo && isfinite(spec->lo[j]))
            dual += ipm->local[NM_OVER_LO].z[j] * spec->lo[j] / ipm->unit;
        if (spec->hi && isfinite(spec->hi[j]))
            dual -= ipm->local[NM_UNDER_HI].z[j] * spec->hi[j] / ipm->unit;
    }
    ipm->primal_value = primal;
    ipm->dual_value = dual;
}

void nm_ipm_measure(nm_ipm *ipm)
{
    const nm_ipm_pair *local = ipm->local;
    double product = 0, cap_sum = 0;
    int64_t active = 0;

    memcpy(ipm->d_all, ipm->row.z, (size_t)ipm->m * sizeof(double));
    memcpy(ipm->d_all + ipm->m, ipm->e, (size_t)ipm->n_terms * sizeof(double));
    nm_ipm_transposed_times(ipm, ipm->d_all, ipm->dual_v);
    for (int64_t k = 0; k < ipm->n_coords; k++) {
        double below = local[NM_BELOW_CAP].z[k], above = local[NM_ABOVE_CAP].z[k];
        double under_t = multiplier(&local[NM_UNDER_T], k);

        ipm->dual_v[k] = below - above - ipm->dual_v[k];
        if (k < ipm->n)
            ipm->dual_v[k] +=
                multiplier(&local[NM_UNDER_HI], k) - multiplier(&local[NM_OVER_LO], k);
        if (k < ipm->n && nm_ipm_is_fixed(ipm, k))
            ipm->dual_v[k] = 0;
        ipm->dual_u[k] = nm_ipm_weight(ipm, k) - (below + above - under_t);
        cap_sum += ipm->has_u ? under_t : below + above;
    }
    ipm->dual_t = t_cost(ipm) - cap_sum;
    nm_ipm_times(ipm, ipm->v, ipm->missing);
    for (int64_t i = 0; i < ipm->n_all; i++) {
        ipm->dual_t -= nm_ipm_on_t(ipm, i) * ipm->d_all[i];
        ipm->missing[i] += nm_ipm_on_t(ipm, i) * ipm->t;
    }
    for (int64_t r = 0; r < ipm->m; r++)
        ipm->missing[r] = ipm->rhs[r] + ipm->row.slack[r] - ipm->missing[r];
    for (int64_t k = 0; k < ipm->n_terms; k++)
        ipm->missing[ipm->m + k] = -ipm->spec->offset[k] / ipm->unit - ipm->missing[ipm->m + k];
    for (int i = 0; i < NM_LOCALS; i++)
        product += pair_product(&local[i], i < NM_OVER_LO ? ipm->n_coords : ipm->n, &active);
    product += pair_product(&ipm->row, ipm->m, &active);
    ipm->mu = product / (double)active;
    measure_objectives(ipm);
}

/* -- eliminating the coordinates --------------------------------------------------------- */

bool nm_ipm_is_fixed(const nm_ipm *ipm, int64_t j)
{
    const nm_master_spec *spec = ipm->spec;

    return spec->lo && spec->hi && spec->lo[j] == 0 && spec->hi[j] == 0;
}

/* Unknowns that cannot move are infinitely stiff. */
static double box_weight(const nm_ipm *ipm, int64_t j)
{
    if (nm_ipm_is_fixed(ipm, j))
        return 1e100;
    return weight_of(&ipm->local[NM_OVER_LO], j) + weight_of(&ipm->local[NM_UNDER_HI], j);
}

/* theta, on_t and stiffness: everything that depends on the iterate only. */
static void eliminate_hessian(nm_ipm *ipm)
{
    const nm_ipm_pair *local = ipm->local;

    ipm->stiffness = 0;
    for (int64_t k = 0; k < ipm->n_coords; k++) {
        double below = weight_of(&local[NM_BELOW_CAP], k),
               above = weight_of(&local[NM_ABOVE_CAP], k);
        double box = k < ipm->n ? box_weight(ipm, k) : 0;
        double sum = below + above, both = 4 * below * above;

        if (!ipm->has_u) {
            ipm->theta[k] = 1 / (sum + box);
            ipm->on_t[k] = above - below;
            ipm->stiffness += (both + sum * box) / (sum + box);
            continue;
        }
        double under_t = weight_of(&local[NM_UNDER_T], k), on_u = sum + under_t;
        double hessian = both + sum * under_t + box * on_u; /* times on_u */

        ipm->theta[k] = on_u / hessian;
        ipm->on_t[k] = (above - below) * under_t / on_u;
        ipm->stiffness += under_t * (both + sum * box) / hessian;
    }
}

/* Right-hand side for u_k of the Newton equations. */
static double force_on_u(const nm_ipm *ipm, int64_t k)
{
    const nm_ipm_pair *local = ipm->local;

    return push(&local[NM_BELOW_CAP], k) + push(&local[NM_ABOVE_CAP], k) -
           push(&local[NM_UNDER_T], k) - ipm->dual_u[k];
}

static double weight_on_u(const nm_ipm *ipm, int64_t k)
{
    return weight_of(&ipm->local[NM_BELOW_CAP], k) + weight_of(&ipm->local[NM_ABOVE_CAP], k) +
           weight_of(&ipm->local[NM_UNDER_T], k);
}

static double skew(const nm_ipm *ipm, int64_t k)
{
    return weight_of(&ipm->local[NM_ABOVE_CAP], k) - weight_of(&ipm->local[NM_BELOW_CAP], k);
}

/* `force` on v after eliminating u; returns the force on t after eliminating u and v. */
static double eliminate_forces(nm_ipm *ipm)
{
    const nm_ipm_pair *local = ipm->local;
    double on_t = -ipm->dual_t;

    for (int64_t k = 0; k < ipm->n_coords; k++) {
        double below = push(&local[NM_BELOW_CAP], k), above = push(&local[NM_ABOVE_CAP], k);
        double force = above - below - ipm->dual_v[k];

        if (k < ipm->n)
            force += push(&local[NM_OVER_LO], k) - push(&local[NM_UNDER_HI], k);
        if (ipm->has_u) {
            double u_force = force_on_u(ipm, k) / weight_on_u(ipm, k);

            force -= skew(ipm, k) * u_force;
            on_t += push(&local[NM_UNDER_T], k) + weight_of(&local[NM_UNDER_T], k) * u_force;
        } else {
            on_t += below + above;
        }
        ipm->force[k] = force;
        on_t -= ipm->on_t[k] * ipm->theta[k] * force;
    }
    return on_t;
}

/* -- the step ---------------------------------------------------------------------------- */

/* Slack and multiplier steps of a local constraint whose slack moves by `move`. */
static void local_step(nm_ipm_pair *pair, int64_t k, double move)
{
    if (!pair->slack)
        return;
    pair->d_slack[k] = move;
    pair->d_z[k] =
        pair->slack[k] < INFINITY ? (pair->want[k] - pair->z[k] * move) / pair->slack[k] : 0;
}

static void expand_step(nm_ipm *ipm)
{
    nm_ipm_pair *local = ipm->local;

    nm_ipm_transposed_times(ipm, ipm->d_all, ipm->work);
    for (int64_t k = 0; k < ipm->n_coords; k++) {
        double dv = ipm->theta[k] * (ipm->force[k] + ipm->work[k] - ipm->on_t[k] * ipm->dt);
        double du = ipm->dt;

        if (ipm->has_u)
            du = (force_on_u(ipm, k) - skew(ipm, k) * dv +
                  weight_of(&local[NM_UNDER_T], k) * ipm->dt) /
                 weight_on_u(ipm, k);
        ipm->dv[k] = dv;
        ipm->du[k] = du;
        local_step(&local[NM_BELOW_CAP], k, du - dv);
        local_step(&local[NM_ABOVE_CAP], k, du + dv);
        local_step(&local[NM_UNDER_T], k, ipm->dt - du);
        if (k < ipm->n) {
            local_step(&local[NM_OVER_LO], k, dv);
            local_step(&local[NM_UNDER_HI], k, -dv);
        }
    }
    for (int64_t r = 0; r < ipm->m; r++) {
        nm_ipm_pair *row = &ipm->row;

        row->d_z[r] = ipm->d_all[r];
        row->d_slack[r] = (row->want[r] - row->slack[r] * row->d_z[r]) / row->z[r];
    }
}

/* The step for the present `want`s. */
static void newton(nm_ipm *ipm)
{
    double on_t = eliminate_forces(ipm);

    for (int64_t k = 0; k < ipm->n_coords; k++)
        ipm->work[k] = ipm->theta[k] * ipm->force[k];
    nm_ipm_times(ipm, ipm->work, ipm->d_all);
    for (int64_t i = 0; i < ipm->n_all; i++) {
        double target = ipm->missing[i];

        if (i < ipm->m)
            target += ipm->row.want[i] / ipm->row.z[i];
        ipm->d_all[i] = target - ipm->d_all[i];
    }
    if (ipm->has_t)
        cblas_daxpy((int)ipm->n_all, on_t / ipm->stiffness, ipm->coupling, 1, ipm->d_all, 1);
    nm_ipm_solve(ipm, ipm->d_all);
    ipm->dt = 0;
    if (ipm->has_t)
        ipm->dt =
            (on_t - cblas_ddot((int)ipm->n_all, ipm->coupling, 1, ipm->d_all, 1)) / ipm->stiffness;
    expand_step(ipm);
}

/* E Theta on_t, less the coefficients of t, by which rows and terms feel t. */
static void couple_t(nm_ipm *ipm)
{
    if (!ipm->has_t)
        return;
    for (int64_t k = 0; k < ipm->n_coords; k++)
        ipm->work[k] = ipm->theta[k] * ipm->on_t[k];
    nm_ipm_times(ipm, ipm->work, ipm->coupling);
    for (int64_t i = 0; i < ipm->n_all; i++)
        ipm->coupling[i] -= nm_ipm_on_t(ipm, i);
}

typedef enum wants { AFFINE, CORRECTED } wants;

static void set_pair_wants(nm_ipm_pair *pair, int64_t count, wants which, double target)
{
    for (int64_t k = 0; k < count && pair->slack; k++) {
        if (!(pair->slack[k] < INFINITY))
            continue;
        pair->want[k] = -pair->slack[k] * pair->z[k];
        if (which == CORRECTED)
            pair->want[k] += target - pair->d_slack[k] * pair->d_z[k];
    }
}

static int64_t pair_count(const nm_ipm *ipm, int i)
{
    return i == NM_LOCALS ? ipm->m : i >= NM_OVER_LO ? ipm->n : ipm->n_coords;
}

static nm_ipm_pair *pair_number(nm_ipm *ipm, int i)
{
    return i == NM_LOCALS ? &ipm->row : &ipm->local[i];
}

static void set_wants(nm_ipm *ipm, wants which, double target)
{
    for (int i = 0; i <= NM_LOCALS; i++)
        set_pair_wants(pair_number(ipm, i), pair_count(ipm, i), which, target);
}

/* Longest step <= 1 that keeps values + step * moves >= 0. */
static double longest_step(const double *values, const double *moves, int64_t count)
{
    double longest = 1;

    for (int64_t k = 0; k < count; k++) {
        if (moves[k] < 0 && values[k] + longest * moves[k] < 0)
            longest = -values[k] / moves[k];
    }
    return longest;
}

static void step_lengths(nm_ipm *ipm, double *primal, double *dual)
{
    *primal = *dual = 1;
    for (int i = 0; i <= NM_LOCALS; i++) {
        const nm_ipm_pair *pair = pair_number(ipm, i);
        int64_t count = pair_count(ipm, i);

        if (!pair->slack)
            continue;
        *primal = fmin(*primal, longest_step(pair->slack, pair->d_slack, count));
        *dual = fmin(*dual, longest_step(pair->z, pair->d_z, count));
    }
}

/* Mean complementarity after a step of the lengths given. */
static double mu_after(nm_ipm *ipm, double primal, double dual)
{
    double sum = 0;
    int64_t active = 0;

    for (int i = 0; i <= NM_LOCALS; i++) {
        const nm_ipm_pair *pair = pair_number(ipm, i);
        int64_t count = pair_count(ipm, i);

        for (int64_t k = 0; k < count && pair->slack; k++) {
            if (pair->slack[k] < INFINITY) {
                sum += (pair->slack[k] + primal * pair->d_slack[k]) *
                       (pair->z[k] + dual * pair->d_z[k]);
                active++;
            }
        }
    }
    return sum / (double)active;
}

static void advance(nm_ipm *ipm, double primal, double dual)
{
    for (int i = 0; i <= NM_LOCALS; i++) {
        nm_ipm_pair *pair = pair_number(ipm, i);
        int64_t count = pair_count(ipm, i);

        for (int64_t k = 0; k < count && pair->slack; k++) {
            pair->slack[k] += primal * pair->d_slack[k];
            pair->z[k] += dual * pair->d_z[k];
        }
    }
    cblas_daxpy((int)ipm->n_coords, primal, ipm->dv, 1, ipm->v, 1);
    cblas_daxpy((int)ipm->n_coords, primal, ipm->du, 1, ipm->u, 1);
    cblas_daxpy((int)ipm->n_terms, dual, ipm->d_all + ipm->m, 1, ipm->e, 1);
    ipm->t += primal * ipm->dt;
}

nm_status nm_ipm_step(nm_ipm *ipm, double *length, bool *ok, nm_err *err)
{
    double primal, dual;

    eliminate_hessian(ipm);
    couple_t(ipm);
    nm_status rc = nm_ipm_factor(ipm, ok, err);
    if (rc != NM_OK || !*ok)
        return rc;
    set_wants(ipm, AFFINE, 0);
    newton(ipm);
    step_lengths(ipm, &primal, &dual);
    double ratio = mu_after(ipm, primal, dual) / ipm->mu;
    set_wants(ipm, CORRECTED, ratio * ratio * ratio * ipm->mu);
    newton(ipm);
    step_lengths(ipm, &primal, &dual);
    double back_off = fmax(0.99, 1 - ipm->mu); /* never onto the boundary */
    primal = fmin(1, back_off * primal);
    dual = fmin(1, back_off * dual);
    *ok = isfinite(primal) && isfinite(dual) && isfinite(ipm->dt);
    advance(ipm, primal, dual);
    *length = fmin(primal, dual);
    ipm->iterations++;
    return NM_OK;
}
