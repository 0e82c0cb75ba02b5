#include "repair/layerwise_job.h"

#include <math.h>
#include <stdio.h>

#include "repair/label_goals.h"
#include "repair/layerwise.h"

static nm_layerwise_opts opts_of(const struct nm_job *j)
{
    int64_t counted = j->opts.norm_counts_marked ? nm_plan_n_marked(j->plan) : j->params->n;
    nm_layerwise_opts opts = {.norm = j->opts.norm, .l1_weight = 1 / (double)counted};

    nm_layerwise_effort(j->net, j->task->repair->n, &opts);
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

nm_status nm_job_layerwise(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_search *s = j->search;
    nm_layerwise_opts opts = opts_of(j);
    nm_layerwise_report report;
    nm_label_goals goals = {0};
    nm_changes changes = {0};
    nm_status rc = NM_OK;

    *outcome = NM_SEARCH_GAVE_UP;
    if (j->report->stopped) /* what was brought home did not pass */
        return nm_fail(err, NM_E_LIMIT, "time limit reached");
    NM_TRY(nm_label_goals_new(s->demand.target, s->demand.margin, s->n_repair,
                              j->net->values[j->net->scores].size, &goals, err));
    NM_TRY(nm_layerwise(j->ctx, j->net, j->plan, j->task->repair->x, s->n_repair, goals.goal, &opts,
                        &changes, &report, err));
    (void)snprintf(s->reason, sizeof s->reason, "%s", report.reason);
    if (report.stopped)
        NM_TRY(bring_home(j, &report, err));
    if (!report.found)
        goto done;
    *outcome = NM_SEARCH_FOUND;
    nm_changes_to_params(j->net, &changes, j->params, s->delta);
    s->figures = (nm_program_figures){
        .objective = NAN, .lower_bound = NAN, .rounds = 1, .solver = "layerwise"};
    j->off_path = true; /* no program's optimum: there is nothing to certify */
done:
    nm_changes_clear(&changes);
    nm_label_goals_clear(&goals);
    return rc;
}
