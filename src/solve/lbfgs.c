#include "solve/lbfgs.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

typedef struct state {
    const nm_lbfgs_problem *problem;
    int64_t n;
    int memory, n_pairs, next; /* pairs lie in a ring */
    double *s, *y;             /* [memory x n] steps and changes of the gradient */
    double *rho, *alpha;       /* [memory] */
    double *x, *gradient;      /* [n] trial point and its gradient */
    double *now, *direction, *work;
} state;

static nm_status open_state(state *st, const nm_lbfgs_problem *problem, int memory, nm_err *err)
{
    size_t n = (size_t)problem->n, m = (size_t)memory;
    nm_status rc = NM_OK;

    *st = (state){.problem = problem, .n = problem->n, .memory = memory};
    NM_TRY(nm_alloc(&st->s, m * n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->y, m * n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->rho, m, sizeof(double), err));
    NM_TRY(nm_alloc(&st->alpha, m, sizeof(double), err));
    NM_TRY(nm_alloc(&st->x, n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->gradient, n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->now, n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->direction, n, sizeof(double), err));
    NM_TRY(nm_alloc(&st->work, n, sizeof(double), err));
done:
    return rc;
}

static void close_state(state *st)
{
    nm_free(st->s);
    nm_free(st->y);
    nm_free(st->rho);
    nm_free(st->alpha);
    nm_free(st->x);
    nm_free(st->gradient);
    nm_free(st->now);
    nm_free(st->direction);
    nm_free(st->work);
}

static double dot(const state *st, const double *a, const double *b)
{
    return cblas_ddot((int)st->n, a, 1, b, 1);
}

/* direction = -H gradient by the two-loop recursion, the preconditioner in the middle. */
static nm_status find_direction(state *st, nm_err *err)
{
    int n = (int)st->n;
    nm_status rc;

    memcpy(st->work, st->now, (size_t)n * sizeof(double));
    for (int k = 0; k < st->n_pairs; k++) {
        int i = (st->next - 1 - k + st->memory) % st->memory;

        st->alpha[i] = st->rho[i] * dot(st, st->s + i * st->n, st->work);
        cblas_daxpy(n, -st->alpha[i], st->y + i * st->n, 1, st->work, 1);
    }
    rc = st->problem->precondition(st->problem->user, st->work, st->direction, err);
    if (rc != NM_OK)
        return rc;
    for (int k = st->n_pairs - 1; k >= 0; k--) {
        int i = (st->next - 1 - k + st->memory) % st->memory;
        double beta = st->rho[i] * dot(st, st->y + i * st->n, st->direction);

        cblas_daxpy(n, st->alpha[i] - beta, st->s + i * st->n, 1, st->direction, 1);
    }
    cblas_dscal(n, -1, st->direction, 1);
    return NM_OK;
}

/* The pair of the step just made, if it has positive curvature. */
static void remember_pair(state *st, const double *x)
{
    double *s, *y, curvature;

    if (st->memory == 0)
        return;
    s = st->s + st->next * st->n;
    y = st->y + st->next * st->n;
    for (int64_t i = 0; i < st->n; i++) {
        s[i] = st->x[i] - x[i];
        y[i] = st->gradient[i] - st->now[i];
    }
    curvature = dot(st, s, y);
    if (!(curvature > 1e-12 * sqrt(dot(st, s, s) * dot(st, y, y))))
        return;
    st->rho[st->next] = 1 / curvature;
    st->next = (st->next + 1) % st->memory;
    st->n_pairs = st->n_pairs < st->memory ? st->n_pairs + 1 : st->memory;
}

/* Walks back along the direction until the value falls enough (Armijo). *found = false: nowhere. */
static nm_status search_line(state *st, const double *x, double *value, int *evaluations, int most,
                             bool *found, nm_err *err)
{
    const double share = 1e-4;
    double slope = dot(st, st->direction, st->now), step = 1;
    nm_status rc = NM_OK;

    *found = false;
    if (!(slope < 0))
        return NM_OK;
    while (*evaluations < most && step > 1e-6) {
        double trial;

        for (int64_t i = 0; i < st->n; i++)
            st->x[i] = x[i] + step * st->direction[i];
        NM_TRY(st->problem->evaluate(st->problem->user, st->x, &trial, st->gradient, err));
        ++*evaluations;
        if (trial <= *value + share * step * slope) {
            *found = true;
            *value = trial;
            break;
        }
        /* The parabola through both values and the slope, within a tenth and a half. */
        double parabola = -0.5 * slope * step * step / (trial - *value - slope * step);

        step = isfinite(parabola) ? fmin(fmax(parabola, 0.1 * step), 0.5 * step) : 0.1 * step;
    }
done:
    return rc;
}

nm_status nm_lbfgs_minimise(const nm_ctx *ctx, const nm_lbfgs_problem *problem,
                            const nm_lbfgs_opts *opts, double *x, double *value, int *evaluations,
                            nm_err *err)
{
    size_t n = (size_t)problem->n;
    state st = {0};
    nm_status rc = NM_OK;

    *evaluations = 1;
    NM_TRY(open_state(&st, problem, opts->memory, err));
    NM_TRY(problem->evaluate(problem->user, x, value, st.now, err));
    while (*evaluations < opts->max_evaluations) {
        double before = *value;
        bool found;

        NM_TRY(nm_ctx_check(ctx, err));
        NM_TRY(find_direction(&st, err));
        NM_TRY(search_line(&st, x, value, evaluations, opts->max_evaluations, &found, err));
        if (!found && st.n_pairs > 0) { /* the model misleads: once more from the preconditioner */
            st.n_pairs = 0;
            continue;
        }
        if (!found)
            break;
        remember_pair(&st, x);
        memcpy(x, st.x, n * sizeof *x);
        memcpy(st.now, st.gradient, n * sizeof *x);
        if (before - *value < opts->tolerance_rel * fabs(before))
            break;
    }
done:
    close_state(&st);
    return rc;
}
