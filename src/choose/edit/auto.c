/* auto: what the advisor chooses. */
#include <stdio.h>
#include <string.h>

#include "choose/edit/edit.h"
#include "netmend/choose.h"

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_choose_opts how = NM_CHOOSE_OPTS_INIT;
    nm_repair_opts opts = *job->opts;
    nm_choice choice;
    nm_status rc;

    how.free = job->free;
    opts.method = NM_METHOD_POINTWISE;
    opts.pins = NM_PINS_LAZY;
    rc = nm_choose_layer(job->ctx, job->net, job->task, &opts, &how, &choice, err);
    if (rc != NM_OK)
        return rc;
    for (int i = 0; i < choice.n_scores; i++)
        out->scores[i] = -choice.scores[i].predicted_cost;
    out->best = choice.layer;
    out->order = choice.order;
    out->n_order = choice.n_order;
    choice.order = NULL;
    if (out->scores[out->best] != out->scores[out->best])
        out->scores[out->best] = 0;
    (void)snprintf(out->why, sizeof out->why, "%s", choice.reason);
    nm_choice_free(&choice);
    return NM_OK;
}

const nm_edit_kind nm_edit_auto = {
    .info = {.name = "auto",
             .summary = "the layer in which the repair changes least elsewhere, tried out",
             .scope =
                 "repair and reference points; score: minus the predicted cost; of layers that "
                 "change about equally little the last",
             .source = "netmend (docs/choosing.md)"},
    .run = run,
};
