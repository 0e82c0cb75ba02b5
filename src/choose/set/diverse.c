/* Diverse: each point as far as possible from those before it. */
#include <math.h>

#include "base/mem.h"
#include "choose/set/set.h"

enum { OF, SPACE, POOL };
static const nm_heuristic_param params[] = {NM_SET_PARAM_OF(NM_OF_MISCLASSIFIED),
                                            NM_SET_PARAM_SPACE, NM_SET_PARAM_POOL(10000)};

/* Everything that the greedy choice works from. */
struct spread {
    double *x;        /* [n x width] */
    double *distance; /* [n] squared, to the nearest point chosen; -1: chosen itself */
    int64_t n, width;
};

static int64_t farthest(const struct spread *s)
{
    int64_t best = 0;

    for (int64_t i = 1; i < s->n; i++)
        if (s->distance[i] > s->distance[best])
            best = i;
    return best;
}

/* The first point: the one nearest to the mean of all. */
static nm_status first_point(const struct spread *s, int64_t *first, nm_err *err)
{
    double *mean = NULL, best = INFINITY;
    nm_status rc = nm_alloc(&mean, (size_t)s->width, sizeof *mean, err);

    *first = 0;
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < s->n; i++)
        for (int64_t k = 0; k < s->width; k++)
            mean[k] += s->x[i * s->width + k] / (double)s->n;
    for (int64_t i = 0; i < s->n; i++) {
        double d = nm_set_distance2(s->x + i * s->width, mean, s->width);

        if (d < best) {
            best = d;
            *first = i;
        }
    }
    nm_free(mean);
    return NM_OK;
}

/* Gonzalez, "Clustering to minimize the maximum intercluster distance", TCS 38, 1985. */
static nm_status choose(const nm_set_job *job, const int64_t *points, struct spread *s,
                        nm_selection *out, nm_err *err)
{
    int64_t next;
    nm_status rc = first_point(s, &next, err);

    for (int64_t i = 0; i < s->n; i++)
        s->distance[i] = INFINITY;
    while (rc == NM_OK && out->n < s->n && out->n < job->size) {
        nm_selection_add(out, points[next], out->n == 0 ? 0 : sqrt(s->distance[next]));
        for (int64_t i = 0; i < s->n; i++)
            s->distance[i] =
                fmin(s->distance[i],
                     nm_set_distance2(s->x + i * s->width, s->x + next * s->width, s->width));
        s->distance[next] = -1;
        next = farthest(s);
        rc = nm_ctx_check(job->ctx, err);
    }
    return rc;
}

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    const double *v = job->values->v;
    struct spread s = {0};
    int64_t *points = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, (int)v[OF] == NM_OF_MISCLASSIFIED, (int64_t)v[POOL], &points,
                             &s.n, err));
    if (s.n == 0)
        goto done;
    NM_TRY(nm_set_features(job, (int)v[SPACE], points, s.n, &s.x, &s.width, err));
    NM_TRY(nm_alloc(&s.distance, (size_t)s.n, sizeof *s.distance, err));
    NM_TRY(choose(job, points, &s, out, err));
done:
    nm_free(points);
    nm_free(s.x);
    nm_free(s.distance);
    return rc;
}

const nm_set_kind nm_set_diverse = {
    .info = {.name = "Diverse",
             .summary = "points as far from each other as possible, one after the other",
             .scope = "features (labels and scores with of=misclassified); starts next to the "
                      "mean; score: distance to the nearest point before; ties in file order",
             .source = "Gonzalez 1985 (farthest-point traversal)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
