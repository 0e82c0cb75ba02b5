/* The normal matrix with equations of one neuron eliminated first, see ipm_neurons.h. */
#include <cblas.h>
#include <string.h>

#include "base/mem.h"
#include "solve/ipm_neurons.h"
#include "tensor/dense.h"

#ifdef _OPENMP
#include <omp.h>
#endif

/* A pivot below this share of its diagonal entry, t's part counted, waits. */
static const double WAITS = 1e-6;

/* -- eliminating a neuron's own equations ----------------------------------------------------- */

/* What an equation's own slack or output adds to its diagonal entry. */
static double own_part(const nm_ipm *ipm, int64_t equation)
{
    if (equation < ipm->m)
        return ipm->row.slack[equation] / ipm->row.z[equation];
    return ipm->theta[ipm->n + equation - ipm->m];
}

/* What t adds to it. */
static double part_of_t(const nm_ipm *ipm, int64_t equation)
{
    double c = ipm->coupling[equation];

    return ipm->has_t ? c * c / ipm->stiffness : 0;
}

/* The block of the first `count` own equations of neuron i, factored. @return < 0: no number */
static int64_t factor_own(const nm_ipm *ipm, const nm_ipm_own *list, int64_t count, const double *t,
                          double *k, double *whole)
{
    int64_t n_points = ipm->neurons->n_points;

    for (int64_t a = 0; a < count; a++) {
        const double *row = t + list[a].point * n_points;

        for (int64_t b = 0; b <= a; b++)
            k[a * count + b] = list[a].g * list[b].g * row[list[b].point];
        k[a * count + a] += own_part(ipm, list[a].equation);
        whole[a] = k[a * count + a] + part_of_t(ipm, list[a].equation);
    }
    return nm_dense_cholesky(1, count, k, count, 1e-14);
}

/* Puts those with hardly a pivot behind. @return how many are left */
static int64_t make_wait(nm_ipm_own *list, int64_t count, const double *k, const double *whole)
{
    int64_t left = 0;

    for (int64_t a = 0; a < count; a++) {
        double pivot = k[a * count + a];

        /* Pivots that were replaced are huge. */
        if (!(pivot * pivot >= WAITS * whole[a] && pivot * pivot <= 2 * whole[a]))
            continue;
        nm_ipm_own keep = list[a];
        memmove(list + left + 1, list + left, (size_t)(a - left) * sizeof *list);
        list[left++] = keep;
    }
    return left;
}

/* What one thread works with. */
typedef struct bench {
    double *t;      /* [n_points x n_points] */
    double *scaled; /* [(n_points + 1) x n_in] */
    double *below;  /* [most x n_points] */
    double *whole;  /* [most] */
} bench;

static void mirror(int64_t n, double *t)
{
    for (int64_t p = 0; p < n; p++)
        for (int64_t q = 0; q < p; q++)
            t[q * n + p] = t[p * n + q];
}

static bool eliminate(nm_ipm *ipm, int64_t i, const double *theta, const bench *w)
{
    struct nm_ipm_neurons *s = ipm->neurons;
    int64_t points = s->n_points, count = s->first[i + 1] - s->first[i], left = count;
    nm_ipm_own *list = s->list + s->first[i];
    double *k = s->factor + s->square[i], *panel = s->panel + s->first[i] * points;

    nm_groups_inner_products(&ipm->groups, i, theta, w->scaled, w->t);
    for (int64_t e = 0; e < points * points && s->bias[i] >= 0; e++)
        w->t[e] += theta[ipm->groups.space->extra_column[s->bias[i]]];
    mirror(points, w->t);
    for (int64_t p = 0; p < points; p++)
        s->diagonal[p * s->n_out + i] = w->t[p * (points + 1)];
    do {
        count = left;
        if (factor_own(ipm, list, count, w->t, k, w->whole) < 0)
            return false;
        left = make_wait(list, count, k, w->whole);
    } while (left < count);
    s->count[i] = count;
    for (int64_t a = 0; a < count; a++)
        for (int64_t p = 0; p < points; p++)
            panel[a * points + p] = list[a].g * w->t[list[a].point * points + p];
    if (count > 0) {
        memcpy(w->below, panel, (size_t)(count * points) * sizeof *panel);
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, (int)count,
                    (int)points, 1, k, (int)count, w->below, (int)points);
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)points, (int)count, -1, w->below,
                    (int)points, 1, w->t, (int)points);
    }
    for (int64_t p = 0; p < points; p++)
        for (int64_t q = 0; q <= p; q++)
            s->inner[(p * points + q) * s->n_out + i] = s->inner[(q * points + p) * s->n_out + i] =
                w->t[p * points + q];
    return true;
}

