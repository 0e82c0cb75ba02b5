/* One repair of regions, as its parts see it. */
#ifndef NM_REPAIR_REGION_JOB_H
#define NM_REPAIR_REGION_JOB_H

#include "repair/region_prove.h"
#include "repair/region_step.h"

/** A slice of the plan: what one step may change, and whose pieces it has to hold. */
typedef struct nm_region_slice {
    int first_layer, last_layer; /* marked layers of it lie in here */
    bool *pinned;                /* [n_ops] */
} nm_region_slice;

struct nm_region_job {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_regions_task *task;
    nm_regions_opts opts;
    const char *path;
    nm_region_conditions conditions;
    nm_region_parts parts;
    nm_region_slice *slices;
    int n_slices;
    bool bent;     /* pieces can end in front of the first slice, where no step reaches them */
    nm_net **nets; /* [n_slices + 1] before each step, and after the last; the first is NULL, as it
                      is the original */
    double pin_margin;
    int n_cuts;    /* rounds in which parts were cut for a conflict */
    double *width; /* [n_in] of all regions together: what cuts are measured by */
    nm_regions_report *report;
};

/** The candidate; the original network as long as there is none. */
static inline const nm_net *nm_region_candidate(const struct nm_region_job *j)
{
    return j->nets[j->n_slices] ? j->nets[j->n_slices] : j->net;
}

/** Fills a job that has only what nm_repair_regions() was given. */
nm_status nm_region_open(struct nm_region_job *job, nm_err *err);

/** Whether two regions have a vertex in common and want different classes there, which no network
 *  has: outcome and reason are set then. */
bool nm_region_contradict(struct nm_region_job *job);

/** Cuts the plan into slices. */
nm_status nm_region_slices_new(struct nm_region_job *job, nm_err *err);
void nm_region_slices_free(struct nm_region_job *job);

/** The plan of one slice, for the network before it. Free with nm_plan_free(). */
nm_status nm_region_slice_plan(const struct nm_region_job *job, int slice, const nm_net *net,
                               nm_plan **out, nm_err *err);

/** Writes the candidate if the job's outcome is NM_REPAIRED, confirmed from the file; measures, and
 *  fills the report. */
nm_status nm_region_settle(struct nm_region_job *job, nm_err *err);

/** Proves the parts for a network, and says of each region what is known. */
nm_status nm_region_prove_all(struct nm_region_job *job, const nm_net *net, int64_t *n_open,
                              nm_err *err);

#endif
