/* Random: each layer with a probability, one of them at least. */
#include "base/rng.h"
#include "choose/edit/edit.h"

enum { PROBABILITY };
static const nm_heuristic_param params[] = {
    {.name = "probability",
     .initial = 0.1,
     .min = 0,
     .max = 1,
     .help = "of each layer to be marked; where none is, the one that came closest"}};

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_rng rng = {.seed = job->opts->seed, .stream = 0xed1};
    nm_status rc = NM_OK;

    for (int i = 0; i < job->net->n_layers; i++)
        out->scores[i] = 1 - nm_rng_uniform(&rng);
    for (int i = 0; rc == NM_OK && i < job->net->n_layers; i++)
        if (1 - out->scores[i] < job->values->v[PROBABILITY] &&
            !nm_edit_refusal(job->net, i, job->free))
            rc = nm_plan_mark(out->plan, i, job->free, err);
    return rc;
}

const nm_edit_kind nm_edit_random = {
    .info = {.name = "Random",
             .summary = "layers drawn at random (--seed)",
             .scope = "nothing; score: 1 minus the draw",
             .source = "Adsule et al. 2025",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
