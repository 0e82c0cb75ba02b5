/* Similarity: the largest group of points that look alike to the network. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "choose/set/set.h"

enum { THRESHOLD, OF, SPACE, POOL };
static const nm_heuristic_param params[] = {
    {.name = "threshold",
     .initial = 0.9,
     .min = -1,
     .max = 1,
     .below_max = true,
     .help = "two points are alike if the cosine of their centred features is above"},
    NM_SET_PARAM_OF(NM_OF_MISCLASSIFIED),
    NM_SET_PARAM_SPACE,
    NM_SET_PARAM_POOL(2000)};

struct groups {
    double *x;      /* [n x width] centred, of length 1 */
    int64_t *group; /* [n] -1: not visited */
    int64_t *queue; /* [n] points in the order in which groups were walked */
    int64_t n, width;
};

static void centre(struct groups *g)
{
    for (int64_t k = 0; k < g->width; k++) {
        double mean = 0;

        for (int64_t i = 0; i < g->n; i++)
            mean += g->x[i * g->width + k] / (double)g->n;
        for (int64_t i = 0; i < g->n; i++)
            g->x[i * g->width + k] -= mean;
    }
    for (int64_t i = 0; i < g->n; i++) {
        double *x = g->x + i * g->width, length = 0;

        for (int64_t k = 0; k < g->width; k++)
            length += x[k] * x[k];
        length = sqrt(length);
        for (int64_t k = 0; length > 0 && k < g->width; k++)
            x[k] /= length;
    }
}

static double cosine(const struct groups *g, int64_t a, int64_t b)
{
    double sum = 0;

    for (int64_t k = 0; k < g->width; k++)
        sum += g->x[a * g->width + k] * g->x[b * g->width + k];
    return sum;
}

/* Breadth first from `start`: queue[first ...] gets its group. @return its size */
static int64_t walk(struct groups *g, double threshold, int64_t start, int64_t first)
{
    int64_t end = first + 1;

    g->queue[first] = start;
    g->group[start] = start;
    for (int64_t at = first; at < end; at++)
        for (int64_t i = 0; i < g->n; i++)
            if (g->group[i] < 0 && cosine(g, g->queue[at], i) > threshold) {
                g->group[i] = start;
                g->queue[end++] = i;
            }
    return end - first;
}

static nm_status largest_group(const nm_set_job *job, struct groups *g, int64_t *first, int64_t *n,
                               nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t used = 0;

    *n = *first = 0;
    for (int64_t i = 0; i < g->n; i++)
        g->group[i] = -1;
    for (int64_t i = 0; rc == NM_OK && i < g->n; i++) {
        int64_t size;

        if (g->group[i] >= 0)
            continue;
        size = walk(g, job->values->v[THRESHOLD], i, used);
        if (size > *n) {
            *n = size;
            *first = used;
        }
        used += size;
        rc = nm_ctx_check(job->ctx, err);
    }
    return rc;
}

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    const double *v = job->values->v;
    struct groups g = {0};
    int64_t *points = NULL, first, n;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, (int)v[OF] == NM_OF_MISCLASSIFIED, (int64_t)v[POOL], &points,
                             &g.n, err));
    if (g.n == 0)
        goto done;
    NM_TRY(nm_set_features(job, (int)v[SPACE], points, g.n, &g.x, &g.width, err));
    NM_TRY(nm_alloc(&g.group, (size_t)g.n, sizeof *g.group, err));
    NM_TRY(nm_alloc(&g.queue, (size_t)g.n, sizeof *g.queue, err));
    centre(&g);
    NM_TRY(largest_group(job, &g, &first, &n, err));
    for (int64_t i = 0; i < n; i++)
        nm_selection_add(out, points[g.queue[first + i]],
                         cosine(&g, g.queue[first], g.queue[first + i]));
done:
    nm_free(points);
    nm_free(g.x);
    nm_free(g.group);
    nm_free(g.queue);
    return rc;
}

const nm_set_kind nm_set_similarity = {
    .info = {.name = "Similarity",
             .summary = "the largest group of points whose features are alike",
             .scope = "features; breadth first from its first point; score: cosine to that point; "
                      "of groups of one size the first",
             .source = "Adsule et al. 2025; centred features instead of raw inputs",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
