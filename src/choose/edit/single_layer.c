/* SingleLayer: the layer one names. */
#include "choose/edit/edit.h"

enum { LAYER };
static const nm_heuristic_param params[] = {NM_EDIT_PARAM_LAYER(-1)};

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int layer;
    nm_status rc = nm_edit_layer(job, LAYER, &layer, err);

    if (rc != NM_OK)
        return rc;
    out->scores[layer] = 1;
    return nm_plan_mark(out->plan, layer, job->free, err);
}

const nm_edit_kind nm_edit_single_layer = {
    .info = {.name = "SingleLayer",
             .summary = "one layer, named",
             .scope = "nothing; score: 1 for that layer",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
