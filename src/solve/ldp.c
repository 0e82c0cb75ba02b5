#include "solve/ldp.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* A row misses if its slack is below -TOLERANCE (|h| + |x|); |x| bounds |R x| as |R| ~ 1. */
static const double TOLERANCE = 1e-13;
/* A row nearly spanned by the active ones is left alone when it misses by no more than this. */
static const double TOLERANCE_STUCK = 5e-10;
/* The squared length of row i outside the span of the active rows, K_ii - |L^-1 K_ai|^2, carries an
 * error of about this times 1 + |r|^2, r = weights of the active rows that come nearest to row i:
 * an error E in the Gram matrix enters as (1, -r)'E (1, -r). Below that it counts as nothing. */
static const double NOISE = 2e-14;

static nm_status grow_matrix(double **matrix, int64_t old, int64_t old_stride, int64_t stride,
                             nm_err *err)
{
    double *wide;
    size_t elements;

    if (!nm_mul_size((size_t)stride, (size_t)stride, &elements))
        return nm_fail(err, NM_E_NOMEM, "out of memory: Gram matrix of %lld rows",
                       (long long)stride);
    nm_status rc = nm_alloc(&wide, elements, sizeof *wide, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < old; i++)
        memcpy(wide + i * stride, *matrix + i * old_stride, (size_t)old * sizeof *wide);
    nm_free(*matrix);
    *matrix = wide;
    return NM_OK;
}

nm_status nm_ldp_grow(nm_ldp *ldp, int64_t m, nm_err *err)
{
    int64_t old = ldp->capacity, wide = m > 2 * old ? m : 2 * old;
    size_t room = (size_t)wide;
    nm_status rc = NM_OK;

    if (m > old) {
        NM_TRY(nm_realloc(&ldp->h, room, sizeof *ldp->h, err));
        NM_TRY(nm_realloc(&ldp->y, room, sizeof *ldp->y, err));
        NM_TRY(nm_realloc(&ldp->slack, room, sizeof *ldp->slack, err));
        NM_TRY(nm_realloc(&ldp->ray, room, sizeof *ldp->ray, err));
        NM_TRY(nm_realloc(&ldp->active, room, sizeof *ldp->active, err));
        NM_TRY(nm_realloc(&ldp->direction, room, sizeof *ldp->direction, err));
        NM_TRY(nm_realloc(&ldp->projection, room, sizeof *ldp->projection, err));
        NM_TRY(nm_realloc(&ldp->given_up, room, sizeof *ldp->given_up, err));
        NM_TRY(grow_matrix(&ldp->factor, ldp->n_active, old, wide, err));
        rc = grow_matrix(&ldp->k, ldp->m, old, wide, err);
        if (rc != NM_OK) { /* the factor has its new stride already: start afresh */
            ldp->n_active = 0;
            goto done;
        }
        ldp->capacity = wide;
    }
    for (int64_t i = ldp->m; i < m; i++)
        ldp->y[i] = 0;
    ldp->m = m;
done:
    return rc;
}

void nm_ldp_free(nm_ldp *ldp)
{
    nm_free(ldp->k);
    nm_free(ldp->h);
    nm_free(ldp->y);
    nm_free(ldp->slack);
    nm_free(ldp->ray);
    nm_free(ldp->active);
    nm_free(ldp->factor);
    nm_free(ldp->direction);
    nm_free(ldp->projection);
    nm_free(ldp->given_up);
    *ldp = (nm_ldp){0};
}

/* -- the factor -------------------------------------------------------------------------- */

static void solve_lower(const nm_ldp *ldp, double *b)
{
    if (ldp->n_active > 0)
        cblas_dtrsv(CblasRowMajor, CblasLower, CblasNoTrans, CblasNonUnit, (int)ldp->n_active,
                    ldp->factor, (int)ldp->capacity, b, 1);
}

static void solve_upper(const nm_ldp *ldp, double *b)
{
    if (ldp->n_active > 0)
        cblas_dtrsv(CblasRowMajor, CblasLower, CblasTrans, CblasNonUnit, (int)ldp->n_active,
                    ldp->factor, (int)ldp->capacity, b, 1);
}

void nm_ldp_solve_active(const nm_ldp *ldp, double *b)
{
    solve_lower(ldp, b);
    solve_upper(ldp, b);
}

/* `projection` = L^-1 K_active,i, `direction` = weights of the active rows that come nearest to
 * row i. Returns the squared length of row i outside their span, 0 if that is noise. */
static double project(nm_ldp *ldp, int64_t i)
{
    const double *k = ldp->k + i * ldp->capacity;
    int n = (int)ldp->n_active;

    for (int64_t p = 0; p < n; p++)
        ldp->projection[p] = k[ldp->active[p]];
    solve_lower(ldp, ldp->projection);
    memcpy(ldp->direction, ldp->projection, (size_t)n * sizeof *ldp->direction);
    solve_upper(ldp, ldp->direction);
    double outside = k[i] - cblas_ddot(n, ldp->projection, 1, ldp->projection, 1);
    double weights = 1 + cblas_ddot(n, ldp->direction, 1, ldp->direction, 1);
    return outside > NOISE * weights * k[i] ? outside : 0;
}

