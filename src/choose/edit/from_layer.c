/* FromLayer: a layer and all behind it. */
#include "choose/edit/edit.h"

enum { LAYER };
static const nm_heuristic_param params[] = {NM_EDIT_PARAM_LAYER(-2)};

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    int first;
    nm_status rc = nm_edit_layer(job, LAYER, &first, err);

    if (rc == NM_OK && nm_edit_refusal(job->net, first, job->free))
        rc = nm_plan_mark(out->plan, first, job->free, err); /* says why not */
    for (int i = first; rc == NM_OK && i < job->net->n_layers; i++) {
        if (nm_edit_refusal(job->net, i, job->free))
            continue;
        out->scores[i] = 1;
        rc = nm_plan_mark(out->plan, i, job->free, err);
    }
    if (rc == NM_OK)
        out->best = first;
    return rc;
}

const nm_edit_kind nm_edit_from_layer = {
    .info = {.name = "FromLayer",
             .summary = "a layer and all later ones (weights of the first, biases of the others)",
             .scope = "nothing; score: 1 for those layers",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
