/* LastN: the last layers that can be edited. */
#include "choose/edit/edit.h"

enum { N };
static const nm_heuristic_param params[] = {{.name = "n",
                                             .kind = NM_PARAM_INT,
                                             .initial = 2,
                                             .min = 1,
                                             .max = 1e6,
                                             .help = "how many layers"}};

static nm_status run(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    double left = job->values->v[N];
    nm_status rc = NM_OK;

    for (int i = job->net->n_layers - 1; rc == NM_OK && i >= 0 && left > 0; i--) {
        if (nm_edit_refusal(job->net, i, job->free))
            continue;
        out->scores[i] = 1;
        out->best = i;
        left--;
        rc = nm_plan_mark(out->plan, i, job->free, err);
    }
    return rc;
}

const nm_edit_kind nm_edit_last_n = {
    .info = {.name = "LastN",
             .summary = "the last n layers (weights of the first of them, biases of the others)",
             .scope = "nothing; score: 1 for those layers",
             .source = "Adsule et al. 2025, SqueezeNet experiments (last_n_layers)",
             .params = params,
             .n_params = sizeof params / sizeof *params},
    .run = run,
};
