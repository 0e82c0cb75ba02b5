#include "repair/layerwise_job.h"

#include <math.h>
#include <stdio.h>

#include "repair/goals_job.h"
#include "repair/multilayer.h"

static nm_multilayer_opts opts_of(const struct nm_job *j, int64_t n)
{
    int64_t counted = j->opts.norm_counts_marked ? nm_plan_n_marked(j->plan) : j->params->n;
    nm_multilayer_opts opts = {.common = {.norm = j->opts.norm, .l1_weight = 1 / (double)counted},
                               .seed = j->opts.seed};

    nm_multilayer_effort(j->net, n, &opts);
    return opts;
}

/* What was found before time was up is brought home, once. */
static nm_status bring_home(struct nm_job *j, const nm_layerwise_report *report, nm_err *err)
{
    if (!report->found)
        return report->cancelled ? nm_fail(err, NM_E_CANCELLED, "interrupted")
                                 : nm_fail(err, NM_E_LIMIT, "time limit reached");
    nm_job_bring_home(j);
    return NM_OK;
}

static nm_status look(struct nm_job *j, const nm_job_goals *goals, void *user,
                      nm_search_outcome *outcome, nm_err *err)
{
    nm_search *s = j->search;
    nm_multilayer_opts opts = opts_of(j, goals->n);
    nm_layerwise_report report;
    nm_changes changes = {0};
    nm_status rc = NM_OK;

    (void)user;
    *outcome = NM_SEARCH_GAVE_UP;
    if (j->opts.method == NM_METHOD_MULTILAYER)
        NM_TRY(nm_multilayer(j->ctx, j->net, j->plan, goals->x, goals->n, goals->labels.goal, &opts,
                             &changes, &report, err));
    else
        NM_TRY(nm_layerwise(j->ctx, j->net, j->plan, goals->x, goals->n, goals->labels.goal,
                            &opts.common, &changes, &report, err));
    (void)snprintf(s->reason, sizeof s->reason, "%s", report.reason);
    if (report.stopped)
        NM_TRY(bring_home(j, &report, err));
    if (!report.found)
        goto done;
    *outcome = NM_SEARCH_FOUND;
    nm_changes_to_params(j->net, &changes, j->params, s->delta);
done:
    nm_changes_clear(&changes);
    return rc;
}

nm_status nm_job_layerwise(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    if (j->report->stopped) /* what was brought home did not pass */
        return nm_fail(err, NM_E_LIMIT, "time limit reached");
    j->search->figures = (nm_program_figures){
        .objective = NAN,
        .lower_bound = NAN,
        .rounds = 1,
        .solver = j->opts.method == NM_METHOD_MULTILAYER ? "multilayer" : "layerwise"};
    j->off_path = true; /* no program's optimum: there is nothing to certify */
    return nm_job_run_method(j, look, NULL, outcome, err);
}
