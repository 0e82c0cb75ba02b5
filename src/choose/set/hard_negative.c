/* HardNegativeMining: the largest losses. */
#include <math.h>

#include "choose/set/set.h"

enum { PERCENTILE };
static const nm_heuristic_param params[] = {
    {.name = "percentile",
     .initial = 0.8,
     .min = 0,
     .max = 1,
     .below_max = true,
     .help = "points above this share of all losses qualify (0.8: the hardest 20 %)"}};

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    double share = 1 - job->values->v[PERCENTILE];
    int64_t most = (int64_t)ceil(share * (double)job->pool->n - 1e-9);
    nm_status rc;

    for (int64_t p = 0; p < job->pool->n; p++)
        nm_selection_add(out, p, job->facts[p].loss);
    rc = nm_selection_sort(out, NM_SET_DESCENDING, err);
    out->n = out->n < most ? out->n : most;
    return rc;
}

const nm_set_kind nm_set_hard_negative = {
    .info = {.name = "HardNegativeMining",
             .summary = "points with the largest losses, the largest first",
             .scope = "labels and scores; score: cross entropy; ties in file order",
             .source = "Adsule et al. 2025; keeps the top share, not the rest",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