static int thread_number(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

static nm_status eliminate_all(nm_ipm *ipm, const double *theta, bool *ok, nm_err *err)
{
    const struct nm_ipm_neurons *s = ipm->neurons;
    int64_t points = s->n_points, n_in = ipm->groups.space->n_in;
    int64_t each = points * points + (points + 1) * n_in + s->most * (points + 1);
    int64_t failures = 0;
    double *memory;
    nm_status rc = nm_alloc(&memory, (size_t)ipm->threads, (size_t)each * sizeof *memory, err);

    if (rc != NM_OK)
        return rc;
#pragma omp parallel for schedule(dynamic) num_threads(ipm->threads) reduction(+ : failures)       \
    if (nm_worth_threads(points * points * n_in * s->n_out))
    for (int64_t i = 0; i < s->n_out; i++) {
        bench w = {.t = memory + thread_number() * each};

        w.scaled = w.t + points * points;
        w.below = w.scaled + (points + 1) * n_in;
        w.whole = w.below + s->most * points;
        failures += !eliminate(ipm, i, theta, &w);
    }
    nm_free(memory);
    *ok = failures == 0;
    return NM_OK;
}

/* -- products with what was eliminated -------------------------------------------------------- */

/* L^-1 (or its transpose) times the part of each neuron, in place. */
static void solve_own(const struct nm_ipm_neurons *s, bool transposed, double *v)
{
    for (int64_t i = 0; i < s->n_out; i++)
        if (s->count[i] > 0)
            cblas_dtrsv(CblasRowMajor, CblasLower, transposed ? CblasTrans : CblasNoTrans,
                        CblasNonUnit, (int)s->count[i], s->factor + s->square[i], (int)s->count[i],
                        v + s->first[i], 1);
}

/* The rest's rows less K(rest, own) v. */
static void subtract_own(const struct nm_ipm_neurons *s, const double *v, double *rest)
{
    int64_t points = s->n_points, width = nm_factor_width(s->rest.space);

    memset(s->layer, 0, (size_t)(s->n_out * points) * sizeof *s->layer);
    for (int64_t i = 0; i < s->n_out; i++)
        if (s->count[i] > 0)
            cblas_dgemv(CblasRowMajor, CblasTrans, (int)s->count[i], (int)points, 1,
                        s->panel + s->first[i] * points, (int)points, v + s->first[i], 1, 0,
                        s->layer + i * points, 1);
    for (int64_t p = 0; p < points; p++)
        for (int64_t r = s->rest.first[p]; r < s->rest.first[p + 1]; r++)
            rest[r] -=
                cblas_ddot((int)s->n_out, s->rest.g + r * width, 1, s->layer + p, (int)points);
    for (int64_t k = 0; k < s->n_waiting; k++)
        rest[s->rest.m + k] -=
            s->waiting[k].g * s->layer[s->waiting_at[k] * points + s->waiting[k].point];
}

/* out = K(own, rest) times the rest's solution. */
static void pull_rest(const struct nm_ipm_neurons *s, const double *rest, double *out)
{
    int64_t points = s->n_points, width = nm_factor_width(s->rest.space);

    memset(s->layer, 0, (size_t)(s->n_out * points) * sizeof *s->layer);
    for (int64_t p = 0; p < points; p++)
        for (int64_t r = s->rest.first[p]; r < s->rest.first[p + 1]; r++)
            cblas_daxpy((int)s->n_out, rest[r], s->rest.g + r * width, 1, s->layer + p,
                        (int)points);
    for (int64_t k = 0; k < s->n_waiting; k++)
        s->layer[s->waiting_at[k] * points + s->waiting[k].point] +=
            s->waiting[k].g * rest[s->rest.m + k];
    for (int64_t i = 0; i < s->n_out; i++)
        if (s->count[i] > 0)
            cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)s->count[i], (int)points, 1,
                        s->panel + s->first[i] * points, (int)points, s->layer + i * points, 1, 0,
                        out + s->first[i], 1);
}

