/* The methods that change layer by layer (layerwise, multilayer) as searches of the repair driver.
 */
#ifndef NM_REPAIR_LAYERWISE_JOB_H
#define NM_REPAIR_LAYERWISE_JOB_H

#include "repair/repair_job.h"

/** Searches with the present margins; the change is left in j->search->delta. When time was up and
 *  something had been found before, it is the answer, and the context grants the rest. */
nm_status nm_job_layerwise(struct nm_job *j, nm_search_outcome *outcome, nm_err *err);

#endif
