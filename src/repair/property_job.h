/* One repair of properties, as its parts see it. */
#ifndef NM_REPAIR_PROPERTY_JOB_H
#define NM_REPAIR_PROPERTY_JOB_H

#include "netmend/property_repair.h"
#include "repair/hunt.h"
#include "repair/pointwise.h"

struct nm_property_job {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_property_task *task;
    nm_property_opts opts;
    const char *path;
    nm_params *params;
    nm_preys preys;  /* all counterexamples so far */
    double *lo, *hi; /* [n_in] where random inputs lie */
    float *random;   /* [n_reference x n_in] where the task has no reference */
    const float *reference;
    int64_t n_reference;
    int64_t *decisions; /* [n_reference] of the original network there */
    bool held;          /* they are to stay as they are, all together */
    double margin;      /* asked of each prey, times the norm of its row */
    double *rounded;    /* [params->n] the change as written */
    nm_net *fixed;      /* the candidate; NULL: the original */
    int first;          /* property that is verified first: the last that was violated */
    int64_t max_nodes;  /* of the next proof */
    double effort;      /* of the next attack, multiplications */
    int n_hunts;
    bool certify; /* of the properties, not of the programs */
    nm_property_report *report;
};

/** Random float32 inputs within the task's range and outside all boxes (where they can be found).
 *  @param x  out, [n x n_in] */
void nm_property_draw(const struct nm_property_job *job, uint64_t stream, int64_t n, float *x);

/** The output that decides. y: [n_out] */
int64_t nm_property_decide(const struct nm_property_job *job, const float *y);

/** Typical distance of outputs from their conditions within the boxes: what margins are measured
 *  by. */
nm_status nm_property_scale(struct nm_property_job *job, double *scale, nm_err *err);

/** Repairs all preys: a new candidate, with job->margin or less.
 *  @return through *done: false when there is none (outcome and reason stand in the report) */
nm_status nm_property_repair_preys(struct nm_property_job *job, bool *done, nm_err *err);

/** Opens the search for the smallest change under which each prey breaks its condition.
 *  @param rule  [preys.n] scratch, lives as long as the search */
nm_status nm_property_open_search(struct nm_property_job *job, const nm_out_row **rule,
                                  double margin, nm_search **out, nm_err *err);

/** What a search found becomes the candidate. */
nm_status nm_property_take_candidate(struct nm_property_job *job, const nm_search *search,
                                     nm_err *err);

/** Says in the report that there is no repair of the preys. @param proven  for all conditions */
void nm_property_give_up(struct nm_property_job *job, const nm_search *search,
                         nm_search_outcome outcome, double margin, bool proven);

/** Repairs all preys with those conditions that make the change smallest: a new candidate and the
 *  conditions in the preys, bound and gap in the report. INFEASIBLE: proven for all conditions. */
nm_status nm_property_try_exact(struct nm_property_job *job, double margin,
                                nm_search_outcome *outcome, nm_err *err);

/** Verifies all properties of the candidate.
 *  @param verdict  out: holds (the verifier's reports stand in report->after), violated (then the
 *                  counterexample became a prey), unknown */
nm_status nm_property_verify(struct nm_property_job *job, nm_verdict *verdict, nm_err *err);

/** Writes the candidate, confirms that the file holds it, and measures. */
nm_status nm_property_settle(struct nm_property_job *job, nm_err *err);

#endif
