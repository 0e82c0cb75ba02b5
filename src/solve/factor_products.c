/* A diag(theta) B' of rows that are outer products. For rows r of point p and s of point q
 *
 *     entry(r, s) = sum_i g_ri g_si T_i + sum_e g_re g_se theta_e,
 *     T_i = sum_k theta_ik x_pk x_qk   (theta_ik = 0 where the weight is not free),
 *
 * so T is needed once for each pair of points. For a few p at a time: T of all q (a product of the
 * inputs with theta o x_p), then all rows s times T (`bent`), then the rows r of p times these.
 * If theta = 1 and all weights are free, T_i = x_p . x_q for all i. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/factors.h"
#include "tensor/dense.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    POINTS = 8, /* points p whose T are at hand at a time, */
    OUTPUTS = 8 /* and outputs, while these are made */
};

typedef struct job {
    const nm_groups *a, *b;
    bool lower, uniform;
    const double *weight; /* [n_out x n_in] theta of the weights, unless uniform */
    const double *extra;  /* [n_extra] theta of the extras */
    const double *inner;  /* T of all pairs, [n_points x n_points x n_out]; NULL = from theta */
    double *out;
    int64_t ldo;
} job;

/* What one thread works with. */
typedef struct bench {
    double *strip;  /* [NM_STRIP x n_in] theta o x_p of a strip of outputs */
    double *t;      /* of each of some points: [b->n_points x n_out], uniform: [b->n_points] */
    double *bent;   /* [b->m x width] */
    double *block;  /* [most rows of a point of a x b->m] */
    double *corner; /* [OUTPUTS x b->n_points x POINTS] */
} bench;

static int64_t most_rows(const nm_groups *groups)
{
    int64_t most = 0;

    for (int64_t k = 0; k < groups->n_points; k++) {
        int64_t count = groups->first[k + 1] - groups->first[k];

        most = count > most ? count : most;
    }
    return most;
}

/* t of all points of b from number `start` on with point x. */
static void multiply_inputs(const job *j, const bench *w, const double *x, int64_t start)
{
    const nm_factor_space *space = j->b->space;
    int64_t n_in = space->n_in, count = j->b->n_points - start;
    const double *inputs = j->b->x + start * n_in;

    if (j->uniform) {
        cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)count, (int)n_in, 1, inputs, (int)n_in, x, 1,
                    0, w->t, 1);
        return;
    }
    for (int64_t first = 0; first < space->n_out; first += NM_STRIP) {
        int64_t rows = space->n_out - first < NM_STRIP ? space->n_out - first : NM_STRIP;

        for (int64_t i = 0; i < rows; i++)
            for (int64_t k = 0; k < n_in; k++)
                w->strip[i * n_in + k] = j->weight[(first + i) * n_in + k] * x[k];
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)rows, (int)n_in, 1,
                    inputs, (int)n_in, w->strip, (int)n_in, 0, w->t + first, (int)space->n_out);
    }
}

/* T of output i for points p .. p + count - 1 of a with those of b from `start` on, [those x
 * count], from the free weights alone. Both lists have packed inputs of the same weights. */
static void multiply_free_input(const job *j, const bench *w, int64_t p, int64_t count,
                                int64_t start, int64_t i, double *out)
{
    int64_t n_a = j->a->n_points, n_b = j->b->n_points - start;
    int64_t first = j->b->free_first[i], free = j->b->free_first[i + 1] - first;

    if (free == 0) {
        memset(out, 0, (size_t)(n_b * count) * sizeof *out);
        return;
    }
    for (int64_t k = 0; k < free; k++)
        for (int64_t c = 0; c < count; c++)
            w->strip[k * count + c] =
                j->weight[first + k] * j->a->packed[(first + k) * n_a + p + c];
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)n_b, (int)count, (int)free, 1,
                j->b->packed + first * j->b->n_points + start, (int)j->b->n_points, w->strip,
                (int)count, 0, out, (int)count);
}

/* T of all outputs, one point after the other, into t. Some outputs at a time, so that t is written
 * in stretches. */