static double own_dot(const struct nm_ipm_neurons *s, const double *a, const double *b)
{
    double sum = 0;

    for (int64_t i = 0; i < s->n_out; i++)
        sum += cblas_ddot((int)s->count[i], a + s->first[i], 1, b + s->first[i], 1);
    return sum;
}

/* -- the rest --------------------------------------------------------------------------------- */

static void list_waiting(struct nm_ipm_neurons *s)
{
    s->n_waiting = 0;
    for (int64_t i = 0; i < s->n_out; i++)
        for (int64_t a = s->first[i] + s->count[i]; a < s->first[i + 1]; a++) {
            s->equation[s->rest.m + s->n_waiting] = s->list[a].equation;
            s->waiting_at[s->n_waiting] = i;
            s->waiting[s->n_waiting++] = s->list[a];
        }
}

/* Row k of those that wait, against the rest and the earlier ones of them. */
static void add_waiting(nm_ipm *ipm, int64_t k)
{
    const struct nm_ipm_neurons *s = ipm->neurons;
    int64_t i = s->waiting_at[k], width = nm_factor_width(s->rest.space);
    const double *t = s->inner + s->waiting[k].point * s->n_points * s->n_out + i;
    double g = s->waiting[k].g, *out = ipm->normal + (s->rest.m + k) * ipm->ld;

    for (int64_t p = 0; p < s->n_points; p++)
        for (int64_t r = s->rest.first[p]; r < s->rest.first[p + 1]; r++)
            out[r] = g * s->rest.g[r * width + i] * t[p * s->n_out];
    for (int64_t l = 0; l <= k; l++)
        out[s->rest.m + l] =
            s->waiting_at[l] == i ? g * s->waiting[l].g * t[s->waiting[l].point * s->n_out] : 0;
}

/* Diagonal entries as they were before the elimination. */
static void measure_rest(const nm_ipm *ipm)
{
    const struct nm_ipm_neurons *s = ipm->neurons;
    const nm_factor_space *space = s->rest.space;
    int64_t width = nm_factor_width(space);

    for (int64_t p = 0; p < s->n_points; p++)
        for (int64_t r = s->rest.first[p]; r < s->rest.first[p + 1]; r++) {
            const double *g = s->rest.g + r * width, *t = s->diagonal + p * s->n_out;
            double sum = 0;

            for (int64_t i = 0; i < s->n_out; i++)
                sum += g[i] * g[i] * t[i];
            for (int64_t e = 0; e < space->n_extra; e++)
                sum += g[s->n_out + e] * g[s->n_out + e] * s->extra[e];
            s->whole[r] = sum;
        }
    for (int64_t k = 0; k < s->n_waiting; k++)
        s->whole[s->rest.m + k] = s->waiting[k].g * s->waiting[k].g *
                                  s->diagonal[s->waiting[k].point * s->n_out + s->waiting_at[k]];
}

