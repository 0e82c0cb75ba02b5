/* One repair from data to file, as the parts of the driver see it. */
#ifndef NM_REPAIR_JOB_H
#define NM_REPAIR_JOB_H

#include "repair/elastic.h"
#include "verify/deploy.h"

struct nm_job {
    nm_ctx *ctx;
    const nm_net *net;
    nm_net *as_written; /* what net points to, if the task's net holds more digits than its file */
    const nm_plan *plan;
    const nm_repair_task *task;
    nm_repair_opts opts;
    const char *path;
    const int64_t *target; /* [repair->n] */
    nm_params *params;
    nm_search *search;
    double *rounded; /* [params->n] the change as written */
    nm_net *fixed;   /* candidate, then the net as read back */
    nm_deploy_session *judge;
    nm_deploy original; /* repair set before */
    nm_deploy judged;   /* repair set after */
    nm_twins twins;
    double wished;        /* margin that is good to have where none is asked for */
    nm_elastic *elastic;  /* NULL: all points or none */
    bool *passes, *right; /* [repair->n] by `judged` */
    bool keeps;           /* keep points are right in the last candidate */
    double *checked;      /* [params->n] elastic: the change that repaired the most points so far */
    int64_t n_checked;    /* how many */
    bool off_path;        /* the candidate is not what the last program minimised */
    bool granted; /* time was up, and the context grants what brings home the search's result */
    nm_repair_report *report;
};

/* -- refusals (repair_check.c) ------------------------------------------------------------ */

nm_status nm_job_check_opts(const struct nm_job *job, nm_err *err);
nm_status nm_job_check_task(const struct nm_job *job, nm_err *err);

/** A first, empty write tells early that the output cannot be written. */
nm_status nm_job_check_writable(const char *path, nm_err *err);

/** With an open search: all pins need a piece to pin to. */
nm_status nm_job_check_pinnable(const struct nm_job *job, nm_err *err);

/** With the original judged: points without numbers, or that can never be safe. */
nm_status nm_job_check_finite(const struct nm_job *job, nm_err *err);

/** Time is up, but the search has a result to bring home: the report says that it was stopped, and
 *  the context lets work go on until nm_repair() returns. */
void nm_job_bring_home(struct nm_job *job);

/* -- judging (repair.c) ------------------------------------------------------------------- */

/** The first operator that an edit can change. */
int nm_job_first_op(const struct nm_job *job);

nm_status nm_job_judge(struct nm_job *job, const nm_net *net, nm_deploy *out, nm_err *err);

/** The next candidate, into job->judged: of many points only those that need it are bounded anew,
 *  others are stale (verify/deploy.h). */
nm_status nm_job_judge_next(struct nm_job *job, const nm_net *net, nm_err *err);

/** Bounds of the stale points of job->fixed: before it counts as repaired. */
nm_status nm_job_judge_rest(struct nm_job *job, nm_err *err);

/* -- margins (repair_margins.c) ------------------------------------------------------------ */

/** The smallest margin that can pass: a little above what deployment may take away. */
void nm_job_set_first_margins(struct nm_job *job);

/** Asks more of every point that did not pass, and of those that could be next. @return whether all
 *  passed */
bool nm_job_raise_margins(struct nm_job *job);

/** A keep point need not have a larger margin than the repair points are asked for. */
void nm_job_cap_keep_margins(struct nm_job *job);

/** Keep points that rounding broke must keep more; *all becomes false if there are any. */
nm_status nm_job_raise_keep_margins(struct nm_job *job, bool *all, nm_err *err);

/* -- the end (repair_end.c) --------------------------------------------------------------- */

/** Rounds a change to a candidate, and judges it. */
nm_status nm_job_make_candidate(struct nm_job *job, const double *delta, nm_err *err);

/** Remembers the change of the present candidate if it repairs more points than any before. */
void nm_job_note_candidate(struct nm_job *job, const double *delta);

/** Writes the best candidate, if there is one, and fills the report. */
nm_status nm_job_settle(struct nm_job *job, nm_err *err);

/** After NM_E_LIMIT or NM_E_CANCELLED (`stop`): keeps what was found. */
nm_status nm_job_stop_early(struct nm_job *job, nm_status stop, nm_err *err);

#endif
