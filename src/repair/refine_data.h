/* What refining looks at: the reference data and, for large repairs of colour images, copies of
 * them (problem/augment.h). */
#ifndef NM_REPAIR_REFINE_DATA_H
#define NM_REPAIR_REFINE_DATA_H

#include "problem/drift.h"
#include "repair/pointwise.h"

enum { NM_REFINE_MOST_SETS = 1 + NM_MOST_COPIES };

typedef struct nm_refine_data {
    int n;                                /* sets of as many points each */
    nm_drift *drift[NM_REFINE_MOST_SETS]; /* of the reference data, then of each copy */
    nm_crowd *crowd[NM_REFINE_MOST_SETS]; /* of the copies; NULL for the reference data */
    float *x[NM_REFINE_MOST_SETS];        /* inputs of the copies, where the tail starts there */
    double *gradient;                     /* [params->n] of one set */
} nm_refine_data;

/** Opens data that shall be closed whatever the outcome.
 *  @param copies  0 .. NM_MOST_COPIES; the net's inputs must fit (nm_augment_fits()) unless 0 */
nm_status nm_refine_data_open(const nm_search *search, int copies, const nm_drift_opts *opts,
                              nm_refine_data *data, nm_err *err);
void nm_refine_data_close(nm_refine_data *data);

/** Means over all sets, as nm_drift_at(). */
nm_status nm_refine_data_at(nm_refine_data *data, int64_t n_params, const double *d,
                            nm_drift_value *value, double *gradient, nm_err *err);

#endif