/* Row i joins the active rows; `projection` holds its new row of the factor. */
static void append_active(nm_ldp *ldp, int64_t i, double outside)
{
    double *row = ldp->factor + ldp->n_active * ldp->capacity;

    memcpy(row, ldp->projection, (size_t)ldp->n_active * sizeof *row);
    row[ldp->n_active] = sqrt(outside);
    ldp->active[ldp->n_active++] = i;
}

/* Takes the p-th active row out: the rows below move up, rotations make them triangular again. */
static void drop_active(nm_ldp *ldp, int64_t p)
{
    int64_t stride = ldp->capacity, n = --ldp->n_active;
    size_t row_bytes = (size_t)(n + 1) * sizeof(double);

    for (int64_t i = p; i < n; i++) {
        ldp->active[i] = ldp->active[i + 1];
        memcpy(ldp->factor + i * stride, ldp->factor + (i + 1) * stride, row_bytes);
    }
    for (int64_t j = p; j < n; j++) {
        double *diagonal = ldp->factor + j * stride + j;
        double length = hypot(diagonal[0], diagonal[1]);
        double c = diagonal[0] / length, s = diagonal[1] / length;

        for (int64_t i = j; i < n; i++) {
            double *pair = ldp->factor + i * stride + j, left = pair[0], right = pair[1];

            pair[0] = c * left + s * right;
            pair[1] = c * right - s * left;
        }
    }
}

/* -- the method -------------------------------------------------------------------------- */

static void compute_slack(nm_ldp *ldp)
{
    for (int64_t i = 0; i < ldp->m; i++)
        ldp->slack[i] = -ldp->h[i];
    for (int64_t p = 0; p < ldp->n_active; p++) {
        int64_t i = ldp->active[p];

        cblas_daxpy((int)ldp->m, ldp->y[i], ldp->k + i * ldp->capacity, 1, ldp->slack, 1);
    }
}

/* |x|^2 = y'K y = y'(slack + h). */
static double length_of_x(const nm_ldp *ldp)
{
    double squares = 0;

    for (int64_t p = 0; p < ldp->n_active; p++) {
        int64_t i = ldp->active[p];

        squares += ldp->y[i] * (ldp->slack[i] + ldp->h[i]);
    }
    return sqrt(fmax(squares, 0));
}

/* Factor and multipliers from scratch for the rows that have a multiplier (and all equalities):
 * a warm start after new rows, and a clean end after many updates. Rows that turned out dependent,
 * and those whose multiplier turns negative, drop out. */
static void refactor(nm_ldp *ldp)
{
    int64_t n_old = ldp->n_active;
    bool negative = true;

    ldp->n_active = 0;
    for (int64_t p = 0; p < n_old; p++) {
        int64_t i = ldp->active[p];
        double outside = project(ldp, i);

        if (outside > 0)
            append_active(ldp, i, outside);
        else
            ldp->y[i] = 0;
    }
    while (negative) {
        double lowest = 0;
        int64_t worst = -1;

        for (int64_t p = 0; p < ldp->n_active; p++)
            ldp->direction[p] = ldp->h[ldp->active[p]];
        nm_ldp_solve_active(ldp, ldp->direction);
        for (int64_t p = 0; p < ldp->n_active; p++) {
            ldp->y[ldp->active[p]] = ldp->direction[p];
            if (ldp->active[p] >= ldp->n_equal && ldp->direction[p] < lowest) {
                lowest = ldp->direction[p];
                worst = p;
            }
        }
        negative = worst >= 0;
        if (negative) {
            ldp->y[ldp->active[worst]] = 0;
            drop_active(ldp, worst);
        }
    }
    compute_slack(ldp);
}

/* Rows that were given up held nearly then; x has moved since. */
static int64_t most_violated(const nm_ldp *ldp)
{
    double length = length_of_x(ldp), worst = 0;
    int64_t found = -1;

    for (int64_t i = ldp->n_equal; i < ldp->m; i++) {
        double tolerance = ldp->given_up[i] ? TOLERANCE_STUCK : TOLERANCE;
        double slack = ldp->slack[i], limit = tolerance * (fabs(ldp->h[i]) + length);

        if (slack < worst && slack < -limit && ldp->y[i] <= 0) {
            worst = slack;
            found = i;
        }
    }
    return found;
}

/* Entries of the direction up to this are no reason to end a step that nothing else ends: where the
 * active rows are nearly dependent they are rounding, and the step would be one of 1e12. A ray
 * without them still proves that any x is a hundred times longer than the present one. */
