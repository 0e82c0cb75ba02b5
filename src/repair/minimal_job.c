#include "repair/minimal_job.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/goals_job.h"
#include "repair/minimal.h"

enum { MOST_NODES = 10000000 };

nm_status nm_job_check_minimal(const struct nm_job *j, nm_err *err)
{
    if (j->opts.norm == NM_NORM_L2)
        return nm_fail(err, NM_E_ARG,
                       "method minimal proves by linear programs; expected norm linf, l1 or "
                       "linf+l1n");
    return nm_minimal_check(j->net, j->plan, err);
}

static nm_minimal_opts opts_of(const struct nm_job *j, const double *start)
{
    int64_t counted = j->opts.norm_counts_marked ? nm_plan_n_marked(j->plan) : j->params->n;

    return (nm_minimal_opts){.norm = j->opts.norm,
                             .l1_weight = 1 / (double)counted,
                             .gap = j->opts.gap,
                             .max_nodes = MOST_NODES,
                             .start = start};
}

static void explain(nm_search *s, const nm_minimal_report *r)
{
    if (r->proven)
        (void)snprintf(s->reason, sizeof s->reason,
                       "no change of the layer with norm up to %.4g satisfies these points "
                       "together (branch and bound, %lld nodes)",
                       r->largest, (long long)r->nodes);
    else
        (void)snprintf(s->reason, sizeof s->reason,
                       "no change was found; none with a norm below %.6g exists", r->lower_bound);
}

/* What was found before time was up is brought home, once. */
static nm_status take(struct nm_job *j, const nm_minimal_report *r, nm_search_outcome *outcome,
                      nm_err *err)
{
    nm_search *s = j->search;

    if (r->stopped && !r->found)
        return r->cancelled ? nm_fail(err, NM_E_CANCELLED, "interrupted")
                            : nm_fail(err, NM_E_LIMIT, "time limit reached");
    s->figures = (nm_program_figures){.objective = r->norm,
                                      .lower_bound = r->lower_bound,
                                      .n_rows = s->figures.n_rows,
                                      .n_total = s->figures.n_total,
                                      .rounds = (int)fmin((double)r->programs, 1e9),
                                      .solver = "branch and bound"};
    s->rounds += s->figures.rounds;
    *outcome = r->found ? NM_SEARCH_FOUND : NM_SEARCH_GAVE_UP;
    if (!r->found)
        explain(s, r);
    if (r->stopped)
        nm_job_bring_home(j);
    return NM_OK;
}

/* @param user  a change to start from, or NULL */
static nm_status prove(struct nm_job *j, const nm_job_goals *goals, void *user,
                       nm_search_outcome *outcome, nm_err *err)
{
    nm_search *s = j->search;
    nm_minimal_opts opts = opts_of(j, user);
    nm_minimal_report report;
    nm_status rc = nm_minimal(j->ctx, j->net, j->plan, goals->x, goals->n, goals->labels.goal,
                              &opts, s->delta, &report, err);

    return rc == NM_OK ? take(j, &report, outcome, err) : rc;
}

nm_status nm_job_minimal(struct nm_job *j, nm_search_outcome *outcome, nm_err *err)
{
    nm_search *s = j->search;
    double *start = NULL;
    nm_status rc = NM_OK;

    if (j->report->stopped) /* what was brought home did not pass */
        return nm_fail(err, NM_E_LIMIT, "time limit reached");
    NM_TRY(nm_search_run(s, outcome, err));
    if (nm_search_is_exact(s))
        goto done;
    if (*outcome == NM_SEARCH_FOUND)
        NM_TRY(nm_memdup(&start, s->delta, (size_t)j->params->n, sizeof *start, err));
    NM_TRY(nm_job_run_method(j, prove, start, outcome, err));
done:
    nm_free(start);
    return rc;
}
