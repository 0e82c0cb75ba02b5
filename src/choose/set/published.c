/* The ten published set heuristics, as their code has them (github.com/Iemontine/
 * informed-repair-dnns, mlp_edit_and_test_suite.ipynb), with the parameters of the suite.
 * Points are taken in file order where the code does so; what is wrong with that says the rigorous
 * heuristic of the same name. */
#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "choose/set/kmeans.h"

#define SOURCE "Iemontine/informed-repair-dnns"
#define PARAM_MAX(preset)                                                                          \
    {                                                                                              \
        .name = "max", .kind = NM_PARAM_INT, .initial = (preset), .min = 1, .max = 1e9,            \
        .help = "so many points at most"                                                           \
    }
#define PARAMS(list) .params = (list), .n_params = sizeof(list) / sizeof *(list)

static void cut(nm_selection *out, double most)
{
    if ((double)out->n > most)
        out->n = (int64_t)most;
}

/* -- Misclassified, ByClass, FullDataset ----------------------------------------------------- */

static const nm_heuristic_param max_10[] = {PARAM_MAX(10)};

static nm_status misclassified(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    (void)err;
    for (int64_t p = 0; p < job->pool->n; p++)
        if (job->facts[p].predicted != job->facts[p].label)
            nm_selection_add(out, p, (double)p);
    cut(out, job->values->v[0]);
    return NM_OK;
}

static bool is_blue(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->label == 0;
}

static bool is_red(const nm_facts *f, const nm_values *v)
{
    (void)v;
    return f->label == 1;
}

/* -- ConfidenceBased, BoundarySamples: the first that qualify ---------------------------------- */

static const nm_heuristic_param confidence_params[] = {
    {.name = "threshold",
     .initial = 0.7,
     .min = 0,
     .max = 1,
     .help = "largest probability must be below"},
    PARAM_MAX(15)};

static nm_status confidence(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    (void)err;
    for (int64_t p = 0; p < job->pool->n; p++)
        if (job->facts[p].top < job->values->v[0])
            nm_selection_add(out, p, (double)p);
    cut(out, job->values->v[1]);
    return NM_OK;
}

static const nm_heuristic_param boundary_params[] = {
    {.name = "margin",
     .initial = 0.5,
     .min = 0,
     .max = 1e6,
     .help = "difference of the two largest scores must be below"},
    PARAM_MAX(15)};

static nm_status boundary(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    (void)err;
    for (int64_t p = 0; p < job->pool->n; p++)
        if (job->facts[p].gap < job->values->v[0])
            nm_selection_add(out, p, (double)p);
    cut(out, job->values->v[1]);
    return NM_OK;
}

/* -- HardNegativeMining, ProgressiveDifficulty ------------------------------------------------- */

static nm_status by_loss(const nm_set_job *job, nm_selection *out, nm_set_order order, nm_err *err)
{
    for (int64_t p = 0; p < job->pool->n; p++)
        nm_selection_add(out, p, job->facts[p].loss);
    return nm_selection_sort(out, order, err);
}

static const nm_heuristic_param hard_params[] = {
    {.name = "percentile",
     .initial = 0.8,
     .min = 0,
     .max = 1,
     .help = "this share of the points is kept (of the largest losses)"},
    PARAM_MAX(15)};

static nm_status hard_negative(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    nm_status rc = by_loss(job, out, NM_SET_DESCENDING, err);

    cut(out, floor((double)out->n * job->values->v[0]));
    cut(out, job->values->v[1]);
    return rc;
}

static const nm_heuristic_param progressive_params[] = {
    {.name = "ratio", .initial = 0.5, .min = 0, .max = 1, .help = "share of easy points"},
    PARAM_MAX(15)};

static nm_status progressive(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    nm_status rc = by_loss(job, out, NM_SET_ASCENDING, err);

    if (rc == NM_OK)
        nm_selection_keep_ends(out, (int64_t)job->values->v[1], job->values->v[0]);
    return rc;
}

/* -- Similarity: a component of a graph that has no edges -------------------------------------- */

static const nm_heuristic_param similarity_params[] = {
    {.name = "threshold",
     .initial = 0.9999999999,
     .min = -1e6,
     .max = 1e6,
     .help = "deviations above the mean similarity at which two points are alike"}};

/* similarity[n x n] of the raw inputs. @return where two points count as alike */
static double compare_inputs(const nm_set_job *job, const int64_t *points, int64_t n,
                             double *similarity)
{
    double sum = 0, squares = 0, pairs = (double)n * (double)(n - 1), mean;

    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++) {
            const float *a = job->pool->x + points[i] * job->pool->n_in;
            const float *b = job->pool->x + points[j] * job->pool->n_in;
            double ab = 0, aa = 0, bb = 0, *s = &similarity[i * n + j];

            for (int64_t k = 0; k < job->pool->n_in; k++) {
                ab += (double)a[k] * (double)b[k];
                aa += (double)a[k] * (double)a[k];
                bb += (double)b[k] * (double)b[k];
            }
            *s = ab / fmax(sqrt(aa) * sqrt(bb), 1e-8);
            sum += i == j ? 0 : *s;
        }
    mean = sum / pairs;
    for (int64_t i = 0; i < n * n; i++)
        squares += i % (n + 1) == 0 ? 0 : (similarity[i] - mean) * (similarity[i] - mean);
    return fmin(fmax(mean + job->values->v[0] * sqrt(squares / (pairs - 1)), -1), 1);
}

