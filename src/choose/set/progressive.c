/* ProgressiveDifficulty: some of the easiest points, then the hardest. */
#include "choose/set/set.h"

enum { RATIO, OF };
static const nm_heuristic_param params[] = {
    {.name = "ratio",
     .initial = 0.5,
     .min = 0,
     .max = 1,
     .help = "share of the set that is taken from the easy end, rounded down"},
    NM_SET_PARAM_OF(NM_OF_ALL)};

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    bool misclassified = (int)job->values->v[OF] == NM_OF_MISCLASSIFIED;
    nm_status rc;

    for (int64_t p = 0; p < job->pool->n; p++)
        if (!misclassified || job->facts[p].predicted != job->facts[p].label)
            nm_selection_add(out, p, job->facts[p].loss);
    rc = nm_selection_sort(out, NM_SET_ASCENDING, err);
    if (rc == NM_OK)
        nm_selection_keep_ends(out, job->size, job->values->v[RATIO]);
    return rc;
}

const nm_set_kind nm_set_progressive = {
    .info = {.name = "ProgressiveDifficulty",
             .summary = "the easiest points and the hardest ones, in order of difficulty",
             .scope = "labels and scores; score: cross entropy, ascending; ties in file order",
             .source = "Adsule et al. 2025, after Bengio et al. 2009 (curriculum learning)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
