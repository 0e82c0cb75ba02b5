/* What each margin of a point can lose, from rows carried back from the scores. */
#include <limits.h>
#include <math.h>

#include "verify/deploy_block.h"

/* Other classes whose rows are carried at once: each takes a row for the first-order bounds and one
   for the rigorous bound. */
enum { MAX_PAIRS = NM_MAX_ROWS / 2 };

/* The bound of each model on what score[target] - score[j] can lose, for n other classes. */
static bool bound_pairs(nm_block *b, int64_t p, int64_t target, const int32_t *other, int n,
                        double bound[NM_N_MODELS][NM_MAX_ROWS])
{
    int32_t element[2 * NM_MAX_ROWS], row[2 * NM_MAX_ROWS];
    float factor[2 * NM_MAX_ROWS];
    nm_carry c = {.n = 2 * n,
                  .value = b->net->scores,
                  .n_seeds = 4 * n,
                  .element = element,
                  .row = row,
                  .factor = factor,
                  .n_fans = INT_MAX,
                  .n_models = NM_N_MODELS,
                  .falls_from = n,
                  .arena = b->scratch};

    for (int i = 0; i < 2 * n; i++) {
        element[2 * i] = (int32_t)target;
        element[2 * i + 1] = other[i % n];
        row[2 * i] = row[2 * i + 1] = i;
        factor[2 * i] = 1;
        factor[2 * i + 1] = -1;
    }
    if (!nm_linear_carry(&b->points[p], &c, bound) || !nm_block_settle(b))
        return false;
    for (int i = 0; i < n; i++) {
        double tangents = bound[NM_RIGOROUS][i], chords = bound[NM_RIGOROUS][n + i];

        bound[NM_RIGOROUS][i] = chords < tangents ? chords : tangents;
    }
    /* A runtime's infinity times 0 is not a number: whatever the rows say. */
    for (int m = 0; m < NM_N_MODELS; m++)
        for (int i = 0; b->infinite[m][p] && i < n; i++)
            bound[m][i] = (double)INFINITY;
    return true;
}

struct verdict {
    double slack[NM_N_MODELS]; /* smallest gap minus bound so far */
};

static void judge_pair(double gap, const double *bound, struct verdict *least, nm_deploy *out,
                       int64_t p)
{
    double *figure[NM_N_MODELS] = {&out->rigorous[p], &out->first_order[p], &out->probable[p]};
    bool *safe[NM_N_MODELS] = {&out->safe[p], &out->safe_first_order[p], &out->safe_probable[p]};

    if (gap < out->margin[p] || isnan(gap))
        out->margin[p] = gap;
    for (int m = 0; m < NM_N_MODELS; m++) {
        if (!(gap - bound[m] >= least->slack[m])) {
            least->slack[m] = gap - bound[m];
            *figure[m] = bound[m];
        }
        *safe[m] = *safe[m] && gap > bound[m];
    }
    out->slack[p] = least->slack[NM_RIGOROUS];
}

double nm_block_margin(const nm_block *b, int64_t p, int64_t target)
{
    int64_t n_classes = b->net->values[b->net->scores].size;
    const double *score = b->val[b->net->scores] + p * n_classes;
    double least = (double)INFINITY;

    for (int64_t j = 0; j < n_classes; j++) {
        double gap = score[target] - score[j];

        if (j != target && (gap < least || isnan(gap)))
            least = gap;
    }
    return least;
}

bool nm_block_judge(nm_block *b, int64_t p, int64_t target, nm_deploy *out)
{
    int64_t n_classes = b->net->values[b->net->scores].size, at = b->first + p;
    const double *score = b->val[b->net->scores] + p * n_classes;
    struct verdict least = {{(double)INFINITY, (double)INFINITY, (double)INFINITY}};
    double bound[NM_N_MODELS][NM_MAX_ROWS];
    int32_t other[MAX_PAIRS];
    int n = 0;

    for (int64_t j = 0; j < n_classes; j++) {
        if (j != target)
            other[n++] = (int32_t)j;
        if (n == 0 || (n < MAX_PAIRS && j + 1 < n_classes))
            continue;
        if (!bound_pairs(b, p, target, other, n, bound))
            return false;
        for (int i = 0; i < n; i++) {
            double mine[NM_N_MODELS];

            for (int m = 0; m < NM_N_MODELS; m++)
                mine[m] = bound[m][i];
            judge_pair(score[target] - score[other[i]], mine, &least, out, at);
        }
        n = 0;
    }
    return true;
}
