/* ClusteringBased: k-means in feature space, points nearest to each centre. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "choose/set/set.h"

enum { CLUSTERS, PER_CLUSTER, OF, SPACE, POOL };
enum { ROUNDS = 100 };
static const nm_heuristic_param params[] = {{.name = "clusters",
                                             .kind = NM_PARAM_INT,
                                             .initial = 3,
                                             .min = 1,
                                             .max = 1000,
                                             .help = "number of clusters"},
                                            {.name = "per_cluster",
                                             .kind = NM_PARAM_INT,
                                             .initial = 3,
                                             .min = 1,
                                             .max = 1e6,
                                             .help = "points of each cluster at most"},
                                            NM_SET_PARAM_OF(NM_OF_ALL),
                                            NM_SET_PARAM_SPACE,
                                            NM_SET_PARAM_POOL(5000)};

struct clusters {
    double *x;        /* [n x width] */
    double *centre;   /* [k x width] */
    double *distance; /* [n] squared, to the nearest centre */
    int64_t *member;  /* [n] of which cluster */
    int64_t n, width, k;
};

static void assign(struct clusters *c, int64_t n_centres)
{
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
    }
}

/* k-means++ (Arthur & Vassilvitskii, SODA 2007): far points are likelier centres. */
static void seed_centres(struct clusters *c, nm_rng *rng)
{
    size_t bytes = (size_t)c->width * sizeof *c->x;
    int64_t at = (int64_t)nm_rng_below(rng, (uint64_t)c->n);

    memcpy(c->centre, c->x + at * c->width, bytes);
    for (int64_t j = 1; j < c->k; j++) {
        double total = 0, draw;

        assign(c, j);
        for (int64_t i = 0; i < c->n; i++)
            total += c->distance[i];
        draw = nm_rng_uniform(rng) * total;
        for (at = 0; at + 1 < c->n && draw >= c->distance[at]; at++)
            draw -= c->distance[at];
        memcpy(c->centre + j * c->width, c->x + at * c->width, bytes);
    }
}

/* Means of the members; a cluster without any keeps its centre. */
static void move_centres(struct clusters *c)
{
    for (int64_t j = 0; j < c->k; j++) {
        double *centre = c->centre + j * c->width;
        int64_t count = 0;

        for (int64_t i = 0; i < c->n; i++)
            count += c->member[i] == j;
        if (count == 0)
            continue;
        memset(centre, 0, (size_t)c->width * sizeof *centre);
        for (int64_t i = 0; i < c->n; i++)
            for (int64_t d = 0; c->member[i] == j && d < c->width; d++)
                centre[d] += c->x[i * c->width + d] / (double)count;
    }
}

static nm_status cluster(const nm_set_job *job, struct clusters *c, nm_err *err)
{
    nm_rng rng = {.seed = job->seed, .stream = 0x5e2};
    nm_status rc = NM_OK;
    double before = INFINITY;

    seed_centres(c, &rng);
    for (int round = 0; rc == NM_OK && round < ROUNDS; round++) {
        double total = 0;

        assign(c, c->k);
        for (int64_t i = 0; i < c->n; i++)
            total += c->distance[i];
        if (!(total < before))
            break;
        before = total;
        move_centres(c);
        rc = nm_ctx_check(job->ctx, err);
    }
    assign(c, c->k);
    return rc;
}

/* The r-th nearest of each cluster in turn: nearest ones of all clusters first. */
static nm_status take_nearest(const struct clusters *c, const int64_t *points, int64_t per,
                              nm_selection *out, nm_err *err)
{
    bool *taken = NULL;
    nm_status rc = nm_alloc(&taken, (size_t)c->n, sizeof *taken, err);

    for (int64_t r = 0; rc == NM_OK && r < per && out->n < c->n; r++)
        for (int64_t j = 0; j < c->k; j++) {
            int64_t best = -1;

            for (int64_t i = 0; i < c->n; i++)
                if (!taken[i] && c->member[i] == j &&
                    (best < 0 || c->distance[i] < c->distance[best]))
                    best = i;
            if (best < 0)
                continue;
            taken[best] = true;
            nm_selection_add(out, points[best], sqrt(c->distance[best]));
        }
    nm_free(taken);
    return rc;
}

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    const double *v = job->values->v;
    struct clusters c = {0};
    int64_t *points = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, (int)v[OF] == NM_OF_MISCLASSIFIED, (int64_t)v[POOL], &points,
                             &c.n, err));
    if (c.n == 0)
        goto done;
    c.k = (int64_t)fmin(v[CLUSTERS], (double)c.n);
    NM_TRY(nm_set_features(job, (int)v[SPACE], points, c.n, &c.x, &c.width, err));
    NM_TRY(nm_alloc(&c.centre, (size_t)c.k, (size_t)c.width * sizeof *c.centre, err));
    NM_TRY(nm_alloc(&c.distance, (size_t)c.n, sizeof *c.distance, err));
    NM_TRY(nm_alloc(&c.member, (size_t)c.n, sizeof *c.member, err));
    NM_TRY(cluster(job, &c, err));
    NM_TRY(take_nearest(&c, points, (int64_t)v[PER_CLUSTER], out, err));
done:
    nm_free(points);
    nm_free(c.x);
    nm_free(c.centre);
    nm_free(c.distance);
    nm_free(c.member);
    return rc;
}

const nm_set_kind nm_set_clustering = {
    .info = {.name = "ClusteringBased",
             .summary = "k-means on features; the points nearest to each centre, in turn",
             .scope = "features, seed; score: distance to the centre; ties in file order",
             .source = "Adsule et al. 2025; k-means++ start (Arthur & Vassilvitskii 2007), seeded",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
