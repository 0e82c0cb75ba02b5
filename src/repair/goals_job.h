/* What methods with a search of their own (layerwise, minimal, multilayer) are asked for by the
 * repair driver: labels as polytopes, for the repair points and for those keep points that a change
 * was seen to break. */
#ifndef NM_REPAIR_GOALS_JOB_H
#define NM_REPAIR_GOALS_JOB_H

#include "repair/label_goals.h"
#include "repair/repair_job.h"

typedef struct nm_job_goals {
    int64_t n;
    float *x; /* [n x n_in] repair points, then keep points */
    nm_label_goals labels;
} nm_job_goals;

/** One search of a method for a change that meets the goals: fills j->search->delta if it finds
 * one. Errors end the repair; time that is up is one only if nothing was found. */
typedef nm_status (*nm_job_method)(struct nm_job *j, const nm_job_goals *goals, void *user,
                                   nm_search_outcome *outcome, nm_err *err);

/** Runs a method over the active points, makes the keep points active that its change breaks, and
 * so on, until it breaks none, finds nothing, or time is up. Few keep points ever matter. */
nm_status nm_job_run_method(struct nm_job *j, nm_job_method method, void *user,
                            nm_search_outcome *outcome, nm_err *err);

#endif
