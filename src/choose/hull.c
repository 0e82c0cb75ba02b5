/* Everything is read off the inner products of the centred points, so the width matters once only.
 *
 * Dimension: rank by pivoted Cholesky factorisation (Higham, "Analysis of the Cholesky
 * decomposition of a semi-definite matrix", 1990); the product of the pivots is the squared volume.
 * Vertices: x_i is one iff some w has w(x_i - x_j) >= 1 for all other points, a least-distance
 * program over the same inner products (solve/gram.h). */
#include "choose/hull.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/gram.h"
#include "tensor/gemm.h"

nm_status nm_centred_products(const float *x, int64_t n, int64_t width, double **out, nm_err *err)
{
    double *centred = NULL;
    nm_status rc = NM_OK;
    nm_gemm g = {.trans_b = true,
                 .m = n,
                 .n = n,
                 .k = width,
                 .lda = width,
                 .ldb = width,
                 .ldc = n,
                 .alpha = 1};

    *out = NULL;
    NM_TRY(nm_alloc(&centred, (size_t)n, (size_t)width * sizeof *centred, err));
    NM_TRY(nm_alloc(out, (size_t)n, (size_t)n * sizeof **out, err));
    for (int64_t k = 0; k < width; k++) {
        double mean = 0;

        for (int64_t i = 0; i < n; i++)
            mean += (double)x[i * width + k] / (double)n;
        for (int64_t i = 0; i < n; i++)
            centred[i * width + k] = (double)x[i * width + k] - mean;
    }
    nm_gemm_f64(&g, centred, centred, *out);
done:
    nm_free(centred);
    return rc;
}

/* -- dimension ------------------------------------------------------------------------------- */

/* Destroys k. */
static void factor(double *k, int64_t n, nm_hull *out)
{
    double first = 0, least;

    out->dimension = 0;
    out->log_volume = 0;
    for (int64_t i = 0; i < n; i++)
        first = fmax(first, k[i * n + i]);
    least = first * NM_HULL_TOLERANCE * NM_HULL_TOLERANCE;
    while (out->dimension < n) {
        int64_t p = 0;
        double pivot;

        for (int64_t i = 1; i < n; i++)
            p = k[i * n + i] > k[p * n + p] ? i : p;
        pivot = k[p * n + p];
        if (!(pivot > least))
            break;
        out->dimension++;
        out->log_volume += 0.5 * log(pivot);
        for (int64_t i = 0; i < n; i++) {
            double share = k[i * n + p] / pivot;

            for (int64_t j = 0; i != p && j < n; j++)
                k[i * n + j] -= share * k[p * n + j];
        }
        for (int64_t j = 0; j < n; j++)
            k[p * n + j] = k[j * n + p] = 0;
    }
    if (out->dimension == 0)
        out->log_volume = NAN;
}

/* -- vertices -------------------------------------------------------------------------------- */

static double distance2(const double *k, int64_t n, int64_t i, int64_t j)
{
    return k[i * n + i] + k[j * n + j] - 2 * k[i * n + j];
}

/* One of each group of points that coincide. @return how many */
static int64_t distinct(const double *k, int64_t n, int64_t *points)
{
    double scale = 0;
    int64_t found = 0;

    for (int64_t i = 0; i < n; i++)
        scale = fmax(scale, k[i * n + i]);
    for (int64_t i = 0; i < n; i++) {
        bool new_point = true;

        for (int64_t j = 0; j < found && new_point; j++)
            new_point =
                distance2(k, n, i, points[j]) > scale * NM_HULL_TOLERANCE * NM_HULL_TOLERANCE;
        if (new_point)
            points[found++] = i;
    }
    return found;
}

/* Nearly contradicting rows may count as solved with a large error: looked at again. */
static bool holds(const nm_gram *gram)
{
    for (int64_t p = 0; p < gram->m; p++) {
        double sum = 0;

        for (int64_t q = 0; q < gram->m; q++)
            sum += gram->k[p * gram->capacity + q] * gram->y[q];
        if (sum < gram->h[p] * (1 - 1e-6))
            return false;
    }
    return true;
}

/* Is point `i` of the m points a vertex? @param known  out: the solver had an answer */
static nm_status is_vertex(const nm_ctx *ctx, const double *k, int64_t n, const int64_t *points,
                           int64_t m, int64_t i, bool *vertex, bool *known, nm_err *err)
{
    nm_gram gram = {0};
    nm_ldp_outcome outcome;
    int64_t a = points[i];
    nm_status rc = NM_OK;

    NM_TRY(nm_gram_grow(&gram, m - 1, err));
    for (int64_t p = 0; p < m - 1; p++) {
        int64_t b = points[p + (p >= i)];

        for (int64_t q = 0; q < m - 1; q++) {
            int64_t c = points[q + (q >= i)];

            gram.k[p * gram.capacity + q] =
                k[a * n + a] - k[a * n + b] - k[a * n + c] + k[b * n + c];
        }
        gram.h[p] = sqrt(distance2(k, n, a, b)); /* so that scaled rows ask for 1 */
    }
    nm_gram_take(&gram, 0);
    NM_TRY(nm_gram_solve(&gram, ctx, &outcome, err));
    *vertex = outcome == NM_LDP_SOLVED && holds(&gram);
    *known = outcome == NM_LDP_SOLVED || outcome == NM_LDP_INFEASIBLE;
done:
    nm_gram_free(&gram);
    return rc;
}

static nm_status count_vertices(const nm_ctx *ctx, const double *k, int64_t n, nm_hull *out,
                                nm_err *err)
{
    int64_t *points = NULL, m;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&points, (size_t)n, sizeof *points, err));
    m = distinct(k, n, points);
    out->vertices = m;
    if (m - 1 <= out->dimension) /* affinely independent */
        goto done;
    out->vertices = 0;
    for (int64_t i = 0; i < m; i++) {
        bool vertex, known;

        NM_TRY(is_vertex(ctx, k, n, points, m, i, &vertex, &known, err));
        if (!known) {
            out->vertices = -1;
            break;
        }
        out->vertices += vertex;
    }
done:
    nm_free(points);
    return rc;
}

nm_status nm_hull_of(const nm_ctx *ctx, const float *x, int64_t n, int64_t width, nm_hull *out,
                     nm_err *err)
{
    double *k = NULL, *copy = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_centred_products(x, n, width, &k, err));
    NM_TRY(nm_memdup(&copy, k, (size_t)(n * n), sizeof *k, err));
    factor(copy, n, out);
    NM_TRY(count_vertices(ctx, k, n, out, err));
done:
    nm_free(k);
    nm_free(copy);
    return rc;
}
