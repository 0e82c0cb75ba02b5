#include "choose/set/kmeans.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

nm_status nm_kmeans_open(const nm_set_job *job, int space, const int64_t *points, int64_t n,
                         int64_t k, nm_kmeans *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_kmeans){.n = n, .k = k};
    NM_TRY(nm_set_features(job, space, points, n, &out->x, &out->width, err));
    NM_TRY(nm_alloc(&out->centre, (size_t)k, (size_t)out->width * sizeof *out->centre, err));
    NM_TRY(nm_alloc(&out->distance, (size_t)n, sizeof *out->distance, err));
    NM_TRY(nm_alloc(&out->member, (size_t)n, sizeof *out->member, err));
    NM_TRY(nm_alloc(&out->taken, (size_t)n, sizeof *out->taken, err));
done:
    return rc;
}

void nm_kmeans_clear(nm_kmeans *c)
{
    nm_free(c->x);
    nm_free(c->centre);
    nm_free(c->distance);
    nm_free(c->member);
    nm_free(c->taken);
    *c = (nm_kmeans){0};
}

void nm_kmeans_place(nm_kmeans *c, int64_t j, int64_t i)
{
    memcpy(c->centre + j * c->width, c->x + i * c->width, (size_t)c->width * sizeof *c->x);
}

double nm_kmeans_assign(nm_kmeans *c, int64_t n_centres)
{
    double total = 0;

    for (int64_t i = 0; i < c->n; i++) {
        c->distance[i] = INFINITY;
        c->member[i] = 0;
        for (int64_t j = 0; j < n_centres; j++) {
            double d = nm_set_distance2(c->x + i * c->width, c->centre + j * c->width, c->width);

            if (d < c->distance[i]) {
                c->distance[i] = d;
                c->member[i] = j;
            }
        }
        total += c->distance[i];
    }
    return total;
}

void nm_kmeans_move(nm_kmeans *c)
{
    for (int64_t j = 0; j < c->k; j++) {
        double *centre = c->centre + j * c->width;
        int64_t count = 0;

        for (int64_t i = 0; i < c->n; i++)
            count += c->member[i] == j;
        for (int64_t d = 0; count > 0 && d < c->width; d++) {
            double sum = 0;

            for (int64_t i = 0; i < c->n; i++)
                sum += c->member[i] == j ? c->x[i * c->width + d] : 0;
            centre[d] = sum / (double)count;
        }
    }
}

bool nm_kmeans_take(nm_kmeans *c, const int64_t *points, int64_t cluster, nm_selection *out)
{
    int64_t best = -1;

    for (int64_t i = 0; i < c->n; i++)
        if (!c->taken[i] && c->member[i] == cluster &&
            (best < 0 || c->distance[i] < c->distance[best]))
            best = i;
    if (best < 0)
        return false;
    c->taken[best] = true;
    nm_selection_add(out, points[best], sqrt(c->distance[best]));
    return true;
}
