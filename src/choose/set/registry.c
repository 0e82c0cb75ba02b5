/* All set heuristics, and running one. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "choose/set/set.h"

static const nm_set_kind *const kinds[] = {
    &nm_set_all,           &nm_set_misclassified, &nm_set_by_class,        &nm_set_full_dataset,
    &nm_set_similarity,    &nm_set_confidence,    &nm_set_boundary,        &nm_set_clustering,
    &nm_set_hard_negative, &nm_set_progressive,   &nm_set_confident_wrong, &nm_set_closest,
    &nm_set_diverse,       &nm_set_random,        &nm_set_subset};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const nm_set_kind *nm_set_kind_at(int i)
{
    if (i < 0 || i >= N_KINDS + NM_N_SET_PUBLISHED)
        return NULL;
    return i < N_KINDS ? kinds[i] : &nm_set_published[i - N_KINDS];
}

const nm_heuristic *nm_set_heuristic(int i)
{
    const nm_set_kind *kind = nm_set_kind_at(i);

    return kind ? &kind->info : NULL;
}

/* -- order ----------------------------------------------------------------------------------- */

struct entry {
    int64_t index, place;
    double score;
};

static int by_score(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;

    if (isnan(x->score) || isnan(y->score)) {
        if (isnan(x->score) != isnan(y->score))
            return isnan(x->score) ? 1 : -1;
    } else if (x->score != y->score) {
        return x->score < y->score ? -1 : 1;
    }
    return x->place < y->place ? -1 : 1;
}

nm_status nm_selection_sort(nm_selection *s, nm_set_order order, nm_err *err)
{
    double sign = order == NM_SET_DESCENDING ? -1 : 1;
    struct entry *entries = NULL;
    nm_status rc;

    if (order == NM_SET_AS_FOUND)
        return NM_OK;
    rc = nm_alloc(&entries, (size_t)s->n, sizeof *entries, err);
    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < s->n; i++)
        entries[i] = (struct entry){s->indices[i], i, sign * s->scores[i]};
    qsort(entries, (size_t)s->n, sizeof *entries, by_score);
    for (int64_t i = 0; i < s->n; i++) {
        s->indices[i] = entries[i].index;
        s->scores[i] = sign * entries[i].score;
    }
    nm_free(entries);
    return NM_OK;
}

void nm_selection_keep_ends(nm_selection *s, int64_t most, double share)
{
    int64_t first = (int64_t)((double)most * share), last = most - first;

    if (s->n <= most)
        return;
    for (int64_t i = 0; i < last; i++) { /* moves down: the target is never above the source */
        s->indices[first + i] = s->indices[s->n - last + i];
        s->scores[first + i] = s->scores[s->n - last + i];
    }
    s->n = most;
}

/* -- running --------------------------------------------------------------------------------- */

static nm_status run_by_point(const nm_set_kind *kind, const nm_set_job *job, nm_selection *out,
                              nm_err *err)
{
    for (int64_t p = 0; p < job->pool->n; p++) {
        const nm_facts *f = &job->facts[p];

        if (!kind->keep || kind->keep(f, job->values))
            nm_selection_add(out, p, kind->key ? kind->key(f, job->values) : (double)p);
    }
    return nm_selection_sort(out, kind->order, err);
}

static nm_status check_pool(const nm_net *net, const nm_points *pool, nm_err *err)
{
    int64_t n_scores = net->values[net->scores].size;

    if (pool->n < 1 || pool->n_in != nm_net_n_in(net))
        return nm_fail(err, NM_E_SHAPE,
                       "the pool has %" PRId64 " points of %" PRId64
                       " numbers, expected points of %" PRId64,
                       pool->n, pool->n_in, nm_net_n_in(net));
    if (!pool->labels)
        return nm_fail(err, NM_E_SHAPE, "the pool has no labels, expected one per point");
    for (int64_t p = 0; p < pool->n; p++)
        if (pool->labels[p] < 0 || pool->labels[p] >= n_scores)
            return nm_fail(err, NM_E_SHAPE,
                           "point %" PRId64 " of the pool has label %" PRId64
                           ", expected 0 to %" PRId64,
                           p, pool->labels[p], n_scores - 1);
    return NM_OK;
}

static nm_status run_kind(const nm_set_kind *kind, nm_set_job *job, nm_selection *out, nm_err *err)
{
    size_t n = (size_t)job->pool->n;
    nm_facts *facts = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&facts, n, sizeof *facts, err));
    NM_TRY(nm_facts_of(job, kind->reads_scores, facts, err));
    job->facts = facts;
    NM_TRY(nm_alloc(&out->indices, n, sizeof *out->indices, err));
    NM_TRY(nm_alloc(&out->scores, n, sizeof *out->scores, err));
    NM_TRY(kind->run ? kind->run(job, out, err) : run_by_point(kind, job, out, err));
    out->n = out->n < job->size ? out->n : job->size;
done:
    nm_free(facts);
    return rc;
}

nm_status nm_select(nm_ctx *ctx, const nm_net *net, const nm_points *pool, const char *text,
                    int64_t size, uint64_t seed, nm_selection *out, nm_err *err)
{
    return nm_select_scored(ctx, net, pool, NULL, text, size, seed, out, err);
}

nm_status nm_select_scored(nm_ctx *ctx, const nm_net *net, const nm_points *pool,
                           const float *scores, const char *text, int64_t size, uint64_t seed,
                           nm_selection *out, nm_err *err)
{
    nm_set_job job = {
        .ctx = ctx, .net = net, .pool = pool, .scores = scores, .size = size, .seed = seed};
    nm_values values;
    int which;
    nm_status rc = NM_OK;

    *out = (nm_selection){0};
    if (size < 1)
        NM_THROW(err, NM_E_ARG, "a repair set of %" PRId64 " points, expected at least 1", size);
    NM_TRY(check_pool(net, pool, err));
    NM_TRY(nm_heuristic_find(nm_set_heuristic, "set", text, &which, err));
    NM_TRY(nm_values_parse(nm_set_heuristic(which), text + nm_heuristic_name_length(text), &values,
                           err));
    job.values = &values;
    NM_TRY(run_kind(nm_set_kind_at(which), &job, out, err));
done:
    if (rc != NM_OK)
        nm_selection_free(out);
    return rc;
}

void nm_selection_free(nm_selection *selection)
{
    nm_free(selection->indices);
    nm_free(selection->scores);
    *selection = (nm_selection){0};
}
