/* Subset: the points one names. */
#include "base/mem.h"
#include "choose/set/set.h"

enum { INDICES };
static const nm_heuristic_param params[] = {
    {.name = "indices",
     .kind = NM_PARAM_LIST,
     .help = "points by their place among the candidates, e.g. 17+27+55-60"}};

static nm_status run(const nm_set_job *job, nm_selection *out, nm_err *err)
{
    int64_t *list = NULL, n = 0;
    bool *taken = NULL;
    nm_status rc = NM_OK;

    if (!job->values->given[INDICES])
        NM_THROW(err, NM_E_ARG, "Subset needs indices=..., like Subset:indices=3+7+20-24");
    NM_TRY(nm_values_list(job->values->list[INDICES], job->pool->n, "Subset: indices", &list, &n,
                          err));
    NM_TRY(nm_alloc(&taken, (size_t)job->pool->n, sizeof *taken, err));
    for (int64_t i = 0; i < n; i++) {
        if (!taken[list[i]])
            nm_selection_add(out, list[i], (double)i);
        taken[list[i]] = true;
    }
done:
    nm_free(list);
    nm_free(taken);
    return rc;
}

const nm_set_kind nm_set_subset = {
    .info = {.name = "Subset",
             .summary = "the points named, in the order named",
             .scope = "nothing; score: place in the list",
             .source = "Adsule et al. 2025, code",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