/* c of the rest and t's stiffness, own equations eliminated. */
static void eliminate_from_t(nm_ipm *ipm)
{
    struct nm_ipm_neurons *s = ipm->neurons;

    for (int64_t i = 0; i < s->n_out; i++)
        for (int64_t a = s->first[i]; a < s->first[i] + s->count[i]; a++)
            s->coupling[a] = ipm->coupling[s->list[a].equation];
    solve_own(s, false, s->coupling);
    s->stiffness = ipm->stiffness + own_dot(s, s->coupling, s->coupling);
    memcpy(s->solution, s->coupling, (size_t)s->first[s->n_out] * sizeof(double));
    solve_own(s, true, s->solution);
    for (int64_t r = 0; r < s->rest.m + s->n_waiting; r++)
        s->rest_coupling[r] = ipm->coupling[s->equation[r]];
    subtract_own(s, s->solution, s->rest_coupling);
}

nm_status nm_ipm_neurons_factor(nm_ipm *ipm, const double *theta, bool *ok, nm_err *err)
{
    struct nm_ipm_neurons *s = ipm->neurons;
    nm_status rc = NM_OK;

    NM_TRY(eliminate_all(ipm, theta, ok, err));
    if (!*ok)
        goto done;
    for (int64_t e = 0; e < ipm->groups.space->n_extra; e++)
        s->extra[e] = s->absorbed[e] ? 0 : theta[ipm->groups.space->extra_column[e]];
    list_waiting(s);
    int64_t n = s->rest.m + s->n_waiting;
    NM_TRY(nm_ipm_room_for_normal(ipm, n, err));
    NM_TRY(nm_groups_products_from(ipm->threads, &s->rest, s->inner, s->extra, ipm->normal, ipm->ld,
                                   err));
    for (int64_t k = 0; k < s->n_waiting; k++)
        add_waiting(ipm, k);
    measure_rest(ipm);
    for (int64_t r = 0; r < n; r++) {
        ipm->normal[r * (ipm->ld + 1)] += own_part(ipm, s->equation[r]);
        s->whole[r] += own_part(ipm, s->equation[r]) + part_of_t(ipm, s->equation[r]);
    }
    if (ipm->has_t) {
        eliminate_from_t(ipm);
        cblas_dsyr(CblasRowMajor, CblasLower, (int)n, 1 / s->stiffness, s->rest_coupling, 1,
                   ipm->normal, (int)ipm->ld);
    }
    *ok = nm_dense_cholesky_rest(ipm->threads, n, ipm->normal, ipm->ld, 1e-15, s->whole) >= 0;
done:
    return rc;
}

void nm_ipm_neurons_solve(const nm_ipm *ipm, double *b)
{
    const struct nm_ipm_neurons *s = ipm->neurons;
    int64_t n = s->rest.m + s->n_waiting, n_own = s->first[s->n_out];
    double *v = s->solution, *rest = s->right, on_t = 0, dt = 0;

    for (int64_t a = 0; a < n_own; a++)
        v[a] = b[s->list[a].equation];
    solve_own(s, false, v);
    if (ipm->has_t)
        on_t = own_dot(s, s->coupling, v);
    double *kept = b; /* room for L^-1 b: the equations of b have been read */
    for (int64_t r = 0; r < n; r++)
        rest[r] = b[s->equation[r]];
    memcpy(kept, v, (size_t)n_own * sizeof *v);
    solve_own(s, true, v);
    subtract_own(s, v, rest);
    if (ipm->has_t)
        cblas_daxpy((int)n, -on_t / s->stiffness, s->rest_coupling, 1, rest, 1);
    nm_dense_cholesky_solve(n, ipm->normal, ipm->ld, rest);
    if (ipm->has_t)
        dt = (cblas_ddot((int)n, s->rest_coupling, 1, rest, 1) + on_t) / s->stiffness;
    pull_rest(s, rest, v);
    solve_own(s, false, v);
    for (int64_t a = 0; a < n_own; a++)
        v[a] = kept[a] - v[a] - (ipm->has_t ? dt * s->coupling[a] : 0);
    solve_own(s, true, v);
    for (int64_t i = 0; i < s->n_out; i++)
        for (int64_t a = s->first[i]; a < s->first[i] + s->count[i]; a++)
            b[s->list[a].equation] = v[a];
    for (int64_t r = 0; r < n; r++)
        b[s->equation[r]] = rest[r];
}
