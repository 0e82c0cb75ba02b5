/* Regions in memory: corners of boxes, vertices without doubles. */
#include "netmend/regions.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "spec/property.h"

void nm_regions_free(nm_regions *regions)
{
    nm_free(regions->first);
    nm_free(regions->vertex);
    nm_free(regions->lo);
    nm_free(regions->hi);
    *regions = (nm_regions){0};
}

static bool all_finite(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* -- boxes ------------------------------------------------------------------------------------ */

/* Corners of a box: two for each input that it does not fix. @return 0 when they are too many */
static int64_t n_corners(const double *lo, const double *hi, int64_t n_in)
{
    int64_t n = 1;

    for (int64_t i = 0; i < n_in && n >> NM_MOST_FREE_INPUTS <= 1; i++)
        n *= lo[i] < hi[i] ? 2 : 1;
    return n >> NM_MOST_FREE_INPUTS > 1 ? 0 : n;
}

static nm_status check_box(const double *lo, const double *hi, int64_t n_in, int64_t box,
                           nm_err *err)
{
    for (int64_t i = 0; i < n_in; i++)
        if (!isfinite(lo[i]) || !isfinite(hi[i]) || lo[i] > hi[i])
            return nm_fail(err, NM_E_ARG,
                           "box %lld, input %lld: [%g, %g], expected finite ends in order",
                           (long long)box, (long long)i, lo[i], hi[i]);
    if (n_corners(lo, hi, n_in) == 0)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "box %lld: more than %d inputs are not fixed, each of which doubles its "
                       "corners; expected at most %d",
                       (long long)box, NM_MOST_FREE_INPUTS, NM_MOST_FREE_INPUTS);
    return NM_OK;
}

static void write_corners(const double *lo, const double *hi, int64_t n_in, double *out)
{
    int64_t n = n_corners(lo, hi, n_in);

    for (int64_t c = 0; c < n; c++) {
        int bit = 0;

        for (int64_t i = 0; i < n_in; i++) {
            bool high = lo[i] < hi[i] && (c >> bit & 1);

            bit += lo[i] < hi[i];
            out[c * n_in + i] = high ? hi[i] : lo[i];
        }
    }
}

nm_status nm_regions_from_boxes(const double *lo, const double *hi, int64_t n, int64_t n_in,
                                nm_regions *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_regions){.n = n, .n_in = n_in, .boxes = true};
    if (n < 1 || n_in < 1)
        return nm_fail(err, NM_E_ARG, "no regions, expected at least one");
    NM_TRY(nm_alloc(&out->first, (size_t)n + 1, sizeof *out->first, err));
    for (int64_t r = 0; r < n; r++) {
        NM_TRY(check_box(lo + r * n_in, hi + r * n_in, n_in, r, err));
        out->first[r + 1] = out->first[r] + n_corners(lo + r * n_in, hi + r * n_in, n_in);
    }
    NM_TRY(nm_memdup(&out->lo, lo, (size_t)n, (size_t)n_in * sizeof *lo, err));
    NM_TRY(nm_memdup(&out->hi, hi, (size_t)n, (size_t)n_in * sizeof *hi, err));
    NM_TRY(nm_alloc(&out->vertex, (size_t)out->first[n], (size_t)n_in * sizeof *out->vertex, err));
    for (int64_t r = 0; r < n; r++)
        write_corners(lo + r * n_in, hi + r * n_in, n_in, out->vertex + out->first[r] * n_in);
done:
    if (rc != NM_OK)
        nm_regions_free(out);
    return rc;
}

nm_status nm_regions_from_property(const nm_property *p, nm_regions *out, nm_err *err)
{
    size_t bytes = (size_t)p->n_in * sizeof(double);
    double *lo = NULL, *hi = NULL;
    nm_status rc = NM_OK;

    *out = (nm_regions){0};
    if (p->n_boxes == 0)
        return nm_fail(err, NM_E_ARG, "the property has no inputs: it holds as it is");
    NM_TRY(nm_alloc(&lo, (size_t)p->n_boxes, bytes, err));
    NM_TRY(nm_alloc(&hi, (size_t)p->n_boxes, bytes, err));
    for (int64_t b = 0; b < p->n_boxes; b++) {
        memcpy(lo + b * p->n_in, p->boxes[b].lo_out, bytes);
        memcpy(hi + b * p->n_in, p->boxes[b].hi_out, bytes);
    }
    NM_TRY(nm_regions_from_boxes(lo, hi, p->n_boxes, p->n_in, out, err));
done:
    nm_free(lo);
    nm_free(hi);
    return rc;
}

/* -- hulls ------------------------------------------------------------------------------------ */

static bool is_among(const double *vertex, const double *all, int64_t n, int64_t n_in)
{
    for (int64_t i = 0; i < n; i++) {
        bool same = true;

        for (int64_t k = 0; same && k < n_in; k++)
            same = vertex[k] == all[i * n_in + k];
        if (same)
            return true;
    }
    return false;
}

nm_status nm_regions_from_vertices(const double *vertex, int64_t n, int64_t n_vertices,
                                   int64_t n_in, nm_regions *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_regions){.n = n, .n_in = n_in};
    if (n < 1 || n_vertices < 1 || n_in < 1)
        return nm_fail(err, NM_E_ARG, "no regions, expected at least one vertex");
    if (n_vertices > NM_MOST_VERTICES)
        return nm_fail(err, NM_E_UNSUPPORTED, "%lld vertices a region, expected at most %d",
                       (long long)n_vertices, NM_MOST_VERTICES);
    for (int64_t r = 0; r < n * n_vertices; r++)
        if (!all_finite(vertex + r * n_in, n_in))
            return nm_fail(err, NM_E_ARG, "region %lld, vertex %lld: a number is not finite",
                           (long long)(r / n_vertices), (long long)(r % n_vertices));
    NM_TRY(nm_alloc(&out->first, (size_t)n + 1, sizeof *out->first, err));
    NM_TRY(nm_alloc(&out->vertex, (size_t)(n * n_vertices), (size_t)n_in * sizeof *vertex, err));
    for (int64_t r = 0; r < n; r++) {
        double *to = out->vertex + out->first[r] * n_in;
        int64_t kept = 0;

        for (int64_t v = 0; v < n_vertices; v++) {
            const double *from = vertex + (r * n_vertices + v) * n_in;

            if (is_among(from, to, kept, n_in))
                continue;
            memcpy(to + kept * n_in, from, (size_t)n_in * sizeof *to);
            kept++;
        }
        out->first[r + 1] = out->first[r] + kept;
    }
done:
    if (rc != NM_OK)
        nm_regions_free(out);
    return rc;
}
