#include "problem/moment.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

struct nm_moment {
    int64_t n;
    bool sampled;
    bool coarse;    /* vectors are multiplied in float32 */
    double *matrix; /* dense: [n x n] lower half; sampled: [sample x sample] of V V' + e I */
    double *sample; /* sampled: V [n_sample x n] */
    int64_t n_sample, stride, seen;
    double squares; /* sum of |v|^2 */
    double damping;
};

nm_status nm_moment_new(int64_t n, int64_t n_expected, nm_moment **out, nm_err *err)
{
    nm_moment *m = NULL;
    nm_status rc = NM_OK;
    int64_t room = n_expected < NM_MOMENT_SAMPLE ? n_expected : NM_MOMENT_SAMPLE;

    *out = NULL;
    NM_TRY(nm_alloc(&m, 1, sizeof *m, err));
    *m =
        (nm_moment){.n = n, .sampled = n > NM_MOMENT_DENSE || (room == n_expected && 2 * room < n)};
    m->stride = (n_expected + NM_MOMENT_SAMPLE - 1) / NM_MOMENT_SAMPLE;
    if (m->sampled)
        NM_TRY(nm_alloc(&m->sample, (size_t)room, (size_t)n * sizeof *m->sample, err));
    else
        NM_TRY(nm_alloc(&m->matrix, (size_t)n, (size_t)n * sizeof *m->matrix, err));
    *out = m;
    m = NULL;
done:
    nm_moment_free(m);
    return rc;
}

void nm_moment_free(nm_moment *m)
{
    if (!m)
        return;
    nm_free(m->matrix);
    nm_free(m->sample);
    nm_free(m);
}

void nm_moment_make_coarse(nm_moment *m)
{
    enum { LARGE = 256 };

    m->coarse = m->n >= LARGE;
}

/* A power of two that brings the largest of n numbers to about 1; 0 if there is none. */
static double scale_of(const double *v, int64_t n)
{
    double most = fabs(v[cblas_idamax((int)n, v, 1)]);
    int exponent;

    if (!(most > 1e-300 && most < 1e300))
        return 0;
    (void)frexp(most, &exponent);
    return ldexp(1, -exponent);
}

/* matrix += v'v with products and their sums over these vectors in float32. */
static nm_status add_coarse(const nm_ctx *ctx, nm_moment *m, const double *v, int64_t count,
                            double scale, nm_err *err)
{
    enum { TILE = 192 };
    int64_t n = m->n, tiles = (n + TILE - 1) / TILE;
    float *small = NULL, *sums = NULL;
    int threads = nm_ctx_threads(ctx);
    double back = 1 / (scale * scale);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&small, (size_t)count, (size_t)n * sizeof *small, err));
    NM_TRY(nm_alloc(&sums, (size_t)threads, TILE * TILE * sizeof *sums, err));
    for (int64_t i = 0; i < count * n; i++)
        small[i] = (float)(scale * v[i]);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (int64_t t = 0; t < tiles * tiles; t++) {
        int64_t i = t / tiles * TILE, j = t % tiles * TILE;
        int64_t rows = n - i < TILE ? n - i : TILE, columns = n - j < TILE ? n - j : TILE;
        float *sum = sums + (int64_t)omp_get_thread_num() * TILE * TILE;

        if (j > i)
            continue;
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)columns, (int)count, 1,
                    small + i, (int)n, small + j, (int)n, 0, sum, TILE);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < columns; c++)
                m->matrix[(i + r) * n + j + c] += back * (double)sum[r * TILE + c];
    }
done:
    nm_free(small);
    nm_free(sums);
    return rc;
}

/* matrix += v'v: products of the vectors' transpose with itself. */
static nm_status add_dense(const nm_ctx *ctx, nm_moment *m, const double *v, int64_t count,
                           nm_err *err)
{
    double *columns;
    nm_status rc = nm_alloc(&columns, (size_t)m->n, (size_t)count * sizeof *columns, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < m->n; k++)
            columns[k * count + i] = v[i * m->n + k];
    nm_dense_products(nm_ctx_threads(ctx), true, m->n, columns, count, m->n, columns, count, count,
                      m->matrix, m->n);
    nm_free(columns);
    return NM_OK;
}

nm_status nm_moment_add(const nm_ctx *ctx, nm_moment *m, const double *v, int64_t count,
                        nm_err *err)
{
    m->squares += cblas_ddot((int)(count * m->n), v, 1, v, 1);
    if (!m->sampled) {
        double scale = m->coarse && count > 0 ? scale_of(v, count * m->n) : 0;

        m->seen += count;
        return scale > 0 ? add_coarse(ctx, m, v, count, scale, err)
                         : add_dense(ctx, m, v, count, err);
    }
    for (int64_t i = 0; i < count; i++, m->seen++)
        if (m->seen % m->stride == 0 && m->n_sample < NM_MOMENT_SAMPLE)
            memcpy(m->sample + m->n_sample++ * m->n, v + i * m->n, (size_t)m->n * sizeof *v);
    return NM_OK;
}

