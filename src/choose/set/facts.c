/* What the network says of the points of a pool. */
#include <math.h>

#include "base/mem.h"
#include "choose/scores.h"
#include "choose/set/set.h"
#include "net/cross_entropy.h"

static void fill(nm_facts *f, const float *score, int64_t n, double *wide)
{
    double second = -INFINITY;
    int64_t best = 0;

    for (int64_t j = 0; j < n; j++) {
        wide[j] = (double)score[j];
        if (isnan(wide[j])) {
            f->predicted = -1;
            f->top = f->p_true = f->loss = f->gap = NAN;
            return;
        }
        if (wide[j] > wide[best])
            best = j;
    }
    for (int64_t j = 0; j < n; j++)
        if (j != best)
            second = fmax(second, wide[j]);
    f->predicted = best;
    f->gap = wide[best] - second;
    f->top = exp(-nm_cross_entropy(wide, n, best, NULL));
    f->loss = nm_cross_entropy(wide, n, f->label, NULL);
    f->p_true = exp(-f->loss);
}

nm_status nm_facts_of(const nm_set_job *job, bool with_scores, nm_facts *out, nm_err *err)
{
    const nm_points *pool = job->pool;
    int64_t n_scores = job->net->values[job->net->scores].size;
    const float *scores = job->scores;
    float *own = NULL;
    double *wide = NULL;
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < pool->n; p++)
        out[p] = (nm_facts){.index = p, .label = pool->labels[p], .predicted = -1};
    if (!with_scores)
        return NM_OK;
    NM_TRY(nm_alloc(&wide, (size_t)n_scores, sizeof *wide, err));
    if (!scores) {
        NM_TRY(nm_alloc(&own, (size_t)pool->n, (size_t)n_scores * sizeof *own, err));
        NM_TRY(nm_scores_of(job->ctx, job->net, pool->x, pool->n, own, err));
        scores = own;
    }
    for (int64_t p = 0; p < pool->n; p++)
        fill(&out[p], scores + p * n_scores, n_scores, wide);
done:
    nm_free(own);
    nm_free(wide);
    return rc;
}
