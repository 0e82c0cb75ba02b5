/* The smallest change with a proof as a search of the repair driver. */
#ifndef NM_REPAIR_MINIMAL_JOB_H
#define NM_REPAIR_MINIMAL_JOB_H

#include "repair/repair_job.h"

/** What the method cannot do, before any work. */
nm_status nm_job_check_minimal(const struct nm_job *j, nm_err *err);

/** Searches with the present margins; the change is left in j->search->delta, norm and bound in its
 *  figures. Where nothing is nonlinear behind the layer, one linear program; else a change found by
 *  steps and branch and bound from there. */
nm_status nm_job_minimal(struct nm_job *j, nm_search_outcome *outcome, nm_err *err);

#endif