double nm_moment_scale(const nm_moment *m, double weight)
{
    return m->squares / ((double)m->n * weight);
}

static nm_status finish_sampled(const nm_ctx *ctx, nm_moment *m, double weight, nm_err *err)
{
    int64_t k = m->n_sample;
    double factor = sqrt((double)m->seen / ((double)(k > 0 ? k : 1) * weight));
    nm_status rc = nm_alloc(&m->matrix, (size_t)k, (size_t)k * sizeof *m->matrix, err);

    if (rc != NM_OK)
        return rc;
    cblas_dscal((int)(k * m->n), factor, m->sample, 1);
    nm_dense_products(nm_ctx_threads(ctx), true, k, m->sample, m->n, k, m->sample, m->n, m->n,
                      m->matrix, k);
    for (int64_t i = 0; i < k; i++)
        m->matrix[i * (k + 1)] += m->damping;
    return NM_OK;
}

nm_status nm_moment_finish(const nm_ctx *ctx, nm_moment *m, double weight, double damping,
                           nm_err *err)
{
    int64_t n = m->sampled ? m->n_sample : m->n;
    nm_status rc = NM_OK;

    m->damping = damping;
    if (m->sampled) {
        rc = finish_sampled(ctx, m, weight, err);
    } else {
        cblas_dscal((int)(n * n), 1 / weight, m->matrix, 1);
        for (int64_t i = 0; i < n; i++)
            m->matrix[i * (n + 1)] += damping;
    }
    if (rc == NM_OK && nm_dense_cholesky(nm_ctx_threads(ctx), n, m->matrix, n, 0) != 0)
        rc = nm_fail(err, NM_E_FORMAT,
                     "the reference data gives second moments that are not finite or not positive; "
                     "expected moderate values");
    return rc;
}

/* b [count x n] := b L^-T L^-1, strips of rows at a time. */
static void solve_strips(int threads, int64_t n, const double *l, int64_t count, double *b)
{
    enum { STRIP = 64 };
    int64_t strips = (count + STRIP - 1) / STRIP;

#pragma omp parallel for schedule(dynamic) num_threads(threads) if (strips > 1 && n > 32)
    for (int64_t s = 0; s < strips; s++) {
        int64_t first = s * STRIP, rows = count - first < STRIP ? count - first : STRIP;

        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, (int)rows,
                    (int)n, 1, l, (int)n, b + first * n, (int)n);
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (int)rows,
                    (int)n, 1, l, (int)n, b + first * n, (int)n);
    }
}

/* out = (v - V'(V V' + e I)^-1 V v) / e. */
static nm_status solve_sampled(const nm_ctx *ctx, const nm_moment *m, const double *v,
                               int64_t count, double *out, nm_err *err)
{
    enum { STRIP = 64 };
    int64_t k = m->n_sample, n = m->n, strips = (count + STRIP - 1) / STRIP;
    int threads = nm_ctx_threads(ctx);
    double *inner;
    nm_status rc = nm_alloc(&inner, (size_t)count, (size_t)k * sizeof *inner, err);

    if (rc != NM_OK)
        return rc;
    nm_dense_products(threads, false, count, v, n, k, m->sample, n, n, inner, k);
    solve_strips(threads, k, m->matrix, count, inner);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (strips > 1)
    for (int64_t s = 0; s < strips; s++) {
        int64_t first = s * STRIP, rows = count - first < STRIP ? count - first : STRIP;

        memcpy(out + first * n, v + first * n, (size_t)(rows * n) * sizeof *out);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, (int)n, (int)k,
                    -1 / m->damping, inner + first * k, (int)k, m->sample, (int)n, 1 / m->damping,
                    out + first * n, (int)n);
    }
    nm_free(inner);
    return NM_OK;
}

nm_status nm_moment_solve(const nm_ctx *ctx, const nm_moment *m, const double *v, int64_t count,
                          double *out, nm_err *err)
{
    if (m->sampled && m->n_sample > 0)
        return solve_sampled(ctx, m, v, count, out, err);
    memcpy(out, v, (size_t)(count * m->n) * sizeof *out);
    if (m->sampled)
        cblas_dscal((int)(count * m->n), 1 / m->damping, out, 1);
    else
        solve_strips(nm_ctx_threads(ctx), m->n, m->matrix, count, out);
    return NM_OK;
}
