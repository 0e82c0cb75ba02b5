/* FeatureSimilarity: the layer behind which the repair points are more alike than usual points.
 *
 * Score: mean pairwise cosine of a_l over the repair set minus the same over random subsets of the
 * reference points of equal size and mix of classes; a_l centred on the reference points. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "choose/edit/edit.h"

enum { SUBSETS, POINTS };
static const nm_heuristic_param params[] = {
    {.name = "subsets",
     .kind = NM_PARAM_INT,
     .initial = 8,
     .min = 1,
     .max = 1000,
     .help = "random subsets of the reference points to compare with"},
    NM_EDIT_PARAM_POINTS(64)};

struct comparison {
    const nm_edit_job *job;
    nm_sample repair, reference;
    nm_outputs at, usual;
    int64_t *subset; /* [n_subsets x size] indices into the reference sample */
    int64_t n_subsets, size;
};

/* Mean cosine over pairs: (|sum of unit vectors|^2 - n) / (n (n - 1)).
 * @param pick  [n] which points; NULL = the first n */
static nm_status mean_cosine(const float *at, const int64_t *pick, int64_t n, int64_t size,
                             const double *centre, double *out, nm_err *err)
{
    double *sum = NULL, square = 0;
    int64_t n_units = 0;
    nm_status rc = nm_alloc(&sum, (size_t)size, sizeof *sum, err);

    *out = 0;
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < n; i++) {
        const float *a = at + (pick ? pick[i] : i) * size;
        double length = 0;

        for (int64_t j = 0; j < size; j++)
            length += ((double)a[j] - centre[j]) * ((double)a[j] - centre[j]);
        n_units += length > 0;
        for (int64_t j = 0; length > 0 && j < size; j++)
            sum[j] += ((double)a[j] - centre[j]) / sqrt(length);
    }
    for (int64_t j = 0; j < size; j++)
        square += sum[j] * sum[j];
    if (n > 1)
        *out = (square - (double)n_units) / ((double)n * (double)(n - 1));
    nm_free(sum);
    return NM_OK;
}

/* A point of the class that is not taken yet; of another class if there is none left. */
static int64_t draw_like(const nm_sample *from, int64_t label, const bool *taken, nm_rng *rng)
{
    int64_t start = (int64_t)nm_rng_below(rng, (uint64_t)from->n), other = -1;

    for (int64_t k = 0; k < from->n; k++) {
        int64_t i = (start + k) % from->n;

        if (taken[i])
            continue;
        if (!from->labels || from->labels[i] == label)
            return i;
        other = other < 0 ? i : other;
    }
    return other;
}

static nm_status draw_subsets(struct comparison *c, nm_err *err)
{
    nm_rng rng = {.seed = c->job->opts->seed, .stream = 0xed2};
    bool *taken = NULL;
    nm_status rc = NM_OK;

    c->n_subsets = (int64_t)c->job->values->v[SUBSETS];
    c->size = c->repair.n < c->reference.n ? c->repair.n : c->reference.n;
    NM_TRY(nm_alloc(&taken, (size_t)c->reference.n, sizeof *taken, err));
    NM_TRY(nm_alloc(&c->subset, (size_t)(c->n_subsets * c->size), sizeof *c->subset, err));
    for (int64_t s = 0; s < c->n_subsets; s++) {
        memset(taken, 0, (size_t)c->reference.n * sizeof *taken);
        for (int64_t i = 0; i < c->size; i++) {
            int64_t at = draw_like(&c->reference, c->repair.labels[i], taken, &rng);

            taken[at] = true;
            c->subset[s * c->size + i] = at;
        }
    }
done:
    nm_free(taken);
    return rc;
}

static nm_status score(const struct comparison *c, int layer, double *out, nm_err *err)
{
    int64_t size = nm_outputs_size(c->job, layer);
    double *centre = NULL, one, usual = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&centre, (size_t)size, sizeof *centre, err));
    for (int64_t i = 0; i < c->reference.n * size; i++)
        centre[i % size] += (double)c->usual.at[layer][i] / (double)c->reference.n;
    for (int64_t s = 0; s < c->n_subsets; s++) {
        NM_TRY(mean_cosine(c->usual.at[layer], c->subset + s * c->size, c->size, size, centre, &one,
                           err));
        usual += one / (double)c->n_subsets;
    }
    NM_TRY(mean_cosine(c->at.at[layer], NULL, c->repair.n, size, centre, &one, err));
    *out = one - usual;
done:
    nm_free(centre);
    return rc;
}

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    enum { MORE_REFERENCE = 8 };
    struct comparison c = {.job = job};
    int64_t most = (int64_t)job->values->v[POINTS];
    nm_status rc = NM_OK;

    NM_TRY(nm_edit_repair_sample(job, most, &c.repair, err));
    NM_TRY(nm_edit_reference_sample(job, MORE_REFERENCE * most, &c.reference, err));
    NM_TRY(nm_outputs_of(job, c.repair.x, c.repair.n, &c.at, err));
    NM_TRY(nm_outputs_of(job, c.reference.x, c.reference.n, &c.usual, err));
    NM_TRY(draw_subsets(&c, err));
    for (int i = 0; i < job->net->n_layers; i++)
        NM_TRY(score(&c, i, &out->scores[i], err));
done:
    nm_sample_clear(&c.repair);
    nm_sample_clear(&c.reference);
    nm_outputs_clear(&c.at);
    nm_outputs_clear(&c.usual);
    nm_free(c.subset);
    return rc;
}

const nm_edit_kind nm_edit_similarity = {
    .info = {.name = "FeatureSimilarity",
             .summary = "the layer behind which the repair points are most alike",
             .scope = "repair and reference points (needed), seed; ties: the later layer",
             .source = "Adsule et al. 2025 (irdnn.md 6.3)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .needs_reference = true,
    .run = run,
};