static void multiply_free_inputs(const job *j, const bench *w, int64_t p, int64_t count)
{
    int64_t start = j->lower ? p : 0;
    int64_t n_out = j->b->space->n_out, n_b = j->b->n_points - start;

    for (int64_t first = 0; first < n_out; first += OUTPUTS) {
        int64_t outputs = n_out - first < OUTPUTS ? n_out - first : OUTPUTS;

        for (int64_t i = 0; i < outputs; i++)
            multiply_free_input(j, w, p, count, start, first + i, w->corner + i * n_b * count);
        for (int64_t c = 0; c < count; c++)
            for (int64_t q = 0; q < n_b; q++)
                for (int64_t i = 0; i < outputs; i++)
                    w->t[(c * n_b + q) * n_out + first + i] = w->corner[(i * n_b + q) * count + c];
    }
}

/* bent = the rows of b from point number `start` on, g times t, extras times theta. */
/* @param t  T of the points from `start` on */
static void bend_rows(const job *j, const bench *w, int64_t start, const double *all_t)
{
    const nm_factor_space *space = j->b->space;
    int64_t width = nm_factor_width(space);
    double *to = w->bent;

    for (int64_t q = start; q < j->b->n_points; q++) {
        const double *t = all_t + (q - start) * (j->uniform ? 1 : space->n_out);

        for (int64_t s = j->b->first[q]; s < j->b->first[q + 1]; s++, to += width) {
            const double *g = j->b->g + s * width;

            for (int64_t i = 0; i < space->n_out; i++)
                to[i] = g[i] * t[j->uniform ? 0 : i];
            for (int64_t e = 0; e < space->n_extra; e++)
                to[space->n_out + e] = g[space->n_out + e] * j->extra[e];
        }
    }
}

/* Products of the rows of point number p of a; entries of different p never coincide. */
static void multiply_point(const job *j, const bench *w, int64_t p)
{
    int64_t start = j->lower ? p : 0, width = nm_factor_width(j->a->space);
    int64_t row = j->a->first[p], rows = j->a->first[p + 1] - row;
    int64_t place = j->b->first[start], count = j->b->m - place;

    if (j->inner) {
        bend_rows(j, w, start, j->inner + (p * j->b->n_points + start) * j->b->space->n_out);
    } else if (j->b->sparse) {
        int64_t first = j->lower ? p - p % POINTS : 0, each = j->b->n_points - first;

        bend_rows(j, w, start, w->t + (p % POINTS * each + start - first) * j->b->space->n_out);
    } else {
        multiply_inputs(j, w, j->a->x + p * j->a->space->n_in, start);
        bend_rows(j, w, start, w->t);
    }
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)count, (int)width, 1,
                j->a->g + row * width, (int)width, w->bent, (int)width, 0, w->block, (int)count);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t s = 0; s < count; s++) {
            int64_t i = j->a->row[row + r], k = j->b->row[place + s];
            bool swap = j->lower && k > i;

            j->out[swap ? k * j->ldo + i : i * j->ldo + k] = w->block[r * count + s];
        }
}

/* Points p .. p + POINTS - 1 of a, as far as there are. */
static void multiply_points(const job *j, const bench *w, int64_t p)
{
    int64_t count = j->a->n_points - p < POINTS ? j->a->n_points - p : POINTS;

    if (j->b->sparse && !j->inner)
        multiply_free_inputs(j, w, p, count);
    for (int64_t c = 0; c < count; c++)
        multiply_point(j, w, p + c);
}

/* One thread's memory is `each` doubles, in the order of struct bench. */
static bench bench_of(const job *j, double *memory, int64_t each, int thread)
{
    const nm_factor_space *space = j->a->space;
    bench w = {.strip = memory + thread * each};

    w.t = w.strip + NM_STRIP * space->n_in;
    w.bent = w.t + (j->b->sparse ? POINTS : 1) * j->b->n_points * space->n_out;
    w.block = w.bent + j->b->m * nm_factor_width(space);
    w.corner = w.block + j->b->m * most_rows(j->a);
    return w;
}

static int thread_number(void)
{
#ifdef _OPENMP
    return omp_get_thread_num();
#else
    return 0;
#endif
}

/* Multiplications of the job. */
static int64_t work_of(const job *j)
{
    const nm_factor_space *space = j->a->space;
    int64_t each = j->inner ? 0 : j->uniform ? space->n_in : j->b->n_free;
    int64_t all =
        j->a->n_points * j->b->n_points * each + j->a->m * j->b->m * nm_factor_width(space);

    return j->lower ? all / 2 : all;
}

