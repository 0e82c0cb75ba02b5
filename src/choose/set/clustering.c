/* ClusteringBased: k-means in feature space, points nearest to each centre. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "choose/set/kmeans.h"

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

/* k-means++ (Arthur & Vassilvitskii, SODA 2007): far points are likelier centres. */
static void seed_centres(nm_kmeans *c, nm_rng *rng)
{
    nm_kmeans_place(c, 0, (int64_t)nm_rng_below(rng, (uint64_t)c->n));
    for (int64_t j = 1; j < c->k; j++) {
        double draw = nm_kmeans_assign(c, j) * nm_rng_uniform(rng);
        int64_t at;

        for (at = 0; at + 1 < c->n && draw >= c->distance[at]; at++)
            draw -= c->distance[at];
        nm_kmeans_place(c, j, at);
    }
}

static nm_status cluster(const nm_set_job *job, nm_kmeans *c, nm_err *err)
{
    nm_rng rng = {.seed = job->seed, .stream = 0x5e2};
    nm_status rc = NM_OK;
    double before = INFINITY;

    seed_centres(c, &rng);
    for (int round = 0; rc == NM_OK && round < ROUNDS; round++) {
        double total = nm_kmeans_assign(c, c->k);

        if (!(total < before))
            break;
        before = total;
        nm_kmeans_move(c);
        rc = nm_ctx_check(job->ctx, err);
    }
    (void)nm_kmeans_assign(c, c->k);
    return rc;
}

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    const double *v = job->values->v;
    nm_kmeans c = {0};
    int64_t *points = NULL, n;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, (int)v[OF] == NM_OF_MISCLASSIFIED, (int64_t)v[POOL], &points, &n,
                             err));
    if (n == 0)
        goto done;
    NM_TRY(nm_kmeans_open(job, (int)v[SPACE], points, n, (int64_t)fmin(v[CLUSTERS], (double)n), &c,
                          err));
    NM_TRY(cluster(job, &c, err));
    /* The r-th nearest of each cluster in turn: nearest ones of all clusters first. */
    for (int64_t r = 0; (double)r < v[PER_CLUSTER] && out->n < n; r++)
        for (int64_t j = 0; j < c.k; j++)
            (void)nm_kmeans_take(&c, points, j, out);
done:
    nm_free(points);
    nm_kmeans_clear(&c);
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
