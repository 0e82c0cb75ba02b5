/* Samples of point sets, evenly spaced: the same for the same sizes. */
#ifndef NM_CHOOSE_SAMPLE_H
#define NM_CHOOSE_SAMPLE_H

#include "base/err.h"
#include "netmend/data.h"

/** A copy of some points; labels NULL where there are none. Start from {0}. */
typedef struct nm_sample {
    float *x;
    int64_t *labels;
    int64_t n;
} nm_sample;

/** At most `most` of the points first, first + step, ... of the set, evenly spaced.
 *  @param labels  [points->n] or NULL */
nm_status nm_sample_take(const nm_points *points, const int64_t *labels, int64_t first,
                         int64_t step, int64_t most, nm_sample *out, nm_err *err);

/** Drops those that are equal to one of the points, to the last bit. */
void nm_sample_drop(nm_sample *sample, const nm_points *points);
void nm_sample_clear(nm_sample *sample);

#endif