static double rounding_of_ray(const nm_ldp *ldp, int64_t i)
{
    double largest = 0, far = 100 * (1 + length_of_x(ldp)) * (double)ldp->n_active;

    for (int64_t p = 0; p < ldp->n_active; p++)
        largest = fmax(largest, fabs(ldp->direction[p]));
    return fmin(1e-6 * largest, -ldp->slack[i] / far);
}

/* The multiplier that reaches 0 first along y_active - t direction; its place in *place.
 * @param rounding  entries up to this count as 0 */
static double longest_dual_step(const nm_ldp *ldp, double rounding, int64_t *place)
{
    double longest = INFINITY;

    for (int64_t p = 0; p < ldp->n_active; p++) {
        int64_t i = ldp->active[p];

        if (i < ldp->n_equal || ldp->direction[p] <= rounding)
            continue;
        if (ldp->y[i] / ldp->direction[p] < longest) {
            longest = ldp->y[i] / ldp->direction[p];
            *place = p;
        }
    }
    return longest;
}

/* Moves along the direction that changes only row i among the active rows. */
static void move(nm_ldp *ldp, int64_t i, double step)
{
    int m = (int)ldp->m;

    for (int64_t p = 0; p < ldp->n_active; p++) {
        int64_t a = ldp->active[p];

        ldp->y[a] -= step * ldp->direction[p];
        cblas_daxpy(m, -step * ldp->direction[p], ldp->k + a * ldp->capacity, 1, ldp->slack, 1);
    }
    ldp->y[i] += step;
    cblas_daxpy(m, step, ldp->k + i * ldp->capacity, 1, ldp->slack, 1);
}

/* y grows without end along this ray while x stands still: h'y could be made as large as wanted. */
static void keep_ray(nm_ldp *ldp, int64_t i)
{
    for (int64_t r = 0; r < ldp->m; r++)
        ldp->ray[r] = 0;
    for (int64_t p = 0; p < ldp->n_active; p++)
        ldp->ray[ldp->active[p]] = fmax(0, -ldp->direction[p]);
    ldp->ray[i] = 1;
}

static bool nearly_holds(const nm_ldp *ldp, int64_t i)
{
    return ldp->slack[i] >= -TOLERANCE_STUCK * (fabs(ldp->h[i]) + length_of_x(ldp));
}

/* Brings in row i, which misses. @return false if no x satisfies it and the active rows */
static bool bring_in(nm_ldp *ldp, int64_t i)
{
    for (;;) {
        double outside = project(ldp, i);
        double full = outside > 0 ? -ldp->slack[i] / outside : INFINITY;
        int64_t blocking = -1;
        double rounding = fmax(1e-14, full == INFINITY ? rounding_of_ray(ldp, i) : 0);
        double partial = longest_dual_step(ldp, rounding, &blocking);

        ldp->iterations++;
        if (full == INFINITY && nearly_holds(ldp, i)) {
            ldp->given_up[i] = true;
            ldp->y[i] = 0;
            refactor(ldp);
            return true;
        }
        if (full == INFINITY && partial == INFINITY) {
            keep_ray(ldp, i);
            ldp->y[i] = 0;
            return false;
        }
        move(ldp, i, fmin(full, partial));
        if (full <= partial) {
            append_active(ldp, i, outside);
            return true;
        }
        ldp->y[ldp->active[blocking]] = 0;
        drop_active(ldp, blocking);
    }
}

/* Equalities come first and never leave. */
static bool bring_in_equalities(nm_ldp *ldp)
{
    for (int64_t i = ldp->n_active; i < ldp->n_equal; i++) {
        double outside = project(ldp, i);

        if (outside == 0)
            return false;
        append_active(ldp, i, outside);
    }
    return true;
}

nm_status nm_ldp_solve(nm_ldp *ldp, const nm_ctx *ctx, nm_ldp_outcome *outcome, nm_err *err)
{
    /* Steps between fresh factors: rounding in slack and factor grows with their number. */
    enum { REFRESH = 200, CLEAN_ENDS = 5 };
    int64_t limit = ldp->iterations + 50 * (ldp->m + 20), since = 0;
    int ends = 0;

    *outcome = NM_LDP_STALLED;
    for (int64_t i = 0; i < ldp->m; i++)
        ldp->given_up[i] = false;
    if (ldp->n_active < ldp->n_equal && !bring_in_equalities(ldp))
        return NM_OK;
    refactor(ldp);
    while (ldp->iterations < limit) {
        int64_t i = most_violated(ldp);
        nm_status rc = nm_ctx_check(ctx, err);

        if (rc != NM_OK)
            return rc;
        if (i >= 0 && !bring_in(ldp, i)) {
            *outcome = NM_LDP_INFEASIBLE;
            return NM_OK;
        }
        if (i < 0 && (since == 0 || ends++ == CLEAN_ENDS)) {
            *outcome = NM_LDP_SOLVED;
            return NM_OK;
        }
        since = i < 0 || since == REFRESH ? 0 : since + 1;
        if (since == 0)
            refactor(ldp);
    }
    return NM_OK;
}
