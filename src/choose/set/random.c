/* Random: a seeded draw without replacement. */
#include "base/rng.h"
#include "choose/set/set.h"

enum { OF };
static const nm_heuristic_param params[] = {NM_SET_PARAM_OF(NM_OF_ALL)};

/* The points with the smallest of independent draws: a smaller set is the beginning of a larger
 * one. */
static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    bool misclassified = (int)job->values->v[OF] == NM_OF_MISCLASSIFIED;
    nm_rng rng = {.seed = job->seed, .stream = 0x5e1};

    for (int64_t p = 0; p < job->pool->n; p++) {
        double draw = nm_rng_uniform(&rng);

        if (!misclassified || job->facts[p].predicted != job->facts[p].label)
            nm_selection_add(out, p, draw);
    }
    return nm_selection_sort(out, NM_SET_ASCENDING, err);
}

const nm_set_kind nm_set_random = {
    .info = {.name = "Random",
             .summary = "points drawn without replacement (--seed)",
             .scope = "nothing (labels and scores with of=misclassified); score: the draw",
             .source = "netmend",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
    .reads_scores = true,
};