/* Breadth first from `start` over queue[first ...]. @return size of the component */
static int64_t component(const double *similarity, int64_t n, double limit, int64_t start,
                         int64_t first, bool *seen, int64_t *queue)
{
    int64_t end = first + 1;

    queue[first] = start;
    seen[start] = true;
    for (int64_t at = first; at < end; at++)
        for (int64_t j = 0; j < n; j++)
            if (!seen[j] && similarity[queue[at] * n + j] > limit) {
                seen[j] = true;
                queue[end++] = j;
            }
    return end - first;
}

static nm_status similarity(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    int64_t *points = NULL, *queue = NULL, n, used = 0, best = 0, best_size = 0;
    double *s = NULL, limit;
    bool *seen = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, true, 20000, &points, &n, err));
    NM_TRY(nm_alloc(&s, (size_t)n, (size_t)n * sizeof *s, err));
    NM_TRY(nm_alloc(&queue, (size_t)n, sizeof *queue, err));
    NM_TRY(nm_alloc(&seen, (size_t)n, sizeof *seen, err));
    limit = n > 1 ? compare_inputs(job, points, n, s) : 1;
    for (int64_t i = 0; i < n; i++) {
        int64_t size = seen[i] ? 0 : component(s, n, limit, i, used, seen, queue);

        if (size > best_size) {
            best_size = size;
            best = used;
        }
        used += size;
    }
    for (int64_t i = 0; i < best_size; i++)
        nm_selection_add(out, points[queue[best + i]], (double)i);
done:
    nm_free(points);
    nm_free(queue);
    nm_free(seen);
    nm_free(s);
    return rc;
}

/* -- ClusteringBased: on raw inputs, ten rounds, random start ------------------------------------
 */

static const nm_heuristic_param clustering_params[] = {{.name = "clusters",
                                                        .kind = NM_PARAM_INT,
                                                        .initial = 3,
                                                        .min = 1,
                                                        .max = 100,
                                                        .help = "number of clusters"},
                                                       {.name = "per_cluster",
                                                        .kind = NM_PARAM_INT,
                                                        .initial = 3,
                                                        .min = 1,
                                                        .max = 1e6,
                                                        .help = "points of each"},
                                                       PARAM_MAX(15)};

static nm_status clustering(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    enum { ROUNDS = 10 };
    const double *v = job->values->v;
    nm_rng rng = {.seed = job->seed, .stream = 0x5e3};
    nm_kmeans c = {0};
    int64_t *points = NULL, n;
    nm_status rc = NM_OK;

    NM_TRY(nm_set_candidates(job, false, job->pool->n, &points, &n, err));
    NM_TRY(nm_kmeans_open(job, NM_SPACE_INPUT, points, n, (int64_t)v[0], &c, err));
    for (int64_t j = 0; j < c.k; j++)
        nm_kmeans_place(&c, j, (int64_t)nm_rng_below(&rng, (uint64_t)n));
    for (int i = 0; i < ROUNDS; i++) {
        (void)nm_kmeans_assign(&c, c.k);
        nm_kmeans_move(&c);
    }
    (void)nm_kmeans_assign(&c, c.k);
    for (int64_t j = 0; j < c.k; j++)
        for (int64_t r = 0; (double)r < v[1] && nm_kmeans_take(&c, points, j, out); r++)
            continue;
    cut(out, v[2]);
done:
    nm_free(points);
    nm_kmeans_clear(&c);
    return rc;
}

/* -- the table --------------------------------------------------------------------------------- */

const nm_set_kind nm_set_published[NM_N_SET_PUBLISHED] = {
    {.info = {.name = "published:Similarity",
              .summary = "component of the misclassified points whose raw inputs are alike",
              .scope = "inputs; breadth first; the first of the largest components",
              .source = SOURCE,
              PARAMS(similarity_params)},
     .run = similarity,
     .reads_scores = true},
    {.info = {.name = "published:Misclassified",
              .summary = "the first misclassified points",
              .scope = "labels and scores; file order",
              .source = SOURCE,
              PARAMS(max_10)},
     .run = misclassified,
     .reads_scores = true},
    {.info = {.name = "published:ByClass_Blue",
              .summary = "all points of class 0",
              .scope = "labels; file order",
              .source = SOURCE},
     .keep = is_blue},
    {.info = {.name = "published:ByClass_Red",
              .summary = "all points of class 1",
              .scope = "labels; file order",
              .source = SOURCE},
     .keep = is_red},
    {.info = {.name = "published:FullDataset",
              .summary = "all points",
              .scope = "labels; file order",
              .source = SOURCE}},
    {.info = {.name = "published:ConfidenceBased",
              .summary = "the first points whose largest probability is low",
              .scope = "scores; file order",
              .source = SOURCE,
              PARAMS(confidence_params)},
     .run = confidence,
     .reads_scores = true},
    {.info = {.name = "published:BoundarySamples",
              .summary = "the first points whose two largest scores are close",
              .scope = "scores; file order",
              .source = SOURCE,
              PARAMS(boundary_params)},
     .run = boundary,
     .reads_scores = true},
    {.info = {.name = "published:ClusteringBased",
              .summary = "k-means on raw inputs, ten rounds; the nearest of each centre",
              .scope = "inputs; random start (--seed; the code has no seed)",
              .source = SOURCE,
              PARAMS(clustering_params)},
     .run = clustering,
     .reads_scores = true},
    {.info = {.name = "published:HardNegativeMining",
              .summary = "the largest losses of the upper share",
              .scope = "labels and scores; loss, descending",
              .source = SOURCE,
              PARAMS(hard_params)},
     .run = hard_negative,
     .reads_scores = true},
    {.info = {.name = "published:ProgressiveDifficulty",
              .summary = "smallest losses, then largest",
              .scope = "labels and scores; loss, ascending",
              .source = SOURCE,
              PARAMS(progressive_params)},
     .run = progressive,
     .reads_scores = true},
};