static nm_status run(int threads, const job *j, nm_err *err)
{
    const nm_factor_space *space = j->a->space;
    int64_t each = NM_STRIP * space->n_in + OUTPUTS * POINTS * j->b->n_points +
                   (j->b->sparse ? POINTS : 1) * j->b->n_points * space->n_out +
                   j->b->m * (nm_factor_width(space) + most_rows(j->a));
    double *memory;
    nm_status rc = nm_alloc(&memory, (size_t)threads, (size_t)each * sizeof *memory, err);

    if (rc != NM_OK)
        return rc;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (nm_worth_threads(work_of(j)))
    for (int64_t p = 0; p < j->a->n_points; p += POINTS) {
        bench w = bench_of(j, memory, each, thread_number());

        multiply_points(j, &w, p);
    }
    nm_free(memory);
    return NM_OK;
}

nm_status nm_groups_products(int threads, bool lower, const nm_groups *a, const nm_groups *b,
                             const double *theta, double *out, int64_t ldo, nm_err *err)
{
    const nm_factor_space *space = a->space;
    int64_t weights = space->n_out * space->n_in;
    job j = {.a = a, .b = b, .lower = lower, .out = out, .ldo = ldo};
    double *extra;
    nm_status rc = nm_alloc(&extra, (size_t)space->n_extra, sizeof *extra, err);

    if (rc != NM_OK)
        return rc;
    j.extra = extra;
    j.uniform = !theta && a->full;
    bool as_it_is = theta && a->direct >= 0;
    j.weight = as_it_is ? theta + a->direct : a->matrix;
    for (int64_t f = 0; f < a->n_free && a->sparse; f++)
        a->matrix[f] = theta ? theta[a->free_column[f]] : 1;
    for (int64_t w = 0; w < weights && !j.uniform && !as_it_is && !a->sparse; w++) {
        int64_t column = space->column[w];

        a->matrix[w] = column < 0 ? 0 : theta ? theta[column] : 1;
    }
    for (int64_t e = 0; e < space->n_extra; e++)
        extra[e] = theta ? theta[space->extra_column[e]] : 1;
    if (a->m > 0 && b->m > 0)
        rc = run(threads, &j, err);
    nm_free(extra);
    return rc;
}

/* -- with T at hand --------------------------------------------------------------------------- */

void nm_groups_inner_products(const nm_groups *groups, int64_t i, const double *theta,
                              double *scratch, double *out)
{
    const nm_factor_space *space = groups->space;
    int64_t n_points = groups->n_points, n_in = space->n_in;
    double *root = scratch, *scaled = scratch + n_in;

    if (groups->sparse) {
        int64_t first = groups->free_first[i], free = groups->free_first[i + 1] - first;

        for (int64_t f = 0; f < free; f++) {
            double scale = sqrt(theta[groups->free_column[first + f]]);

            for (int64_t p = 0; p < n_points; p++)
                scaled[f * n_points + p] = scale * groups->packed[(first + f) * n_points + p];
        }
        memset(out, 0, (size_t)(n_points * n_points) * sizeof *out);
        if (free > 0)
            cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)n_points, (int)free, 1, scaled,
                        (int)n_points, 0, out, (int)n_points);
        return;
    }
    for (int64_t k = 0; k < n_in; k++) {
        int64_t column = space->column[i * n_in + k];

        root[k] = column < 0 ? 0 : sqrt(theta[column]);
    }
    for (int64_t p = 0; p < n_points; p++)
        for (int64_t k = 0; k < n_in; k++)
            scaled[p * n_in + k] = root[k] * groups->x[p * n_in + k];
    cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, (int)n_points, (int)n_in, 1, scaled,
                (int)n_in, 0, out, (int)n_points);
}

nm_status nm_groups_products_from(int threads, const nm_groups *groups, const double *inner,
                                  const double *extra, double *out, int64_t ldo, nm_err *err)
{
    job j = {.a = groups,
             .b = groups,
             .lower = true,
             .inner = inner,
             .extra = extra,
             .out = out,
             .ldo = ldo};

    return groups->m > 0 ? run(threads, &j, err) : NM_OK;
}
