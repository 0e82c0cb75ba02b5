/* How far a wanted class is above the others. */
#ifndef NM_REPAIR_GAP_H
#define NM_REPAIR_GAP_H

#include <stdbool.h>
#include <stdint.h>

/** The first of the largest scores; n >= 1. */
int64_t nm_best_class_f32(const float *score, int64_t n);

/** Smallest score[target] - score[j] over j != target; NAN if a score is. score: [n] */
double nm_smallest_gap_f32(const float *score, int64_t n, int64_t target);
double nm_smallest_gap_f64(const double *score, int64_t n, int64_t target);

/** The same for networks whose smallest score decides (`least`): smallest score[j] - score[target].
 */
double nm_decision_gap_f32(const float *score, int64_t n, int64_t target, bool least);
double nm_decision_gap_f64(const double *score, int64_t n, int64_t target, bool least);

#endif
